"""Prefetching: tell the operating system which parts of a mapped file will be read.

Without it, a reader waits for each page that is not in memory in turn, and Linux reads 128 KiB around each of them.
With it, the disk receives all requests at once. Each range costs a system call, so a sample of the ranges is examined
first: if the sample is in memory already, nothing is requested.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR_BYTES = 64 * 1024
"""Ranges closer together than this are merged, because a disk reads the gap faster than it seeks."""
SAMPLE = 24
"""Number of ranges that are examined."""
Offsets = NDArray[np.int64]


def prefetch_ranges(data: NDArray[np.uint8], starts: Offsets, stops: Offsets) -> int:
    """Ask the system to read the byte ranges ``starts[i]..stops[i]`` of a mapped file into memory.

    Nothing happens if the platform has no such call or the bytes are in memory already.

    Parameters
    ----------
    data
        The mapped file, shape ``(bytes,)``, uint8.
    starts, stops
        Byte offsets, shape ``(n,)``, int64.

    Returns
    -------
    int
        Number of ranges that were requested, after merging.
    """
    mapping = _mapping_of(data)
    if mapping is None or not len(starts):
        return 0
    low, high = merged(starts, stops, NEAR_BYTES)
    if _in_memory(data, low):
        return 0
    for start, stop in zip(low.tolist(), high.tolist(), strict=True):
        mapping.madvise(mmap.MADV_WILLNEED, start, stop - start)
    return len(low)


def release_range(data: NDArray[np.uint8], start: int, stop: int) -> None:
    """Drop the byte range ``start..stop`` of a mapped file from this process's memory, so that it does not count there.

    The bytes stay valid: the system reads them again, usually from its cache, when they are needed. Nothing happens if
    the platform has no such call.
    """
    mapping = _mapping_of(data)
    first, last = (place // mmap.PAGESIZE * mmap.PAGESIZE for place in (start, stop))
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED") and first < last:
        mapping.madvise(mmap.MADV_DONTNEED, first, last - first)


def merged(starts: Offsets, stops: Offsets, near: int) -> tuple[Offsets, Offsets]:
    """Return ascending ranges of whole pages, after merging ranges that are at most ``near`` bytes apart.

    >>> low, high = merged(np.array([900_000, 5, 4_000]), np.array([900_001, 10, 9_000]), near=0)
    >>> (low // mmap.PAGESIZE).tolist() == [0, 900_000 // mmap.PAGESIZE], bool(high[0] >= 9_000)
    (True, True)
    """
    order = np.argsort(starts, kind="stable")
    low = starts[order] // mmap.PAGESIZE * mmap.PAGESIZE
    high = np.maximum.accumulate(stops[order])
    first = np.flatnonzero(np.concatenate([[True], low[1:] > high[:-1] + near]))
    return low[first], np.concatenate([high[first[1:] - 1], high[-1:]])


def _mapping_of(data: NDArray[np.uint8]) -> mmap.mmap | None:
    """Return the memory map behind an array, or ``None`` if there is none or the platform has no ``madvise``."""
    base: Any = data
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED") else None


def _in_memory(data: NDArray[np.uint8], low: Offsets) -> bool:
    """Return whether the first pages of a sample of ranges are all in memory; ``False`` if that is unknown."""
    mincore = _mincore()
    if mincore is None:
        return False
    sample = np.unique(np.linspace(0, len(low) - 1, SAMPLE).astype(np.int64))
    state = (ctypes.c_ubyte * 1)()
    address = data.ctypes.data
    for start in low[sample].tolist():  # the first page of a range is needed; a page in a merged gap may not be
        if mincore(ctypes.c_void_p(address + start), ctypes.c_size_t(1), state) != 0 or not state[0] & 1:
            return False
    return True


@cache
def _mincore() -> Any:  # noqa: ANN401 - a foreign function
    """Return the C library's ``mincore``, or ``None`` if there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mincore
    except (OSError, AttributeError):
        return None
