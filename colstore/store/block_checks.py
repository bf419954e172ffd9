"""Verification of a mapped file's 64 KiB blocks: each block is compared with its checksum once, on first use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ChecksumError
from colstore.store.checksums import block_sum
from colstore.store.format import BLOCK_BYTES

SMALL_BLOCKS = 64
"""A file of at most this many blocks (4 MiB) is verified as a whole on first use, which takes about a millisecond."""
_SHIFT = BLOCK_BYTES.bit_length() - 1
Offsets = NDArray[np.int64]


class BlockChecks:
    """Tracks which blocks of a file match their checksums.

    The class is thread-safe. Two threads may verify the same block; the second verification is redundant but
    harmless.

    Parameters
    ----------
    data
        Content of the whole file, shape ``(bytes,)``, uint8.
    load_sums
        Function that returns the stored checksums, shape ``(blocks,)``, uint64. It is called on first use.
    path
        Path of the file, for error messages.
    """

    def __init__(self, data: NDArray[np.uint8], load_sums: Callable[[], NDArray[np.uint64]], path: str) -> None:
        self._data = data
        self._load_sums = load_sums
        self._sums: NDArray[np.uint64] | None = None
        self._path = path
        self._good = np.zeros(-(-len(data) // BLOCK_BYTES), dtype=bool)
        self.complete = not len(self._good)
        self._verified_whole = False

    def ensure(self, start: int, stop: int) -> None:
        """Verify the blocks that hold the bytes ``start..stop`` (``stop`` is exclusive).

        Raises
        ------
        ChecksumError
            A byte in one of these blocks has changed since it was written.
        """
        if self.complete or start >= stop:
            return
        first, last = start >> _SHIFT, (stop - 1) >> _SHIFT
        part = self._good[first : last + 1]
        if not part.all():
            self._check(first + np.flatnonzero(~part))

    def ensure_spans(self, starts: Offsets, stops: Offsets) -> None:
        """Verify the blocks that hold any of the byte ranges ``starts[i]..stops[i]``; empty ranges are skipped."""
        if self.complete or not len(starts):
            return
        first = starts >> _SHIFT
        lengths = np.where(stops > starts, ((stops - 1) >> _SHIFT) - first + 1, 0)
        # The block numbers of all ranges, concatenated: each range counts up from its first block.
        ends = np.cumsum(lengths)
        blocks = np.repeat(first - ends + lengths, lengths) + np.arange(ends[-1])
        if not self._good[blocks].all():
            self._check(np.unique(blocks[~self._good[blocks]]))

    def spans_to_read(self, starts: Offsets, stops: Offsets) -> Offsets:
        """Return the byte ranges that reading ``starts[i]..stops[i]`` touches, shape ``(2, n)``, int64.

        Blocks that are not verified yet are read as a whole, so the ranges are widened to their boundaries.
        """
        if self.complete or not len(starts):
            return np.stack([starts, stops])
        first, last = starts >> _SHIFT, np.maximum(stops - 1, starts) >> _SHIFT
        low = np.where(self._good[first], starts, first << _SHIFT)
        high = np.where(self._good[last], stops, np.minimum((last + 1) << _SHIFT, len(self._data)))
        return np.stack([low, high])

    def ensure_all(self) -> None:
        """Verify every block."""
        if not self.complete:
            self._check(np.flatnonzero(~self._good))

    def bad_blocks(self) -> list[int]:
        """Return the numbers of the blocks that do not match their checksums."""
        sums = self._stored()
        return [i for i in range(len(self._good)) if self._sum(i) != sums[i]]

    def _check(self, blocks: NDArray[np.int64]) -> None:
        sums = self._stored()
        if len(self._good) <= SMALL_BLOCKS and not self._verified_whole:
            # A small file is verified at once, so that later calls have nothing to look up. A damaged block that the
            # caller did not ask for is not an error yet.
            self._verified_whole = True
            for block in range(len(self._good)):
                self._good[block] = self._sum(block) == sums[block]
            blocks = blocks[~self._good[blocks]]
        for block in blocks.tolist():
            if self._sum(block) != sums[block]:
                raise ChecksumError(
                    f"bytes changed since they were written (64 KiB block {block}): `colstore.verify(path)` shows "
                    "the extent of the damage, then restore the file from a copy of the index or build the index again",
                    file=self._path,
                )
            self._good[block] = True
        self.complete = bool(self._good.all())

    def _sum(self, block: int) -> int:
        return block_sum(self._data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES].data)

    def _stored(self) -> NDArray[np.uint64]:
        if self._sums is None:
            self._sums = self._load_sums()
        return self._sums
