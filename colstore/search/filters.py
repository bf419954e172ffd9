"""Which documents a search may return: ``where=`` on metadata, ``ids=`` by name. Applied before probing.

The filter language is read by :mod:`colstore.search.filter_grammar`. What each operator means is defined in
:mod:`colstore.search.predicates` for one value, and in :mod:`colstore.search.column_tests` for columns of values.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from colstore.config import OnError
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.kernels.calls import Ints
from colstore.search.column_tests import Mask
from colstore.search.comparisons import Outcome, compare_all
from colstore.search.filter_grammar import (
    EVERYTHING,
    And,
    Comparison,
    Expression,
    Not,
    Or,
    comparisons_of,
    parse_where,
)
from colstore.search.predicates import KINDS, Metadata, operand_kinds
from colstore.search.segment_view import SegmentView
from colstore.store.ids import SoughtIds
from colstore.types import Json

Where = Mapping[str, Any]


def allowed_documents(views: Sequence[SegmentView], where: Where | None, ids: Iterable[str] | None) -> Ints | None:
    """Return the allowed documents as ascending numbers through the index; ``None`` allows all.

    Parameters
    ----------
    views
        All segments of the index.
    where
        A filter on metadata, see ``docs/filters.md``.
    ids
        Ids of the documents to choose from; all must be in the index.

    Raises
    ------
    QueryError
        An invalid filter; a field that no document has; a comparison with a kind of value that no document has there.
    UnknownIdError
        An id that is not in the index.
    """
    expression = EVERYTHING if where is None else parse_where(where)
    chosen = None if ids is None else _ascending(numbers_of(views, checked_ids(ids)))
    if expression == EVERYTHING:
        return chosen
    outcomes = compare_all(views, list(comparisons_of(expression)))
    check_fields(outcomes, views)
    masks = [
        _evaluated(expression, {id(outcome.comparison): outcome.holds[number] for outcome in outcomes}, view)
        & ~view.is_deleted
        for number, view in enumerate(views)
    ]
    allowed = np.concatenate([np.zeros(0, bool), *masks])
    return np.flatnonzero(allowed) if chosen is None else chosen[allowed[chosen]]


def _ascending(numbers: Ints) -> Ints:
    """Return document numbers in ascending order, each once. For some tens of thousands `np.unique` is slower."""
    ordered = np.sort(numbers)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _evaluated(expression: Expression, holds: Mapping[int, Mask], view: SegmentView) -> Mask:
    """Return for each document of a segment whether a filter holds, from the outcomes of its comparisons."""
    match expression:
        case Comparison():
            return holds[id(expression)]
        case Not(part):
            return ~_evaluated(part, holds, view)
        case And(parts):
            mask = np.ones(view.documents, bool)
            for part in parts:
                mask &= _evaluated(part, holds, view)
        case Or(parts):
            mask = np.zeros(view.documents, bool)
            for part in parts:
                mask |= _evaluated(part, holds, view)
    return mask


# --- ids ------------------------------------------------------------------------------------------------------


def checked_ids(ids: Iterable[str]) -> list[str]:
    """Return ids as a list.

    Raises
    ------
    QueryError
        It is a lone string, not iterable, or holds something else than strings.
    """
    if isinstance(ids, str):
        raise QueryError(
            f"ids must be a list of strings, got the string {ids!r}: to name one document, write [{ids!r}]"
        )
    if not isinstance(ids, Iterable):
        raise QueryError(f"ids must be a list of strings, got {ids!r}")
    names = list(ids)
    if set(map(type, names)) - {str}:  # a quick look first: there may be many
        for name in names:
            if not isinstance(name, str):
                raise QueryError(f"ids must be strings, got {name!r}")
    return names


def check_missing(missing: object) -> None:
    """Refuse a treatment of unknown ids other than ``"error"`` and ``"skip"``."""
    if missing not in get_args(OnError):
        raise ConfigError(f"missing must be one of {get_args(OnError)}, got {missing!r}")


def find(views: Sequence[SegmentView], ids: Sequence[str]) -> Ints:
    """Return the document number of each id, -1 where the index has none (or no longer)."""
    sought = SoughtIds.of(ids)
    numbers = np.full(len(ids), -1, np.int64)
    for view in views:
        local = view.segment.ids.find_many(sought)
        if view.deleted is not None:
            local[view.is_deleted[local] & (local >= 0)] = -1
        numbers = np.where(local >= 0, local + view.first, numbers)
    return numbers


def numbers_of(views: Sequence[SegmentView], ids: Sequence[str]) -> Ints:
    """Return the document number of each id.

    Raises
    ------
    UnknownIdError
        The index does not hold one of them.
    """
    numbers = find(views, ids)
    unknown = [ids[i] for i in np.flatnonzero(numbers < 0).tolist()]
    if unknown:
        shown = ", ".join(repr(name) for name in unknown[:5])
        raise UnknownIdError(f"{len(unknown)} of {len(ids)} ids are not in the index, such as {shown}")
    return numbers


# --- filters that match nothing by mistake --------------------------------------------------------------------


_NAMES = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "list": "a list",
    "object": "an object",
}


def check_fields(outcomes: Sequence[Outcome], views: Sequence[SegmentView]) -> None:
    """Refuse a filter with a comparison that says nothing about this index: most likely a mistake.

    Either no document has the field, or no document has a value of the operand's kind there (the filter compares with a
    number, the field holds text). A field that the filter also tests with ``exists`` may be missing and may hold
    anything. An index without documents takes every filter.

    Raises
    ------
    QueryError
        With the known fields, or a value that the field does hold.
    """
    if all(view.is_deleted.all() for view in views):
        return
    exempt = {outcome.comparison.field for outcome in outcomes if outcome.comparison.op == "exists"}
    for outcome in outcomes:
        if outcome.comparison.field not in exempt and not outcome.is_comparable:
            raise _mistake(outcome.comparison, views)


def _mistake(comparison: Comparison, views: Sequence[SegmentView]) -> QueryError:
    """Return the error for a comparison that no document is comparable with."""
    field, fields, value = comparison.field, set[str](), None
    for metadata in _live_metadata(views):
        fields.update(metadata)
        value = metadata.get(field) if value is None else value
    if field not in fields:
        return QueryError(
            f"no document has the metadata field {field!r}; there are {', '.join(sorted(fields)[:20]) or 'none'}. "
            f'Where it may be missing, test that, too: {{"exists": true}} beside the comparison'
        )
    kinds = " or ".join(_NAMES[kind] for kind in sorted(operand_kinds(comparison) or ()))
    what = f"a list with {kinds} in it" if comparison.op == "contains" else kinds
    return QueryError(
        f"the filter compares the metadata field {field!r} with {what}, and no document has that there: it holds "
        f"{_NAMES[KINDS[type(value)]]}, such as {reprlib.repr(value)}{_remedy(comparison, value)}"
    )


def _live_metadata(views: Sequence[SegmentView]) -> Iterator[Metadata]:
    """Yield the metadata of every document that is not deleted."""
    for view in views:
        deleted = view.is_deleted.tolist()  # whose items are read faster than those of an array
        yield from (metadata for number, metadata in enumerate(view.segment.iter_metadata()) if not deleted[number])


def _remedy(comparison: Comparison, value: Json) -> str:
    """Return what to do where a field holds another kind of value than the filter compares with."""
    if comparison.op == "contains" and not isinstance(value, list):
        return ". 'contains' looks for an element of a list"
    if isinstance(value, list) and comparison.op in ("eq", "in"):
        return ". To look for an element of a list, use 'contains'"
    if isinstance(value, str):
        return '. To compare with text, put the value in quotes, such as "2020"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ". To compare with a number, write it without quotes"
    return ""
