"""Which documents a search may return: ``where=`` on metadata, ``ids=`` by name. Applied before probing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from colstore.errors import QueryError, UnknownIdError
from colstore.kernels.calls import Ints
from colstore.search.segment_view import SegmentView
from colstore.types import Json

Where = Mapping[str, Any]
_MISSING = object()


def allowed_documents(views: Sequence[SegmentView], where: Where | None, ids: Iterable[str] | None) -> Ints | None:
    """Return the allowed documents as ascending numbers through the index; ``None`` allows all.

    Parameters
    ----------
    views
        Of the index.
    where
        Field to a value (equal to it), to a list of values (any of them), or to a mapping of ``eq``, ``ne``, ``gt``,
        ``gte``, ``lt``, ``lte``, ``in``; all fields must hold. A document without the field does not match.
    ids
        Names; all must be in the index.

    Raises
    ------
    QueryError
        A field that no document has, an unknown comparison, or something else than fields and ids.
    UnknownIdError
        An id that is not in the index.
    """
    if where is None and ids is None:
        return None
    chosen = None if ids is None else by_ids(views, ids)
    return chosen if where is None else _by_metadata(views, where, chosen)


def checked_ids(ids: Iterable[str]) -> list[str]:
    """Return ids as a list; a lone string is a list of one.

    Raises
    ------
    QueryError
        Something else than strings.
    """
    if not isinstance(ids, Iterable):
        raise QueryError(f"ids must be a list of strings, got {ids!r}")
    wanted = [ids] if isinstance(ids, str) else list(ids)
    for name in wanted:
        if not isinstance(name, str):
            raise QueryError(f"ids must be strings, got {name!r}")
    return wanted


def by_ids(views: Sequence[SegmentView], ids: Iterable[str]) -> Ints:
    """Return the ascending, distinct document numbers of ids."""
    wanted = checked_ids(ids)
    numbers = find(views, wanted)
    missing = [name for name, number in zip(wanted, numbers, strict=True) if number < 0]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:5])
        raise UnknownIdError(f"{len(missing)} of {len(wanted)} ids are not in the index, such as {shown}")
    return np.unique(numbers)


def find(views: Sequence[SegmentView], ids: Sequence[str]) -> Ints:
    """Return the document number of each id, -1 where the index has none (or no longer)."""
    numbers = np.full(len(ids), -1, np.int64)
    for view in views:
        local = view.segment.ids.find_many(ids)
        if view.deleted is not None:
            local[view.is_deleted[local] & (local >= 0)] = -1
        numbers = np.where(local >= 0, local + view.first, numbers)
    return numbers


def _by_metadata(views: Sequence[SegmentView], where: Where, chosen: Ints | None) -> Ints:
    if not isinstance(where, Mapping):
        raise QueryError(f"where must map metadata fields to values, got {where!r}")
    tests = {field: _test(field, condition) for field, condition in where.items()}
    unseen = set(tests)
    found = []
    for view in views:
        for local, metadata in enumerate(view.metadata):
            if view.is_deleted[local]:
                continue
            if unseen:
                unseen -= metadata.keys()
            if all(test(metadata.get(field, _MISSING)) for field, test in tests.items()):
                found.append(view.first + local)
    if unseen:
        known = sorted({field for view in views for metadata in view.metadata[:1000] for field in metadata})
        raise QueryError(
            f"no document has the metadata field {sorted(unseen)[0]!r}; there are {', '.join(known[:20]) or 'none'}"
        )
    numbers = np.array(found, np.int64)
    return numbers if chosen is None else np.intersect1d(numbers, chosen)


def _test(field: str, condition: Any) -> Callable[[Any], bool]:  # noqa: ANN401 - any JSON
    if isinstance(condition, Mapping):
        parts = [_comparison(field, name, operand) for name, operand in condition.items()]
        return lambda value: value is not _MISSING and all(part(value) for part in parts)
    if isinstance(condition, list | tuple | set | frozenset):
        return lambda value: any(_equal(value, option) for option in condition)
    return lambda value: _equal(value, condition)


def _comparison(field: str, name: str, operand: Any) -> Callable[[Any], bool]:  # noqa: ANN401 - any JSON
    match name:
        case "eq":
            return lambda value: _equal(value, operand)
        case "ne":
            return lambda value: not _equal(value, operand)
        case "in":
            if not isinstance(operand, list | tuple | set | frozenset):
                raise QueryError(f"'in' for {field!r} needs a list of values, got {operand!r}")
            return lambda value: any(_equal(value, option) for option in operand)
        case "gt":
            return lambda value: _ordered(value, operand) and value > operand
        case "gte":
            return lambda value: _ordered(value, operand) and value >= operand
        case "lt":
            return lambda value: _ordered(value, operand) and value < operand
        case "lte":
            return lambda value: _ordered(value, operand) and value <= operand
    raise QueryError(f"{name!r} is no comparison for {field!r}: there are eq, ne, gt, gte, lt, lte and in")


def _equal(value: Any, wanted: Json) -> bool:  # noqa: ANN401 - any JSON
    """Compare as JSON does: true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _ordered(value: Any, operand: Any) -> bool:  # noqa: ANN401 - any JSON
    numbers = isinstance(value, int | float) and isinstance(operand, int | float)
    plain = not isinstance(value, bool) and not isinstance(operand, bool)
    return (numbers and plain) or (isinstance(value, str) and isinstance(operand, str))
