"""Writing token arrays into a segment: the first goes directly to its final offset, the others via temporary files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from colstore.errors import ConfigError, StorageError, VectorError
from colstore.store import format as names
from colstore.store import hdf5
from colstore.store.files import AtomicFile

Array = NDArray[Any]
Kinds = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Dtype and shape of one token's row for each array, by name."""

RESERVED = frozenset(
    {
        "doc_passages",
        "passage_offsets",
        "passage_spans",
        "doc_offsets",
        "id_offsets",
        "id_bytes",
        "id_order",
        "id_hashes",
        "id_hash_order",
    }
    | {stem + end for stem in ("texts", "metadata") for end in ("", "_blocks", "_sizes", "_documents")}
)
"""Array names that the store itself uses."""


def check_array(name: str, dtype: np.dtype[Any], axes: int) -> None:
    """Refuse an array that a segment cannot hold.

    Raises
    ------
    ConfigError
        Its name is reserved or malformed, or its type or number of axes is not allowed.
    """
    if not names.is_array_name(name) or name in RESERVED:
        raise ConfigError(f"{name!r} is not a valid array name: it is malformed, or the store uses it itself")
    if dtype.newbyteorder("<").str not in names.DTYPES or not 1 <= axes <= 4:
        raise ConfigError(
            f"array {name!r} is {dtype.str} with {axes} axes: use 1 to 4 axes and one of {sorted(names.DTYPES)}"
        )


@dataclass(slots=True)
class _Stream:
    """The bytes of an array, which are appended to a file from byte ``start`` on."""

    dtype: np.dtype[Any]
    row: tuple[int, ...]
    file: AtomicFile
    start: int = 0
    size: int = 0

    def append(self, array: Array) -> None:
        data = array.reshape(-1).view(np.uint8).data
        self.file.write_at(self.start + self.size, data)
        self.size += len(data)

    def read_at(self, offset: int, count: int) -> bytes:
        return self.file.read_at(self.start + offset, min(count, self.size - offset))


class TokenStreams:
    """The token arrays of a segment that is being written.

    Parameters
    ----------
    kinds
        Dtype and row shape of each array by name.
    file
        File of the segment. The first array is written to the offset at which libhdf5 will place it; this offset does
        not depend on the number of rows.
    attributes
        Attributes of the segment's file. They affect that offset.
    opened
        Exit stack that closes, and thereby removes, the temporary files of the other arrays.

    Raises
    ------
    ConfigError
        The name, type or shape of an array is not allowed.
    """

    def __init__(self, kinds: Kinds, file: AtomicFile, attributes: Mapping[str, str], opened: ExitStack) -> None:
        self._file = file
        self._streams: dict[str, _Stream] = {}
        for name, (kind, row_shape) in kinds.items():
            dtype, row = np.dtype(kind), tuple(row_shape)
            check_array(name, dtype, 1 + len(row))
            little = dtype.newbyteorder("<")
            if self._streams:
                spool = opened.enter_context(AtomicFile(file.target.with_name(f"{file.target.stem}-{name}")))
                self._streams[name] = _Stream(little, row, spool)
            else:
                self._streams[name] = _Stream(little, row, file, hdf5.first_offset(little.str, row, attributes))

    def __contains__(self, name: object) -> bool:
        return name in self._streams

    def checked(self, arrays: Mapping[str, Array], tokens: int) -> dict[str, Array]:
        """Return the arrays in their stored form: C-contiguous and little-endian.

        Raises
        ------
        VectorError
            The arrays are not those that were declared, or one of them has another type or shape than ``tokens`` rows
            of the declared shape.
        """
        if set(arrays) != set(self._streams):
            raise VectorError(f"got the token arrays {sorted(arrays)}, but {sorted(self._streams)} are declared")
        stored = {}
        for name, stream in self._streams.items():
            array, shape = arrays[name], (tokens, *stream.row)
            if array.shape != shape or array.dtype != stream.dtype:
                raise VectorError(f"{name!r} must be {stream.dtype.str} {shape}, got {array.dtype.str} {array.shape}")
            stored[name] = np.ascontiguousarray(array, dtype=stream.dtype)
        return stored

    def append(self, arrays: Mapping[str, Array]) -> None:
        """Write the arrays that :meth:`checked` returned."""
        for name, array in arrays.items():
            self._streams[name].append(array)

    def shapes(self, tokens: int) -> dict[str, tuple[str, hdf5.Shape]]:
        """Return the type and shape of each array by name, in the order of the layout."""
        return {name: (stream.dtype.str, (tokens, *stream.row)) for name, stream in self._streams.items()}

    def sources(self, layout: hdf5.Layout) -> dict[str, hdf5.ReadAt]:
        """Return the sources of those arrays that are not at their final offset yet, by name.

        Raises
        ------
        StorageError
            libhdf5 placed the first array at another offset than the one that it was written to.
        """
        sources: dict[str, hdf5.ReadAt] = {}
        for name, stream in self._streams.items():
            if stream.file is not self._file:
                sources[name] = stream.read_at
            elif stream.size and stream.start != layout.arrays[name].offset:
                raise StorageError(
                    f"libhdf5 moved array {name!r} from byte {stream.start} to {layout.arrays[name].offset}: "
                    "this version of libhdf5 cannot be used for writing"
                )
        return sources
