"""What going back from one generation to another would lose: documents, by their ids and by what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from colstore.living.snapshot import Snapshot
from colstore.store import Segment

Place: TypeAlias = tuple[Segment, int]
"""A segment and a document's number in it."""


def places(snapshot: Snapshot) -> dict[str, Place]:
    """Return where each live document is.

    Raises
    ------
    CorruptIndexError
        Ids cannot be read.
    """
    found: dict[str, Place] = {}
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        numbers = np.arange(segment.documents)
        live = numbers if deleted is None else np.delete(numbers, deleted)
        found.update((name, (segment, int(i))) for name, i in zip(segment.ids.many(live), live, strict=True))
    return found


def changed(older: Mapping[str, Place], newest: Mapping[str, Place], arrays: tuple[str, ...]) -> int:
    """Return how many documents of both are not the same in both.

    Parameters
    ----------
    arrays
        Token arrays to compare; none where the two have different codecs.

    Raises
    ------
    CorruptIndexError
        A document cannot be read.
    """
    return sum(not _same(older[name], newest[name], arrays) for name in older.keys() & newest.keys())


def _same(one: Place, other: Place, arrays: tuple[str, ...]) -> bool:
    (first, i), (second, j) = one, other
    if i == j and first.same_file(second.entry):
        return True
    here, there = _rows(one), _rows(other)
    if here[1] - here[0] != there[1] - there[0]:
        return False
    if first.record(i) != second.record(j) or first.metadata(i) != second.metadata(j):
        return False
    return all(np.array_equal(first.rows(name, *here), second.rows(name, *there)) for name in arrays)


def _rows(place: Place) -> tuple[int, int]:
    segment, number = place
    offsets = segment.doc_offsets()
    return int(offsets[number]), int(offsets[number + 1])
