"""Comparisons of a filter on columns: evaluated once for each distinct value, then taken for each document.

The meaning is that of :mod:`colstore.search.predicates`.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.search.columns import Column, Lists, Texts, is_exact
from colstore.search.filter_grammar import Comparison
from colstore.search.predicates import KINDS, is_in_range, operand_kinds, value_key
from colstore.types import Json

Mask = NDArray[np.bool_]
_SCANS_FROM = 16
"""Looking up one text costs as much as comparing about so many texts in a scan."""
_EXACT_INTEGERS = 2**53


def holds_for(column: Column, comparison: Comparison) -> Mask:
    """Return for each document whether a comparison holds, ``(documents,)`` bool."""
    mask: Mask = table(column, comparison)[column.codes]
    return mask


def comparable_codes(column: Column, comparison: Comparison) -> Mask:
    """Return for each code of a column whether its value is of a kind that a comparison can be true of."""
    mask = np.zeros(column.size, bool)
    kinds, starts = operand_kinds(comparison), column.starts
    if comparison.op != "contains":
        for kind, codes in starts.items():
            mask[codes] = kinds is None or kind in kinds
    elif column.lists is not None:
        lists = column.lists
        items = np.zeros(lists.items.size, bool)
        for kind, codes in lists.items.starts.items():
            items[codes] = kinds is None or kind in kinds
        mask[starts["list"]] = _any_item(lists, items) | (np.diff(lists.offsets) == 0)
    return mask


def table(column: Column, comparison: Comparison) -> Mask:
    """Return for each code of a column whether a comparison holds for its value, ``(codes,)`` bool."""
    mask = np.zeros(column.size, bool)
    operand: Any = comparison.operand
    match comparison.op:
        case "exists":
            mask[1:] = True
        case "eq":
            _mark_equal(column, (operand,), mask)
        case "in":
            _mark_equal(column, operand, mask)
        case "contains":
            if column.lists is not None:
                items = np.zeros(column.lists.items.size, bool)
                _mark_equal(column.lists.items, (operand,), items)
                mask[column.starts["list"]] = _any_item(column.lists, items)
        case "gt" | "gte" | "lt" | "lte":
            _mark_ordered(column, comparison.op, operand, mask)
    return mask


def _any_item(lists: Lists, items: Mask) -> Mask:
    """Return for each list whether any of its items is marked; ``items`` says it for each code of an item."""
    marked = np.concatenate([[0], np.cumsum(items[lists.items.codes])])
    return np.asarray(marked[lists.offsets[1:]] > marked[lists.offsets[:-1]])


def _mark_ordered(column: Column, op: str, operand: Any, mask: Mask) -> None:  # noqa: ANN401 - a number or a text
    if isinstance(operand, str):
        values, codes, operand = column.texts, column.starts["text"], operand.encode("utf-8", "surrogatepass")
        below, up_to = bisect_left(values, operand), bisect_right(values, operand)
    else:  # compared as Python's numbers, which compare exactly
        key = float if column.numbers.dtype == np.float64 else None
        codes = column.starts["number"]
        below = bisect_left(column.numbers, operand, key=key)
        up_to = bisect_right(column.numbers, operand, key=key)
    part = mask[codes]
    match op:
        case "gt":
            part[up_to:] = True
        case "gte":
            part[below:] = True
        case "lt":
            part[:below] = True
        case "lte":
            part[:up_to] = True


# --- equality -------------------------------------------------------------------------------------------------


def _mark_equal(column: Column, operands: Sequence[Json | range], mask: Mask) -> None:
    """Mark the codes of values that equal one of the operands."""
    by_kind: dict[str, list[Any]] = {}
    for operand in operands:
        by_kind.setdefault("range" if isinstance(operand, range) else KINDS[type(operand)], []).append(operand)
    mask[1] |= "null" in by_kind
    mask[[3 if operand else 2 for operand in by_kind.get("boolean", ())]] = True
    numbers = column.starts["number"]
    mask[numbers] |= _equal_numbers(column.numbers, by_kind.get("number", ()))
    mask[numbers] |= _in_ranges(column.numbers, by_kind.get("range", ()))
    mask[column.starts["text"]] |= _equal_texts(column.texts, by_kind.get("text", ()))
    mask[column.starts["list"]] |= _equal_lists(column.lists, by_kind.get("list", ()))
    mask[column.starts["object"]] |= _equal_objects(column.objects, by_kind.get("object", ()))


def _equal_numbers(numbers: NDArray[Any], operands: Sequence[Any]) -> Mask:
    if not operands:
        return np.zeros(len(numbers), bool)
    if numbers.dtype != np.float64:
        wanted = set(operands)
        return np.array([number in wanted for number in numbers.tolist()], bool)
    return np.isin(numbers, np.array([operand for operand in operands if is_exact(operand)], np.float64))


def _in_ranges(numbers: NDArray[Any], ranges: Sequence[range]) -> Mask:
    mask = np.zeros(len(numbers), bool)
    for one in filter(None, ranges):  # without the empty ones
        if numbers.dtype == np.float64 and max(abs(one.start), abs(one.stop), abs(one.step)) < _EXACT_INTEGERS:
            low, high = min(one[0], one[-1]), max(one[0], one[-1])
            inside = np.flatnonzero((numbers >= low) & (numbers <= high))
            mask[inside] |= (numbers[inside] - one.start) % one.step == 0
        else:
            mask |= np.array([is_in_range(number, one) for number in numbers.tolist()], bool)
    return mask


def _equal_texts(texts: Texts, operands: Sequence[str]) -> Mask:
    mask = np.zeros(len(texts), bool)
    wanted = {operand.encode("utf-8", "surrogatepass") for operand in operands}
    if len(wanted) * _SCANS_FROM > len(texts):
        places = texts.offsets.tolist()
        mask[[i for i, (start, stop) in enumerate(pairwise(places)) if texts.data[start:stop] in wanted]] = True
        return mask
    for text in wanted:
        place = bisect_left(texts, text)
        if place < len(texts) and texts[place] == text:
            mask[place] = True
    return mask


def _equal_objects(objects: Sequence[str], operands: Sequence[Json]) -> Mask:
    if not operands:
        return np.zeros(len(objects), bool)
    keys = {value_key(operand) for operand in operands}
    return np.array([value_key(json.loads(text)) in keys for text in objects], bool)


def _equal_lists(lists: Lists | None, operands: Sequence[list[Json]]) -> Mask:
    if lists is None:
        return np.zeros(0, bool)
    mask = np.zeros(len(lists), bool)
    for operand in operands:
        mask |= _equal_list(lists, operand)
    return mask


def _equal_list(lists: Lists, operand: list[Json]) -> Mask:
    """Return which lists equal a list: those of its length whose items equal its items, one place after another."""
    mask = np.asarray(np.diff(lists.offsets) == len(operand))
    for place, item in enumerate(operand):
        rows = np.flatnonzero(mask)
        if not len(rows):
            break
        items = np.zeros(lists.items.size, bool)
        _mark_equal(lists.items, (item,), items)
        mask[rows] = items[lists.items.codes[lists.offsets[rows] + place]]
    return mask
