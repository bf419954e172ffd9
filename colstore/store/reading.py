"""Opening files for reading: ordinary files only, of the size that was recorded."""

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
    """Open an ordinary file for reading and yield its descriptor; a pipe or a device does not block.

    Raises
    ------
    MissingFileError
        There is no such file.
    CorruptIndexError
        It is a folder, a pipe or a device.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
    with storage_errors(path, "opening"):
        try:
            descriptor = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(_MISSING, file=path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CorruptIndexError("this is not an ordinary file", file=path)
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of an ordinary file of at most ``limit`` bytes.

    Raises
    ------
    MissingFileError, CorruptIndexError
        As :func:`open_regular`; also when the file is larger than ``limit``.
    """
    with open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise CorruptIndexError(f"{size:,} bytes, where at most {limit:,} are allowed", file=path)
        with storage_errors(path, "reading"), os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(size)


def check_file_size(path: Path, size: int) -> None:
    """Check that a file is there and has this size.

    Raises
    ------
    MissingFileError, TruncatedFileError
        It is not, or has not.
    """
    with storage_errors(path, "looking at"):
        try:
            found = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingFileError(_MISSING, file=path) from error
    compare_size(path, found, size)


def compare_size(path: Path, found: int, size: int) -> None:
    """Refuse a file that has ``found`` bytes instead of ``size``.

    Raises
    ------
    TruncatedFileError
        The two differ.
    """
    if found != size:
        raise TruncatedFileError(
            f"{found:,} bytes, where {size:,} were written: copy the index again, or build it again",
            file=path,
        )
