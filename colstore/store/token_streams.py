"""Token arrays on their way into a segment: the first straight to its place, others via temporary files."""

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
from colstore.store.files import Beside

Array = NDArray[Any]
Kinds = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""Name to (dtype, shape of one token's row)."""

RESERVED = frozenset(
    {"doc_offsets", "id_offsets", "id_bytes", "id_order", "id_hashes", "id_hash_order"}
    | {stem + end for stem in ("texts", "metadata") for end in ("", "_blocks", "_sizes", "_documents")}
)
"""Array names that the store itself uses."""


def check_array(name: str, dtype: np.dtype[Any], axes: int) -> None:
    """Refuse an array that a segment cannot hold.

    Raises
    ------
    ConfigError
        Its name is taken or malformed, or its type or number of axes is not allowed.
    """
    if not names.is_array_name(name) or name in RESERVED:
        raise ConfigError(f"{name!r} cannot be the name of an array of yours")
    if dtype.newbyteorder("<").str not in names.DTYPES or not 1 <= axes <= 4:
        raise ConfigError(f"array {name!r} cannot be {dtype.str} with {axes} axes: use {sorted(names.DTYPES)}")


@dataclass(slots=True)
class _Stream:
    """An array's bytes, growing in a file from byte ``start`` on."""

    dtype: np.dtype[Any]
    row: tuple[int, ...]
    file: Beside
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
        Names, types and row shapes.
    file
        The segment's file. The first array is written to the place that libhdf5 will give it there, which
        does not depend on the number of its rows.
    attributes
        Those of the segment's file, which move that place.
    opened
        Closes (and so removes) the temporary files of the other arrays.
    """

    def __init__(self, kinds: Kinds, file: Beside, attributes: Mapping[str, str], opened: ExitStack) -> None:
        self._file = file
        self._streams: dict[str, _Stream] = {}
        for name, (kind, row_shape) in kinds.items():
            dtype, row = np.dtype(kind), tuple(row_shape)
            check_array(name, dtype, 1 + len(row))
            little = dtype.newbyteorder("<")
            if self._streams:
                spool = opened.enter_context(Beside(file.target.with_name(f"{file.target.stem}-{name}")))
                self._streams[name] = _Stream(little, row, spool)
            else:
                self._streams[name] = _Stream(little, row, file, hdf5.first_offset(little.str, row, attributes))

    def __contains__(self, name: object) -> bool:
        return name in self._streams

    def checked(self, arrays: Mapping[str, Array], tokens: int) -> dict[str, Array]:
        """Return the arrays as they are stored: C-contiguous, little-endian.

        Raises
        ------
        VectorError
            Another set of arrays, another type, or not ``tokens`` rows of the declared shape.
        """
        if set(arrays) != set(self._streams):
            raise VectorError(f"token arrays {sorted(arrays)} given, {sorted(self._streams)} declared")
        stored = {}
        for name, stream in self._streams.items():
            array, shape = arrays[name], (tokens, *stream.row)
            if array.shape != shape or array.dtype != stream.dtype:
                raise VectorError(f"{name!r} must be {stream.dtype.str} {shape}, got {array.dtype.str} {array.shape}")
            stored[name] = np.ascontiguousarray(array, dtype=stream.dtype)
        return stored

    def append(self, arrays: Mapping[str, Array]) -> None:
        """Write what :meth:`checked` returned."""
        for name, array in arrays.items():
            self._streams[name].append(array)

    def shapes(self, tokens: int) -> dict[str, tuple[str, hdf5.Shape]]:
        """Return type and shape of each array, in the order in which they must be drawn."""
        return {name: (stream.dtype.str, (tokens, *stream.row)) for name, stream in self._streams.items()}

    def sources(self, layout: hdf5.Layout) -> dict[str, hdf5.ReadAt]:
        """Return where the bytes of the arrays come from that are not yet in their place.

        Raises
        ------
        StorageError
            The first array was written to another place than it should have.
        """
        found: dict[str, hdf5.ReadAt] = {}
        for name, stream in self._streams.items():
            if stream.file is not self._file:
                found[name] = stream.read_at
            elif stream.size and stream.start != layout.arrays[name].offset:
                raise StorageError(
                    f"libhdf5 moved array {name!r} from byte {stream.start} to {layout.arrays[name].offset}: "
                    "this version of it cannot be used for writing"
                )
        return found
