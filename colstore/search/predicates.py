"""What a comparison of a filter means for one value of a document, as JSON holds it.

Comparisons are those of JSON: a number never equals a text or a boolean, 1 equals 1.0. Orderings hold between two
numbers or between two texts (by code points) only. No comparison holds for a missing field. ``contains`` looks for an
element of a list. :mod:`colstore.search.column_tests` gives the same results for whole columns of values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from colstore.search.filter_grammar import And, Comparison, Expression, Not, Or
from colstore.types import Json

Metadata = Mapping[str, Json]
Predicate = Callable[[Metadata], bool]
MISSING = object()
"""Stands for the value of a field that a document does not have."""
KINDS = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "list",
    dict: "object",
}
"""Kinds of JSON values, by their types in Python."""


def predicate(expression: Expression) -> Predicate:
    """Return the function that tells whether a filter holds for a document's metadata."""
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
    field, test = comparison.field, value_test(comparison)

    def holds(metadata: Metadata) -> bool:
        value = metadata.get(field, MISSING)
        return value is not MISSING and test(value)

    return holds


def value_test(comparison: Comparison) -> Callable[[Any], bool]:
    """Return the test of a value that the document has."""
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
    keys = {value_key(operand) for operand in operands if not isinstance(operand, range)}
    if ranges:
        return lambda value: value_key(value) in keys or any(is_in_range(value, numbers) for numbers in ranges)
    kinds = {kind for kind, _ in keys}
    if kinds == {"text"}:  # the two usual cases, without making keys
        texts = {text for _, text in keys}
        return lambda value: type(value) is str and value in texts
    if kinds == {"number"}:
        numbers = {number for _, number in keys}
        return lambda value: type(value) in (int, float) and value in numbers
    return lambda value: value_key(value) in keys


def is_in_range(value: Any, numbers: range) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a whole number is in a range, without walking through it."""
    is_whole = KINDS[type(value)] == "number" and value % 1 == 0
    return is_whole and int(value) in numbers


def value_key(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
    """Return what is equal, and hashes equally, for equal JSON values: true is not 1, 1 is 1.0."""
    kind = KINDS[type(value)]
    if kind == "list":
        return kind, tuple(value_key(item) for item in value)
    if kind == "object":
        return kind, frozenset((name, value_key(item)) for name, item in value.items())
    return kind, value


def operand_kinds(comparison: Comparison) -> frozenset[str] | None:
    """Return the kinds of values that a comparison can be true of; ``None`` for any."""
    operands = comparison.operand if comparison.op == "in" else (comparison.operand,)
    assert isinstance(operands, tuple)  # as the grammar has made it
    kinds = frozenset("number" if isinstance(operand, range) else KINDS[type(operand)] for operand in operands)
    return None if not kinds or "null" in kinds else kinds


def is_comparable(comparison: Comparison, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a value (not :data:`MISSING`) is of a kind that a comparison can be true of."""
    kinds = operand_kinds(comparison)
    if comparison.op != "contains":
        return kinds is None or KINDS[type(value)] in kinds
    if not isinstance(value, list):
        return False
    return kinds is None or not value or any(KINDS[type(item)] in kinds for item in value)
