"""HDF5 as a file layout: libhdf5 computes the layout in memory, and colstore writes the bytes.

:func:`make_layout` lets libhdf5 place contiguous, unfiltered datasets in a file that exists only as a few pages of
metadata in memory. The arrays are then written to the offsets that libhdf5 chose, at disk speed and through
``files.py``; the result is an ordinary HDF5 file. :func:`layout_problems` opens such a file with libhdf5 and compares
it with the manifest. No other module uses h5py, and reading an index uses neither function.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colstore.extras import require
from colstore.store.entries import ArraySpec
from colstore.store.files import AtomicFile, Buffer

if TYPE_CHECKING:
    import h5py

_LIBVER = ("v108", "v110")  # readable by HDF5 1.10 and later; pinned, so that equal input gives equal bytes
_ALIGNMENT = 64  # bytes: a cache line, and a multiple of every element size
_PAGE = 4096
_COPY_BYTES = 8 << 20

Shape = tuple[int, ...]
ReadAt = Callable[[int, int], Buffer]
"""A function ``read_at(offset, count)`` that returns up to ``count`` bytes of an array, from byte ``offset`` on."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of an HDF5 file: the location of each array, and all bytes outside the arrays.

    Parameters
    ----------
    size
        Size of the whole file in bytes.
    arrays
        Location of each array by name.
    metadata
        Content of the gaps between the arrays, by byte offset. They hold HDF5's own metadata.
    """

    size: int
    arrays: dict[str, ArraySpec]
    metadata: dict[int, bytes]


def make_layout(arrays: Mapping[str, tuple[str, Shape]], attributes: Mapping[str, str]) -> Layout:
    """Let libhdf5 compute the layout of a file.

    Parameters
    ----------
    arrays
        Type (``numpy.dtype.str``) and shape of each array by name, in their order in the file.
    attributes
        Text attributes of the root group, which HDF5 viewers show.
    """
    require("h5py", extra="", purpose="Writing an index")
    import h5py

    image = _SparseFile()
    with h5py.File(
        image, "w", libver=_LIBVER, alignment_threshold=1, alignment_interval=_ALIGNMENT, track_order=False
    ) as file:
        for name, text in attributes.items():
            file.attrs[name] = text
        specs = {name: _create_dataset(file, name, dtype, shape) for name, (dtype, shape) in arrays.items()}
    return Layout(image.size, specs, _gaps(image, specs))


def first_offset(dtype: str, row_shape: Shape, attributes: Mapping[str, str]) -> int:
    """Return the byte offset of the first array of a file. It does not depend on the number of rows (at least 1).

    Parameters
    ----------
    dtype
        Element type, as ``numpy.dtype.str``.
    row_shape
        Shape of one row.
    attributes
        Text attributes of the file. They move the offset.
    """
    return _first_offset(dtype, row_shape, tuple(attributes.items()))


@cache
def _first_offset(dtype: str, row_shape: Shape, attributes: tuple[tuple[str, str], ...]) -> int:
    return make_layout({"first": (dtype, (1, *row_shape))}, dict(attributes)).arrays["first"].offset


def _gaps(image: _SparseFile, arrays: Mapping[str, ArraySpec]) -> dict[int, bytes]:
    spans = sorted((spec.offset, spec.offset + spec.nbytes) for spec in arrays.values() if spec.nbytes)
    starts = [0, *(end for _, end in spans)]
    stops = [*(start for start, _ in spans), image.size]
    return {start: image.content(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop}


def _create_dataset(file: h5py.File, name: str, dtype: str, shape: Shape) -> ArraySpec:
    import h5py

    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # otherwise there is no offset before the first write
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    settings.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, settings)
    return ArraySpec(offset=dataset.get_offset() or 0, dtype=dtype, shape=shape)


def write_layout(file: AtomicFile, layout: Layout, sources: Mapping[str, ReadAt]) -> None:
    """Write a file by its layout: first the metadata, then each array from its source, in blocks of 8 MiB.

    An array without a source must have been written to its location already.

    Raises
    ------
    ValueError
        A source ends before the end of its array.
    StorageError
        A write fails.
    """
    for offset, content in layout.metadata.items():
        file.write_at(offset, content)
    file.resize(layout.size)
    for name, read_at in sources.items():
        spec = layout.arrays[name]
        for start in range(0, spec.nbytes, _COPY_BYTES):
            count = min(_COPY_BYTES, spec.nbytes - start)
            data = read_at(start, count)
            if len(data) != count:
                raise ValueError(f"the source of {name!r} ended after {start + len(data)} of {spec.nbytes} bytes")
            file.write_at(spec.offset + start, data)


def array_source(array: np.ndarray[Any, Any]) -> ReadAt:
    """Return a source that reads from a C-contiguous array."""
    view = array.reshape(-1).view(np.uint8).data
    return lambda offset, count: view[offset : offset + count]


def layout_problems(path: Path, arrays: Mapping[str, ArraySpec]) -> list[str]:
    """Open a file with libhdf5 and return a message for each difference between the file and its manifest entry.

    Soft and external links, groups, virtual datasets, external storage, chunks, compact storage and filters are
    problems, as are differing names, types, shapes and offsets.
    """
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            stored = set(file.keys())
            problems = [f"array {name!r} is missing" for name in sorted(set(arrays) - stored)]
            problems += [f"{name!r} is not in the manifest" for name in sorted(stored - set(arrays))]
            for name in sorted(stored & set(arrays)):
                problems += [f"array {name!r}: {text}" for text in _dataset_problems(file, name, arrays[name])]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # the exceptions that h5py raises
        return [f"libhdf5 cannot read it: {error}"]
    return problems


def _dataset_problems(file: h5py.File, name: str, spec: ArraySpec) -> list[str]:
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return ["is a link to somewhere else"]
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        return ["is not a dataset"]
    settings = dataset.id.get_create_plist()
    if settings.get_layout() != h5py.h5d.CONTIGUOUS:
        return ["is not contiguous"]
    problems = []
    if settings.get_nfilters() or settings.get_external_count():
        problems.append("has filters or external storage")
    if dataset.shape != spec.shape or dataset.dtype.str != spec.dtype:
        problems.append(f"is {dataset.dtype.str} {dataset.shape}, not {spec.dtype} {spec.shape}")
    if (dataset.id.get_offset() or 0) != spec.offset and math.prod(spec.shape):
        problems.append(f"lies at byte {dataset.id.get_offset()}, not {spec.offset}")
    return problems


class _SparseFile(io.RawIOBase):
    """An in-memory file that stores only the pages that were written."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[int, bytearray] = {}
        self.size = 0
        self._position = 0

    def content(self, start: int, stop: int) -> bytes:
        """Return the bytes ``start..stop``; bytes that were never written are zeros."""
        self.seek(start)
        return self.read(stop - start) or b""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = start + offset
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._position if size is None else size
        return self.size

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer, as RawIOBase has it
        view = memoryview(data).cast("B")
        for number, inside, outside in _pages(self._position, len(view)):
            self.pages.setdefault(number, bytearray(_PAGE))[inside] = view[outside]
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any buffer, as RawIOBase has it
        view = memoryview(buffer).cast("B")
        for number, inside, outside in _pages(self._position, len(view)):
            view[outside] = self.pages.get(number, bytes(_PAGE))[inside]
        self._position += len(view)
        return len(view)


def _pages(position: int, count: int) -> list[tuple[int, slice, slice]]:
    """Split a byte range at page boundaries: (page number, slice of the page, slice of the range) for each page."""
    pages = []
    start = 0
    while start < count:
        number, inside = divmod(position + start, _PAGE)
        step = min(_PAGE - inside, count - start)
        pages.append((number, slice(inside, inside + step), slice(start, start + step)))
        start += step
    return pages
