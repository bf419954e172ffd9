"""Opening files for reading: only regular files, and only with the size that the manifest states."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colstore.errors import CorruptIndexError, MissingFileError, TruncatedFileError
from colstore.store.files import storage_errors

_MISSING = "the file is missing: restore it from a copy of the index, or build the index again"


@contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """Open a regular file for reading and yield its descriptor. Opening a pipe or a device does not block.

    Raises
    ------
    MissingFileError
        The file does not exist.
    CorruptIndexError
        The path is a folder, a pipe or a device.
    StorageError
        The file cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    with storage_errors(path, "opening"):
        try:
            descriptor = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(_MISSING, file=path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CorruptIndexError("this is not a regular file", file=path)
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises
    ------
    MissingFileError, StorageError
        As in :func:`open_regular`.
    CorruptIndexError
        The file is not a regular file, or is larger than ``limit``.
    """
    with open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise CorruptIndexError(f"{size:,} bytes, where at most {limit:,} are allowed", file=path)
        with storage_errors(path, "reading"), os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(size)


def check_file_size(path: Path, size: int) -> None:
    """Check that a file exists and has ``size`` bytes.

    Raises
    ------
    MissingFileError
        The file does not exist.
    TruncatedFileError
        The file has another size.
    """
    with storage_errors(path, "examining"):
        try:
            actual = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(_MISSING, file=path) from error
    compare_size(path, actual, size)


def compare_size(path: Path, actual: int, size: int) -> None:
    """Refuse a file that has ``actual`` bytes instead of ``size``.

    Raises
    ------
    TruncatedFileError
        The two sizes differ.
    """
    if actual != size:
        raise TruncatedFileError(
            f"{actual:,} bytes, where {size:,} were written: copy the index again, or build it again",
            file=path,
        )
