"""Files that are read whole: opaque ones (FAISS, ONNX, tokenizer) and small HDF5 files (the codec)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import (
    ChecksumError,
    ConfigError,
    CorruptIndexError,
    StorageError,
)
from colstore.store import format as names
from colstore.store import hdf5
from colstore.store.checksums import checksum, file_checksum
from colstore.store.entries import FileEntry
from colstore.store.files import Beside, make_folder, write_file
from colstore.store.reading import check_file_size, read_file
from colstore.store.strict_json import canonical, parse_object
from colstore.types import Json

_ATTRIBUTES = "attributes"


@dataclass(frozen=True, slots=True)
class ArraysFile:
    """Content of a small HDF5 file.

    Parameters
    ----------
    arrays
        By name, in memory.
    attributes
        JSON object stored beside them.
    """

    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Json]


def check_size(directory: Path, record: FileEntry) -> None:
    """Check that a file is there and has its recorded size.

    Raises
    ------
    MissingFileError, TruncatedFileError
        It is not, or has not.
    """
    check_file_size(directory / record.path, record.bytes)


def check_checksum(directory: Path, record: FileEntry) -> None:
    """Compare size and checksum of a file with its record, reading it in blocks.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        They differ.
    """
    check_size(directory, record)
    _compare(directory / record.path, file_checksum(directory / record.path), record)


def read_whole(directory: Path, record: FileEntry) -> bytes:
    """Return the content of a file whose size and checksum match its record.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        They do not.
    """
    check_size(directory, record)
    data = read_file(directory / record.path, record.bytes)
    _compare(directory / record.path, checksum(data), record)
    return data


def write_whole(directory: Path, path: str, data: bytes) -> FileEntry:
    """Write an opaque file durably.

    Parameters
    ----------
    directory
        Of the index.
    path
        Relative, one that :func:`colstore.store.format.kind_of` knows, and that no live manifest names: files
        are never changed once a manifest names them.
    data
        The content.
    """
    _check_path(path)
    make_folder((directory / path).parent)
    write_file(directory / path, data)
    return FileEntry(path, len(data), checksum(data))


def write_arrays_file(
    directory: Path, path: str, arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Json]
) -> FileEntry:
    """Write a small HDF5 file of named arrays and a JSON object, durably.

    Parameters
    ----------
    directory, path
        As in :func:`write_whole`.
    arrays
        By name; kept little-endian. ``"attributes"`` is taken (it holds the JSON object).
    attributes
        Anything JSON.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     arrays = {"steps": np.arange(3.0)}
    ...     record = write_arrays_file(Path(folder), "codec-000001.h5", arrays, {"bits": 4})
    ...     loaded = read_arrays_file(Path(folder), record)
    >>> loaded.arrays["steps"].tolist(), loaded.attributes
    ([0.0, 1.0, 2.0], {'bits': 4})
    """
    _check_path(path)
    if _ATTRIBUTES in arrays or not all(names.is_array_name(name) for name in arrays):
        raise ConfigError(f"array names {sorted(arrays)} are not all free and of a-z, 0-9 and '_'")
    stored = {name: np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    stored[_ATTRIBUTES] = np.frombuffer(canonical(dict(attributes)), dtype=np.uint8)
    make_folder((directory / path).parent)
    layout = hdf5.draw(
        {name: (array.dtype.str, array.shape) for name, array in stored.items()},
        {"colstore_format": f"arrays {names.FORMAT_VERSION}"},
    )
    with Beside(directory / path) as file:
        hdf5.write_layout(file, layout, {name: hdf5.array_source(array) for name, array in stored.items()})
        problems = hdf5.layout_problems(file.path, layout.arrays)
        whole = file_checksum(file.path)
        if problems:
            raise StorageError(f"{directory / path} reads back differently from what was written: {problems[0]}")
        file.publish()
    return FileEntry(path, layout.size, whole, layout.arrays)


def read_arrays_file(directory: Path, record: FileEntry) -> ArraysFile:
    """Read a file of arrays into memory, after comparing its checksum; libhdf5 is not entered.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        The file is not what was written.
    CorruptIndexError
        The record lists no attributes, or they are not JSON.
    """
    data = read_whole(directory, record)
    arrays = {
        name: np.frombuffer(data, spec.dtype, spec.nbytes // spec.itemsize, spec.offset).reshape(spec.shape).copy()
        for name, spec in record.arrays.items()
    }
    if _ATTRIBUTES not in arrays:
        raise CorruptIndexError("there are no attributes in this file", file=directory / record.path)
    return ArraysFile(arrays, parse_object(arrays.pop(_ATTRIBUTES).tobytes()))


def _check_path(path: str) -> None:
    if names.kind_of(path) is None:
        raise ConfigError(f"{path!r} is not a file name of a colstore index")


def _compare(path: Path, found: str, record: FileEntry) -> None:
    if found != record.checksum:
        raise ChecksumError(
            "bytes changed since they were written: restore the file from a copy of the index, or build the "
            "index again",
            file=path,
        )
