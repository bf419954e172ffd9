"""Files that are read as a whole: opaque files (FAISS, ONNX, tokenizer) and small HDF5 files (the codec)."""

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
from colstore.store.files import AtomicFile, make_folder, write_file
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
        Arrays by name, in memory.
    attributes
        JSON object that is stored beside them.
    """

    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Json]


def check_size(directory: Path, entry: FileEntry) -> None:
    """Check that a file exists and has the size that its entry states.

    Raises
    ------
    MissingFileError
        The file does not exist.
    TruncatedFileError
        The file has another size.
    """
    check_file_size(directory / entry.path, entry.bytes)


def check_checksum(directory: Path, entry: FileEntry) -> None:
    """Compare the size and checksum of a file with its entry. The file is read in blocks.

    Raises
    ------
    MissingFileError
        The file does not exist.
    TruncatedFileError, ChecksumError
        The size or the checksum differs.
    """
    check_size(directory, entry)
    _compare(directory / entry.path, file_checksum(directory / entry.path), entry)


def read_whole(directory: Path, entry: FileEntry) -> bytes:
    """Return the content of a file after comparing its size and checksum with its entry.

    Raises
    ------
    MissingFileError
        The file does not exist.
    TruncatedFileError, ChecksumError
        The size or the checksum differs.
    """
    check_size(directory, entry)
    data = read_file(directory / entry.path, entry.bytes)
    _compare(directory / entry.path, checksum(data), entry)
    return data


def write_whole(directory: Path, path: str, data: bytes) -> FileEntry:
    """Write an opaque file durably.

    Parameters
    ----------
    directory
        Directory of the index.
    path
        Path relative to the index, one that :func:`colstore.store.format.kind_of` knows. No manifest may name it yet,
        because files never change once a manifest names them.
    data
        Content of the file.

    Returns
    -------
    FileEntry
        Entry for the manifest.

    Raises
    ------
    ConfigError
        The path is not a file name of an index.
    StorageError
        The write failed.
    """
    _check_path(path)
    make_folder((directory / path).parent)
    write_file(directory / path, data)
    return FileEntry(path, len(data), checksum(data))


def write_arrays_file(
    directory: Path, path: str, arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Json]
) -> FileEntry:
    """Write a small HDF5 file with named arrays and a JSON object durably.

    Parameters
    ----------
    directory, path
        As in :func:`write_whole`.
    arrays
        Arrays by name; they are stored little-endian. The name ``"attributes"`` is reserved for the JSON object.
    attributes
        Any JSON object.

    Returns
    -------
    FileEntry
        Entry for the manifest.

    Raises
    ------
    ConfigError
        The path is not a file name of an index, or an array name is not allowed.
    StorageError
        The write failed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     arrays = {"steps": np.arange(3.0)}
    ...     entry = write_arrays_file(Path(folder), "codec-000001.h5", arrays, {"bits": 4})
    ...     loaded = read_arrays_file(Path(folder), entry)
    >>> loaded.arrays["steps"].tolist(), loaded.attributes
    ([0.0, 1.0, 2.0], {'bits': 4})
    """
    _check_path(path)
    if _ATTRIBUTES in arrays or not all(names.is_array_name(name) for name in arrays):
        raise ConfigError(
            f"invalid array names in {sorted(arrays)}: use a-z, 0-9 and '_', and not the reserved name {_ATTRIBUTES!r}"
        )
    stored = {name: np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    stored[_ATTRIBUTES] = np.frombuffer(canonical(dict(attributes)), dtype=np.uint8)
    make_folder((directory / path).parent)
    layout = hdf5.make_layout(
        {name: (array.dtype.str, array.shape) for name, array in stored.items()},
        {"colstore_format": f"arrays {names.FORMAT_VERSION}"},
    )
    with AtomicFile(directory / path) as file:
        hdf5.write_layout(file, layout, {name: hdf5.array_source(array) for name, array in stored.items()})
        problems = hdf5.layout_problems(file.path, layout.arrays)
        whole = file_checksum(file.path)
        if problems:
            raise StorageError(f"{directory / path} reads back differently from what was written: {problems[0]}")
        file.publish()
    return FileEntry(path, layout.size, whole, layout.arrays)


def read_arrays_file(directory: Path, entry: FileEntry) -> ArraysFile:
    """Read a file of arrays into memory after comparing its checksum, without libhdf5.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        The file is missing or damaged.
    CorruptIndexError
        The entry lists no attributes, or they are not JSON.
    """
    data = read_whole(directory, entry)
    arrays = {
        name: np.frombuffer(data, spec.dtype, spec.nbytes // spec.itemsize, spec.offset).reshape(spec.shape).copy()
        for name, spec in entry.arrays.items()
    }
    if _ATTRIBUTES not in arrays:
        raise CorruptIndexError("there are no attributes in this file", file=directory / entry.path)
    return ArraysFile(arrays, parse_object(arrays.pop(_ATTRIBUTES).tobytes()))


def _check_path(path: str) -> None:
    if names.kind_of(path) is None:
        raise ConfigError(f"{path!r} is not a file name of a colstore index")


def _compare(path: Path, actual: str, entry: FileEntry) -> None:
    if actual != entry.checksum:
        raise ChecksumError(
            "bytes changed since they were written: restore the file from a copy of the index, or build the "
            "index again",
            file=path,
        )
