"""The deleted documents of a segment: their local numbers, in a small file of each generation that deletes some.

A segment never changes. A deletion writes the whole list again under the number of the new generation, and the next
manifest names that file; readers of older generations go on using theirs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorruptIndexError
from colstore.store import format as names
from colstore.store.entries import DeletedEntry, SegmentEntry
from colstore.store.whole_files import read_arrays_file, write_arrays_file

Numbers = NDArray[np.int64]


def write_tombstones(
    directory: Path, entry: SegmentEntry, generation: int, documents: NDArray[np.integer], tokens: int
) -> SegmentEntry:
    """Write the list of a segment's deleted documents durably, and return the segment's entry with that list.

    Parameters
    ----------
    directory
        Directory of the index.
    entry
        Entry of the segment.
    generation
        First generation whose manifest will name the file.
    documents
        Local numbers of all deleted documents, shape ``(n,)`` with ``n >= 1``, strictly ascending.
    tokens
        Number of tokens of these documents.

    Returns
    -------
    SegmentEntry
        The entry with :attr:`~colstore.store.SegmentEntry.deleted` set.

    Raises
    ------
    StorageError
        The write failed.
    """
    path = names.deletes_name(entry.id, generation)
    file = write_arrays_file(directory, path, {"documents": documents.astype("<u4")}, {"segment": entry.id})
    return replace(entry, deleted=DeletedEntry(len(documents), tokens, file))


def read_tombstones(directory: Path, entry: SegmentEntry) -> Numbers | None:
    """Return the local numbers of a segment's deleted documents, or ``None`` if no document is deleted.

    Returns
    -------
    ndarray or None
        Ascending local numbers, shape ``(deleted documents,)``, int64.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        The file is missing or damaged.
    CorruptIndexError
        The numbers are not ascending, or exceed the number of documents.
    """
    if entry.deleted is None:
        return None
    file = entry.deleted.file
    numbers = read_arrays_file(directory, file).arrays["documents"].astype(np.int64)
    if (np.diff(numbers) < 1).any() or int(numbers[-1]) >= entry.documents:
        raise CorruptIndexError(
            "the numbers of deleted documents are not ascending, or exceed the number of documents in the segment",
            file=directory / file.path,
        )
    return numbers
