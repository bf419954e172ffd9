"""Which documents of a segment are deleted: local numbers in a small file beside it, one per generation.

A segment never changes. Deleting writes the whole list anew under the new generation's number, and the next
manifest names it; readers of older generations keep theirs.
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
    directory: Path, record: SegmentEntry, generation: int, documents: NDArray[np.integer], tokens: int
) -> SegmentEntry:
    """Write the list of a segment's deleted documents durably, and return the segment's record with it.

    Parameters
    ----------
    directory
        Of the index.
    record
        Of the segment.
    generation
        That will name the file first.
    documents
        Local numbers of all deleted documents, ascending, none twice; at least one.
    tokens
        Of these documents.
    """
    path = names.deletes_name(record.id, generation)
    file = write_arrays_file(directory, path, {"documents": documents.astype("<u4")}, {"segment": record.id})
    return replace(record, deleted=DeletedEntry(len(documents), tokens, file))


def read_tombstones(directory: Path, record: SegmentEntry) -> Numbers | None:
    """Return the local numbers of a segment's deleted documents, ascending int64; ``None`` where none is.

    Raises
    ------
    MissingFileError, TruncatedFileError, ChecksumError
        The file is not what was written.
    CorruptIndexError
        The numbers do not rise, or there are no such documents.
    """
    if record.deleted is None:
        return None
    file = record.deleted.file
    numbers = read_arrays_file(directory, file).arrays["documents"].astype(np.int64)
    if (np.diff(numbers) < 1).any() or int(numbers[-1]) >= record.documents:
        raise CorruptIndexError(
            "the numbers of deleted documents do not rise, or lead out of the segment",
            file=directory / file.path,
        )
    return numbers
