"""Deletes documents: a list beside their segment names them, and the next generation no longer returns them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from colstore.config import OnError
from colstore.errors import QueryError, UnknownIdError
from colstore.kernels.calls import Ints
from colstore.reports import ChangeReport
from colstore.search.filter_grammar import EVERYTHING, parse_where
from colstore.search.filters import Where, allowed_documents, check_missing, checked_ids, find
from colstore.search.searcher import Searcher
from colstore.updating.change import Change

WINDOW = 4_096
"""Ids that are looked up at once; bounds memory."""


def delete(
    path: Path,
    ids: Iterable[str] | None = None,
    *,
    where: Where | None = None,
    missing: OnError = "error",
    wait: float = 0.0,
) -> ChangeReport:
    """Delete documents from an index: all of them in one commit.

    The filter is evaluated on the newest generation, while the writer lock is held. The bytes of deleted documents stay
    in the segment until it is merged (see :mod:`colstore.updating.merge_policy`) or compacted, and in older generations
    until those are removed.

    Parameters
    ----------
    path
        Path of the index.
    ids
        Ids of the documents to delete; an id that comes twice counts once.
    where
        A filter on metadata; together with ``ids``, only those of the ids that it allows are deleted.
    missing
        Treatment of ids that the index does not hold: ``"error"``, or ``"skip"`` to count them in the report.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    UnknownIdError
        The index does not hold one of the ids; nothing was deleted.
    QueryError
        Neither ids nor a condition were given, or the filter is invalid; nothing was deleted.
    IndexLockedError, StorageError, CorruptIndexError
        The index is then what it was.
    """
    check_missing(missing)
    names = None if ids is None else list(dict.fromkeys(checked_ids(ids)))
    _check_condition(names, where)
    with Change(path, wait) as change:
        searcher = Searcher(change.snapshot.segments, change.snapshot.codec, deleted=change.snapshot.deleted)
        numbers = None if names is None else _numbers(searcher, names, missing, change.report)
        if where is not None:
            matching = allowed_documents(searcher.views, where, None)
            assert matching is not None  # there is a condition
            numbers = matching if numbers is None else np.intersect1d(numbers, matching)
        assert numbers is not None  # there are ids, or a condition
        change.delete(_places(searcher, numbers))
        change.report.deleted = len(numbers)
        if not change.is_empty:
            change.merge_due()
            change.commit()
        return change.finish()


def _check_condition(names: list[str] | None, where: Where | None) -> None:
    """Refuse a call that names no documents: it would delete them all, or was not finished."""
    if where is not None and parse_where(where) == EVERYTHING:
        raise QueryError("where= is without a condition and would delete every document: give one, such as a field")
    if names is None and where is None:
        raise QueryError("nothing says what to delete: give ids, or a filter as where=")


def _numbers(searcher: Searcher, names: list[str], missing: OnError, report: ChangeReport) -> Ints:
    """Return the numbers of the documents with these ids, and count those that are not there."""
    windows = [find(searcher.views, names[i : i + WINDOW]) for i in range(0, len(names), WINDOW)]
    numbers = np.concatenate([np.zeros(0, np.int64), *windows])
    unknown = [names[i] for i in np.flatnonzero(numbers < 0).tolist()]
    if unknown and missing == "error":
        shown = ", ".join(repr(name) for name in unknown[:5])
        raise UnknownIdError(
            f"{len(unknown)} of {len(names)} ids are not in the index, such as {shown}: nothing was deleted; to delete "
            "the others all the same, skip these with missing='skip'"
        )
    report.unknown = len(unknown)
    return numbers[numbers >= 0]


def _places(searcher: Searcher, numbers: Ints) -> list[tuple[int, int]]:
    """Return for each document the position of its segment, and its local number."""
    firsts = np.array([view.first for view in searcher.views], np.int64)
    segments = np.searchsorted(firsts, numbers, side="right") - 1
    return list(zip(segments.tolist(), (numbers - firsts[segments]).tolist(), strict=True))
