"""Strict JSON parsing: no duplicate keys, no NaN, no huge integers, no unknown fields, no booleans as integers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NoReturn, cast

from colstore.errors import CorruptIndexError
from colstore.store.format import MAX_COUNT
from colstore.types import Json

_MAX_DIGITS = 20
_MAX_DEPTH = 128  # metadata may have 100 levels, and is stored inside lists of lists
_CONTAINERS = (dict, list)
_SURROGATES = (b"\\ud", b"\\uD")


def canonical(value: object) -> bytes:
    """Return the canonical JSON form of a value: keys sorted, no spaces, UTF-8.

    >>> canonical({"b": 1, "a": [1.5, "é"]}).decode()
    '{"a":[1.5,"é"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_object(data: bytes) -> dict[str, Json]:
    """Return the JSON object in ``data``.

    Raises
    ------
    CorruptIndexError
        The data is not UTF-8, not JSON or not an object; or it contains a duplicate key, NaN, an infinity, an integer
        of more than 20 digits, more than 128 levels of nesting, or a lone surrogate, which UTF-8 cannot represent.

    Examples
    --------
    >>> parse_object(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    colstore.errors.CorruptIndexError: not valid JSON: the key 'a' occurs twice
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_short_int,
            parse_float=_finite_float,
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise CorruptIndexError(f"not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptIndexError("not valid JSON: not an object")
    try:
        check_json_value(value, data)
    except ValueError as error:
        raise CorruptIndexError(f"not valid JSON: {error}") from error
    return cast("dict[str, Json]", value)


def check_json_value(value: object, data: bytes) -> None:
    r"""Refuse a value that a JSON parser accepts, but that cannot be written again, compared or shown.

    Parameters
    ----------
    value
        The parsed value.
    data
        The text that it was parsed from.

    Raises
    ------
    ValueError
        The value has more than 128 levels of nesting, which may exceed Python's recursion limit, or contains a lone
        surrogate.

    Examples
    --------
    >>> check_json_value(["\ud800"], rb'["\ud800"]')
    Traceback (most recent call last):
        ...
    ValueError: it contains a lone surrogate, which is not valid Unicode text
    """
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH and _is_deeper(value):
        raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")
    if any(escape in data for escape in _SURROGATES):  # a cheap test first: few texts contain such an escape
        try:
            canonical(value)
        except UnicodeEncodeError as error:
            raise ValueError("it contains a lone surrogate, which is not valid Unicode text") from error


def _is_deeper(value: object) -> bool:
    """Tell whether a value has more than :data:`_MAX_DEPTH` levels of nesting."""
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(_MAX_DEPTH):
        # Reading metadata spends much of its time here. Types are compared, because the parser makes no subclasses.
        inside: Iterator[Any] = chain.from_iterable(outer.values() if type(outer) is dict else outer for outer in level)
        level = [inner for inner in inside if type(inner) in _CONTAINERS]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields: dict[str, Json] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {key!r} occurs twice")
        fields[key] = value
    return fields


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _short_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


class Fields:
    """Takes the fields out of a JSON object one by one, each with its required type.

    Every method raises :class:`~colstore.errors.CorruptIndexError` if the field is missing or has another type.

    Parameters
    ----------
    value
        The parsed JSON object.
    where
        What the object describes, for error messages.

    Examples
    --------
    >>> fields = Fields({"rows": 3}, "array")
    >>> fields.count("rows")
    3
    >>> fields.finish()
    >>> Fields({"rows": True}, "array").count("rows")
    Traceback (most recent call last):
        ...
    colstore.errors.CorruptIndexError: array: 'rows' must be a whole number of at least 0, not True
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise CorruptIndexError(f"{where} must be an object, not {_brief(value)}")
        self.where = where
        self._left: dict[str, Json] = dict(value)

    def take(self, key: str) -> Json:
        """Return a field without checking its type."""
        if key not in self._left:
            raise CorruptIndexError(f"{self.where}: {key!r} is missing")
        return self._left.pop(key)

    def text(self, key: str, pattern: str = r"(?s).{0,1000}") -> str:
        """Return a string field that matches a pattern."""
        value = self.take(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise CorruptIndexError(f"{self.where}: {_brief(value)} is not a valid value of {key!r}")
        return value

    def optional_text(self, key: str, pattern: str) -> str | None:
        """Return a string field, or ``None`` for null."""
        if self._left.get(key, "") is None:
            self.take(key)
            return None
        return self.text(key, pattern)

    def count(self, key: str, *, least: int = 0, most: int = MAX_COUNT) -> int:
        """Return an integer field that lies in ``least..most``."""
        return as_count(self.take(key), f"{self.where}: {key!r}", least=least, most=most)

    def number(self, key: str) -> float:
        """Return a field with a finite number of at least 0."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise CorruptIndexError(f"{self.where}: {key!r} must be a number of at least 0, not {_brief(value)}")
        return float(value)

    def items(self, key: str) -> list[Json]:
        """Return a list field."""
        value = self.take(key)
        if not isinstance(value, list):
            raise CorruptIndexError(f"{self.where}: {key!r} must be a list, not {_brief(value)}")
        return value

    def mapping(self, key: str) -> dict[str, Json]:
        """Return an object field."""
        value = self.take(key)
        if not isinstance(value, dict):
            raise CorruptIndexError(f"{self.where}: {key!r} must be an object, not {_brief(value)}")
        return value

    def optional_mapping(self, key: str) -> dict[str, Json] | None:
        """Return an object field, or ``None`` for null."""
        if self._left.get(key, "") is None:
            self.take(key)
            return None
        return self.mapping(key)

    def finish(self) -> None:
        """Refuse the fields that were not taken, because ignoring an unknown field could lead to wrong results."""
        if self._left:
            raise CorruptIndexError(f"{self.where}: unknown field {next(iter(self._left))!r}")


def as_count(value: object, where: str, *, least: int = 0, most: int = MAX_COUNT) -> int:
    """Return ``value`` if it is an integer (not a bool) in ``least..most``.

    Raises
    ------
    CorruptIndexError
        The value is not an integer, or is out of range.
    """
    if type(value) is not int or value < least:
        raise CorruptIndexError(f"{where} must be a whole number of at least {least}, not {_brief(value)}")
    if value > most:
        raise CorruptIndexError(f"{where} must be at most {most}, not {value}")
    return value


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
