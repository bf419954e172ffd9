r"""The filter language of ``where=``: reads a filter, from Python, JSON or a command line, into a small tree.

::

    filter     {key: condition, ...}; all must hold
    key        a metadata field; "and" or "or" (then a list of filters follows) or "not" (a filter)
    condition  a value (the field equals it), a list (any of its values), or {operator: operand, ...}; all must hold
    operator   eq ne gt gte lt lte in nin exists contains

A field that is itself called ``and``, ``or`` or ``not`` is written with a backslash in front (``"\\or"``); one leading
backslash is dropped from any key. The meaning of each operator is defined in :mod:`colstore.search.filters`, and
explained for users in ``docs/filters.md``.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from colstore.errors import QueryError
from colstore.types import Json

Operator = Literal["eq", "in", "contains", "gt", "gte", "lt", "lte", "exists"]
OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "contains")
"""What may be written. ``ne`` and ``nin`` are read as the opposites of ``eq`` and ``in``."""
LOGICAL = ("and", "or", "not")
MAX_DEPTH = 100
"""Levels of nesting, as in metadata."""
MAX_INTEGER_BITS = 1024
"""Larger decimals are read as floats."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One test of one field.

    Parameters
    ----------
    field
        Name of the metadata field.
    op
        The operator.
    operand
        A JSON value; for ``in`` a tuple of JSON values and ranges; for the orderings a number or a text; for
        ``contains`` a value that is no list and no object; for ``exists`` true.
    """

    field: str
    op: Operator
    operand: Json | tuple[Json | range, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; without parts it always holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


Expression: TypeAlias = Comparison | And | Or | Not
EVERYTHING = And(())
"""The filter without conditions."""


def parse_where(where: object) -> Expression:
    """Return the tree of a filter; :data:`EVERYTHING` for an empty mapping.

    Raises
    ------
    QueryError
        It is not a filter: an unknown operator, an operand that cannot be compared, an empty condition.

    Examples
    --------
    >>> parse_where({"year": {"gte": 2020}})
    Comparison(field='year', op='gte', operand=2020)
    >>> parse_where({"not": {"lang": ["de", "fr"]}})
    Not(part=Comparison(field='lang', op='in', operand=('de', 'fr')))
    """
    return _filter(where, 0)


def comparisons_of(expression: Expression) -> Iterator[Comparison]:
    """Yield every comparison of a tree, from left to right."""
    match expression:
        case Comparison():
            yield expression
        case Not(part):
            yield from comparisons_of(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons_of(part)


# --- filters --------------------------------------------------------------------------------------------------


def _filter(where: object, depth: int) -> Expression:
    if not isinstance(where, Mapping):
        raise QueryError(f"where must map metadata fields to conditions, got {reprlib.repr(where)}")
    if depth > MAX_DEPTH:
        raise QueryError(f"the filter is nested deeper than {MAX_DEPTH} levels")
    return _all([_entry(key, condition, depth) for key, condition in where.items()])


def _entry(key: object, condition: object, depth: int) -> Expression:
    if not isinstance(key, str):
        raise QueryError(f"a metadata field is named by a string, got {reprlib.repr(key)}")
    match key:
        case "and":
            return And(_filters(key, condition, depth))
        case "or":
            return Or(_filters(key, condition, depth))
        case "not":
            return Not(_part(key, condition, depth))
    if key[:1] == "$" and key[1:] in LOGICAL:
        raise QueryError(f"write {key[1:]!r} for {key!r} (a metadata field of this name is written {field_key(key)!r})")
    return _condition(key.removeprefix("\\"), condition)


def _filters(key: str, condition: object, depth: int) -> tuple[Expression, ...]:
    if not isinstance(condition, list | tuple) or not condition:
        raise QueryError(
            f"{key!r} takes a list of filters, got {reprlib.repr(condition)} (a metadata field of this name is "
            f"written {field_key(key)!r})"
        )
    return tuple(_part(key, part, depth) for part in condition)


def _part(key: str, where: object, depth: int) -> Expression:
    if not isinstance(where, Mapping) or not where:
        raise QueryError(
            f"{key!r} takes filters that map fields to conditions and are not empty, got {reprlib.repr(where)} "
            f"(a metadata field of this name is written {field_key(key)!r})"
        )
    return _filter(where, depth + 1)


def _all(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


# --- conditions -----------------------------------------------------------------------------------------------


def _condition(field: str, condition: object) -> Expression:
    if isinstance(condition, Mapping):
        if not condition:
            raise QueryError(f"the condition on {field!r} is empty: give a value, or one of {', '.join(OPERATORS)}")
        return _all([_operation(field, name, operand) for name, operand in condition.items()])
    if _is_collection(condition):
        return Comparison(field, "in", _values(field, condition))
    return Comparison(field, "eq", json_value(field, condition))


def _operation(field: str, name: object, operand: object) -> Expression:
    match name:
        case "eq":
            return Comparison(field, "eq", json_value(field, operand))
        case "ne":
            return Not(Comparison(field, "eq", json_value(field, operand)))
        case "in":
            return Comparison(field, "in", _values(field, operand))
        case "nin":
            return Not(Comparison(field, "in", _values(field, operand)))
        case "gt" | "gte" | "lt" | "lte":
            return Comparison(field, name, _ordered(field, name, operand))
        case "contains":
            return Comparison(field, "contains", _element(field, operand))
        case "exists":
            return _exists(field, operand)
    hint = f"; write {name[1:]!r} for {name!r}" if isinstance(name, str) and name[1:] in OPERATORS else ""
    raise QueryError(
        f"{reprlib.repr(name)} is not an operator (on {field!r}): there are {', '.join(OPERATORS)}{hint}. To compare "
        "with an object, use eq"
    )


def _exists(field: str, operand: object) -> Expression:
    present = json_value(field, operand)
    if not isinstance(present, bool):
        raise QueryError(f"'exists' on {field!r} takes true or false, got {reprlib.repr(operand)}")
    test = Comparison(field, "exists", True)
    return test if present else Not(test)


def _ordered(field: str, name: str, operand: object) -> Json:
    value = None if _is_collection(operand) else json_value(field, operand)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise QueryError(f"{name!r} on {field!r} takes a number, a text or a date, got {reprlib.repr(operand)}")
    return value


def _element(field: str, operand: object) -> Json:
    if _is_collection(operand) or isinstance(operand, Mapping):
        raise QueryError(
            f"'contains' on {field!r} takes one value, got {reprlib.repr(operand)}: combine several with 'or' or 'and'"
        )
    return json_value(field, operand)


def _values(field: str, operand: object) -> tuple[Json | range, ...]:
    if isinstance(operand, range):
        return (operand,)
    if not _is_collection(operand):
        raise QueryError(
            f"'in' and 'nin' on {field!r} take a list of values (and no iterator), got {reprlib.repr(operand)}"
        )
    assert isinstance(operand, Iterable)  # as _is_collection has found
    return tuple(json_value(field, value) for value in operand)


def _is_collection(value: object) -> bool:
    """Tell whether a value is several values: a list, tuple, set, range, array, view of a dict, Series, ..."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping | Iterator | np.generic):
        return False
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


# --- operands -------------------------------------------------------------------------------------------------


def json_value(field: str, value: object, depth: int = 0) -> Json:
    """Return an operand as the JSON value that metadata would hold.

    Dates and times become ISO 8601 text, those with a time zone in UTC; decimals, fractions and numpy's numbers become
    numbers.

    Raises
    ------
    QueryError
        It is NaN, or nothing that JSON can hold.

    Examples
    --------
    >>> json_value("day", datetime.date(2020, 1, 31)), json_value("share", Decimal("0.5"))
    ('2020-01-31', 0.5)
    """
    if depth > MAX_DEPTH:
        raise QueryError(f"a value for {field!r} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = _from_numpy(value)
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case Decimal() | Integral() | Real():
            return _number(field, value)
        case datetime.date() | datetime.time():  # a datetime is a date
            return _iso(field, value)
        case Mapping() if all(isinstance(key, str) for key in value):
            return {str.__str__(key): json_value(field, item, depth + 1) for key, item in value.items()}
        case Iterable() if _is_collection(value) and not isinstance(value, range):
            return [json_value(field, item, depth + 1) for item in value]
    raise QueryError(
        f"a filter on {field!r} cannot compare with {reprlib.repr(value)} ({type(value).__name__}): it takes text, "
        "numbers, true, false, null, dates, and lists of these"
    )


def _from_numpy(value: Any) -> object:  # noqa: ANN401 - a scalar or an array of no dimensions
    """Return a scalar of numpy as one of Python, where there is one."""
    if value.dtype.kind == "M":
        date_only = np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D")
        return value.astype("datetime64[D]" if date_only else "datetime64[us]").item()  # None for NaT
    if value.dtype.kind == "f":
        return float(value)
    return value.item()


def _number(field: str, value: Any) -> int | float:  # noqa: ANN401 - any real number
    if isinstance(value, Integral):
        return int(value)
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise QueryError(f"a filter on {field!r} cannot compare with {reprlib.repr(value)}: {error}") from error
    if math.isnan(number):
        raise QueryError(f"a filter on {field!r} cannot compare with NaN")
    is_whole = not isinstance(value, float) and math.isfinite(number) and value == int(value)
    return int(value) if is_whole and int(value).bit_length() <= MAX_INTEGER_BITS else number


def _iso(field: str, value: Any) -> str:  # noqa: ANN401 - a date, a time, or both
    try:
        if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
            value = value.astimezone(datetime.UTC)
        text = str(value.isoformat())
    except (OverflowError, ValueError) as error:
        raise QueryError(f"a filter on {field!r} cannot compare with {reprlib.repr(value)}: {error}") from error
    if text == "NaT":  # pandas
        raise QueryError(f"a filter on {field!r} cannot compare with NaT")
    return text


# --- the short form -------------------------------------------------------------------------------------------

_TERM = re.compile(r"\s*(?P<field>[^\s].*?)\s*(?P<sign>!=|>=|<=|=|>|<|~)\s*(?P<value>.*?)\s*", re.DOTALL)
_ORDERINGS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def where_from_texts(texts: Iterable[str]) -> dict[str, Any]:
    """Return one filter for short forms such as ``year>=2020`` and filters in JSON, all of which must hold.

    The same field with ``=`` more than once may have any of the values. An unquoted value that reads as a JSON number,
    ``true``, ``false`` or ``null`` stands for that and for its text with ``=``, ``!=`` and ``~``, and for that alone
    in orderings; one in double quotes is text.

    Raises
    ------
    QueryError
        A text is neither ``KEY=VALUE`` (or another sign) nor a JSON object.

    Examples
    --------
    >>> where_from_texts(["lang=en", "lang=de", 'code="7"', "year>=2020"])
    {'lang': ['en', 'de'], 'code': '7', 'and': [{'year': {'gte': 2020}}]}
    >>> where_from_texts(["year=2020"])
    {'year': [2020, '2020']}
    """
    equal: dict[str, list[Json]] = {}
    rest: list[dict[str, Any]] = []
    for text in texts:
        if text.lstrip().startswith("{"):
            rest.append(where_from_json(text))
            continue
        field, sign, value = _term(text)
        if sign == "=":
            equal.setdefault(field_key(field), []).extend(_meanings(value))
        else:
            rest.append(_short_condition(field_key(field), sign, value))
    merged = {key: values[0] if len(values) == 1 else values for key, values in equal.items()}
    rest = [where for where in rest if where]
    if len(rest) == 1 and not merged:
        return rest[0]
    return {**merged, **({"and": rest} if rest else {})}


def field_key(field: str) -> str:
    r"""Return the key that names a field in a filter.

    >>> print(field_key("year"), field_key("or"))
    year \or
    """
    return f"\\{field}" if field.startswith(("\\", "$")) or field in LOGICAL else field


def where_from_json(text: str) -> dict[str, Any]:
    """Return a filter written as a JSON object.

    Raises
    ------
    QueryError
        It is not JSON, not an object, or repeats a key.
    """
    try:
        where = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise QueryError(f"the filter {reprlib.repr(text)} is not valid JSON: {error}") from error
    if not isinstance(where, dict):
        raise QueryError(f"a filter in JSON is an object, got {reprlib.repr(text)}")
    return where


def _term(text: str) -> tuple[str, str, str]:
    term = _TERM.fullmatch(text)
    if term is None:
        raise QueryError(
            f"expected KEY=VALUE, KEY!=VALUE, KEY>VALUE, KEY>=VALUE, KEY<VALUE, KEY<=VALUE, KEY~VALUE (contains) or a "
            f"JSON object, got {reprlib.repr(text)}"
        )
    return term["field"], term["sign"], term["value"]


def _short_condition(key: str, sign: str, value: str) -> dict[str, Any]:
    meanings = _meanings(value)
    if sign in _ORDERINGS:
        return {key: {_ORDERINGS[sign]: meanings[0]}}
    if sign == "!=":
        return {key: {"nin": meanings}}
    tests = [{key: {"contains": meaning}} for meaning in meanings]
    return tests[0] if len(tests) == 1 else {"or": tests}


def _meanings(text: str) -> list[Json]:
    """Return what the value of a short form may stand for."""
    try:
        value: Json = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return [text]
    if isinstance(value, str):
        return [value]
    return [text] if isinstance(value, dict | list) else [value, text]


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is there twice in one object")
    return made


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON value")
