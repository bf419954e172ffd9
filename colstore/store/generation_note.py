"""The number of the newest generation, in a file of its own beside the manifests.

Without this note, an index that has lost its newest manifest would look like the generation before it. The note is
written after the manifest has become durable, and is not synced. It may therefore be too low or unreadable, which is
harmless, but it is never too high.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import xxhash

from colstore.errors import CorruptIndexError, StorageError
from colstore.store.files import write_in_place
from colstore.store.format import NEWEST
from colstore.store.reading import read_file

_BYTES = 64


def write_generation_note(directory: Path, generation: int) -> None:
    """Note that a generation was committed.

    The caller must hold the writer lock. A failed write is not an error, because an index works without the note.
    """
    with suppress(StorageError):
        write_in_place(directory / NEWEST, _line(generation))


def read_generation_note(directory: Path) -> int:
    """Return the generation in the note, or 0 if the note is missing or unreadable."""
    try:
        data = read_file(directory / NEWEST, _BYTES)
        generation = int(data[:12])
    except (CorruptIndexError, StorageError, ValueError):
        return 0
    return generation if data == _line(generation) else 0


def _line(generation: int) -> bytes:
    """Return the content of the note. Its size is always the same, so that a single write replaces it.

    >>> _line(7).split()
    [b'000000000007', b'948af0343fac5911']
    """
    digits = f"{generation:012d}"
    return f"{digits} {xxhash.xxh3_64_hexdigest(digits.encode())}\n".encode()
