"""Which documents a search may return: ``where=`` on metadata, ``ids=`` by name. Applied before probing.

The filter language is read by :mod:`colstore.search.filter_grammar`; this module holds what each operator means.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from colstore.config import OnError
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.kernels.calls import Ints
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
from colstore.search.segment_view import SegmentView
from colstore.types import Json

Where = Mapping[str, Any]
Metadata = Mapping[str, Json]
Predicate = Callable[[Metadata], bool]
_MISSING = object()


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
    chosen = None if ids is None else np.unique(numbers_of(views, checked_ids(ids)))
    if expression == EVERYTHING:
        return chosen
    check_fields(expression, views)
    holds = predicate(expression)
    if chosen is None:
        numbers = (number for number, metadata in _live_metadata(views) if holds(metadata))
    else:
        numbers = (number for number, metadata in _metadata_of(views, chosen) if holds(metadata))
    return np.fromiter(numbers, np.int64)


def _live_metadata(views: Sequence[SegmentView]) -> Iterator[tuple[int, Metadata]]:
    """Yield number and metadata of every document that is not deleted."""
    for view in views:
        deleted = view.is_deleted.tolist()  # whose items are read faster than those of an array
        for number, metadata in enumerate(view.metadata, view.first):
            if not deleted[number - view.first]:
                yield number, metadata


def _metadata_of(views: Sequence[SegmentView], numbers: Ints) -> Iterator[tuple[int, Metadata]]:
    """Yield number and metadata of some documents (ascending numbers)."""
    for view in views:
        start, stop = np.searchsorted(numbers, [view.first, view.first + view.documents])
        for number in numbers[start:stop].tolist():
            yield number, view.metadata[number - view.first]


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
    numbers = np.full(len(ids), -1, np.int64)
    for view in views:
        local = view.segment.ids.find_many(ids)
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


# --- the meaning of filters -----------------------------------------------------------------------------------


def predicate(expression: Expression) -> Predicate:
    """Return the function that tells whether a filter holds for a document's metadata.

    Comparisons are those of JSON: a number never equals a text or a boolean, 1 equals 1.0. Orderings hold between two
    numbers or between two texts (by code points) only. No comparison holds for a missing field. ``contains`` looks for
    an element of a list.
    """
    match expression:
        case Comparison():
            return _comparison(expression)
        case Not(part):
            holds = predicate(part)
            return lambda metadata: not holds(metadata)
        case And(parts):
            return _first([predicate(part) for part in parts], stops=False)
        case Or(parts):
            return _first([predicate(part) for part in parts], stops=True)


def _first(tests: Sequence[Predicate], *, stops: bool) -> Predicate:
    """Return what evaluates tests until one gives ``stops``; that is then the outcome, else its opposite."""

    def holds(metadata: Metadata) -> bool:
        for test in tests:  # faster than all() and any() of a generator
            if test(metadata) is stops:
                return stops
        return not stops

    return holds


def _comparison(comparison: Comparison) -> Predicate:
    field, test = comparison.field, _test(comparison)

    def holds(metadata: Metadata) -> bool:
        value = metadata.get(field, _MISSING)
        return value is not _MISSING and test(value)

    return holds


def _test(comparison: Comparison) -> Callable[[Any], bool]:
    """Return the test of a value that is there."""
    operand: Any = comparison.operand
    match comparison.op:
        case "exists":
            return lambda _: True
        case "eq":
            return _member_test((operand,))
        case "in":
            return _member_test(operand)
        case "contains":
            is_member = _member_test((operand,))
            return lambda value: isinstance(value, list) and any(is_member(item) for item in value)
    types = (str,) if isinstance(operand, str) else (int, float)
    match comparison.op:
        case "gt":
            return lambda value: type(value) in types and value > operand
        case "gte":
            return lambda value: type(value) in types and value >= operand
        case "lt":
            return lambda value: type(value) in types and value < operand
        case "lte":
            return lambda value: type(value) in types and value <= operand


def _member_test(operands: Sequence[Json | range]) -> Callable[[Any], bool]:
    """Return the test whether a value equals one of the operands."""
    ranges = [operand for operand in operands if isinstance(operand, range)]
    keys = {_key(operand) for operand in operands if not isinstance(operand, range)}
    if ranges:
        return lambda value: _key(value) in keys or any(_in_range(value, numbers) for numbers in ranges)
    kinds = {kind for kind, _ in keys}
    if kinds == {"text"}:  # the two usual cases, without making keys
        texts = {text for _, text in keys}
        return lambda value: type(value) is str and value in texts
    if kinds == {"number"}:
        numbers = {number for _, number in keys}
        return lambda value: type(value) in (int, float) and value in numbers
    return lambda value: _key(value) in keys


def _in_range(value: Any, numbers: range) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a whole number is in a range, without walking through it."""
    is_whole = _KINDS[type(value)] == "number" and value % 1 == 0
    return is_whole and int(value) in numbers


_KINDS = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "list",
    dict: "object",
}


_NAMES = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "list": "a list",
    "object": "an object",
}


def _key(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
    """Return what is equal, and hashes equally, for equal JSON values: true is not 1, 1 is 1.0."""
    kind = _KINDS[type(value)]
    if kind == "list":
        return kind, tuple(_key(item) for item in value)
    if kind == "object":
        return kind, frozenset((name, _key(item)) for name, item in value.items())
    return kind, value


# --- filters that match nothing by mistake --------------------------------------------------------------------


def check_fields(expression: Expression, views: Sequence[SegmentView]) -> None:
    """Refuse a filter with a comparison that says nothing about this index: most likely a mistake.

    Either no document has the field, or no document has a value of the operand's kind there (the filter compares with a
    number, the field holds text). A field that the filter also tests with ``exists`` may be missing and may hold
    anything. An index without documents takes every filter.

    Raises
    ------
    QueryError
        With the known fields, or a value that the field does hold.
    """
    comparisons = list(comparisons_of(expression))
    exempt = {comparison.field for comparison in comparisons if comparison.op == "exists"}
    waiting = [(comparison, _kinds(comparison)) for comparison in comparisons if comparison.field not in exempt]
    is_empty = True
    for _, metadata in _live_metadata(views):
        is_empty = False
        if not waiting:
            return
        waiting = [
            (comparison, kinds) for comparison, kinds in waiting if not _is_comparable(comparison, kinds, metadata)
        ]
    if waiting and not is_empty:
        raise _mistake(waiting[0][0], views)


def _kinds(comparison: Comparison) -> frozenset[str] | None:
    """Return the kinds of values that a comparison can be true of; ``None`` for any."""
    operands = comparison.operand if comparison.op == "in" else (comparison.operand,)
    assert isinstance(operands, tuple)  # as the grammar has made it
    kinds = frozenset("number" if isinstance(operand, range) else _KINDS[type(operand)] for operand in operands)
    return None if not kinds or "null" in kinds else kinds


def _is_comparable(comparison: Comparison, kinds: frozenset[str] | None, metadata: Metadata) -> bool:
    """Tell whether a document has the field, with a value of one of these kinds."""
    if comparison.field not in metadata:
        return False
    value = metadata[comparison.field]
    if comparison.op != "contains":
        return kinds is None or _KINDS[type(value)] in kinds
    if not isinstance(value, list):
        return False
    return kinds is None or not value or any(_KINDS[type(item)] in kinds for item in value)


def _mistake(comparison: Comparison, views: Sequence[SegmentView]) -> QueryError:
    """Return the error for a comparison that no document is comparable with."""
    field, fields, value = comparison.field, set[str](), None
    for _, metadata in _live_metadata(views):
        fields.update(metadata)
        value = metadata.get(field) if value is None else value
    if field not in fields:
        return QueryError(
            f"no document has the metadata field {field!r}; there are {', '.join(sorted(fields)[:20]) or 'none'}. "
            f'Where it may be missing, test that, too: {{"exists": true}} beside the comparison'
        )
    kinds = " or ".join(_NAMES[kind] for kind in sorted(_kinds(comparison) or ()))
    what = f"a list with {kinds} in it" if comparison.op == "contains" else kinds
    return QueryError(
        f"the filter compares the metadata field {field!r} with {what}, and no document has that there: it holds "
        f"{_NAMES[_KINDS[type(value)]]}, such as {reprlib.repr(value)}{_remedy(comparison, value)}"
    )


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
