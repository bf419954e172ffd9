"""The number of the newest generation, noted beside the manifests.

An index whose newest manifest vanished would else look like the index before it. The note is written when the manifest
is durable, and not synced: it may be too low or unreadable, which says nothing, but never too high.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import xxhash

from colstore.errors import CorruptIndexError, StorageError
from colstore.store.files import write_over
from colstore.store.format import NEWEST
from colstore.store.reading import read_file

_BYTES = 64


def note(directory: Path, generation: int) -> None:
    """Note that a generation was committed. Hold the writer lock; a disk that refuses is no error: nothing needs it."""
    with suppress(StorageError):
        write_over(directory / NEWEST, _line(generation))


def noted(directory: Path) -> int:
    """Return the highest generation that is known to have been committed; 0 where nothing is known."""
    try:
        data = read_file(directory / NEWEST, _BYTES)
        generation = int(data[:12])
    except (CorruptIndexError, StorageError, ValueError):
        return 0
    return generation if data == _line(generation) else 0


def _line(generation: int) -> bytes:
    """Return the file's content: always as many bytes, so that one write replaces it.

    >>> _line(7).split()
    [b'000000000007', b'948af0343fac5911']
    """
    digits = f"{generation:012d}"
    return f"{digits} {xxhash.xxh3_64_hexdigest(digits.encode())}\n".encode()
