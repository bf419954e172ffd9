"""Values of Python, numpy, pandas and Arrow as values of JSON, by one rule, and token vectors as arrays.

======================================================  ==============================================================
A value of                                              is stored as
======================================================  ==============================================================
numpy scalars                                           the number, boolean or string that they hold
NaN, NaT, ``pandas.NA``                                 null
``date``, ``datetime``, ``time``, ``numpy.datetime64``  a string in ISO 8601, with the offset where there is a time zone
``timedelta``, ``numpy.timedelta64``                    a number of seconds
``Decimal``                                             a number: an integer where it is whole, else the nearest float
``UUID``                                                its usual string
``Enum``                                                its value
tuples and arrays of numpy                              lists
mappings                                                objects
======================================================  ==============================================================

Everything else stays as it is and is refused by the check of the record. That is also the fate of infinities, which
JSON does not have and which no other value could stand for. To keep all digits of a Decimal, store it as a string.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np

from colstore.corpus.record import MAX_JSON_DEPTH
from colstore.values import as_array

_AS_THEY_ARE = (str, int, bool, type(None))


class _TooDeepError(ValueError):
    """A value is nested deeper than a record may be; perhaps it holds itself."""


def as_json(value: object) -> object:
    """Return a value as one that :mod:`json` can write, where the rule of this module knows one.

    Examples
    --------
    >>> as_json({"price": Decimal("9.50"), "day": date(2020, 1, 2), "count": np.int64(3), "rest": float("nan")})
    {'price': 9.5, 'day': '2020-01-02', 'count': 3, 'rest': None}
    """
    if type(value) in _AS_THEY_ARE:
        return value
    try:
        return _converted(value, 1)
    except _TooDeepError:
        return value  # refused by the check of the record


def _converted(value: object, depth: int) -> object:
    if type(value) in _AS_THEY_ARE:
        return value
    if depth > MAX_JSON_DEPTH:
        raise _TooDeepError
    if isinstance(value, Mapping):
        return {_converted(key, depth + 1): _converted(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_converted(inner, depth + 1) for inner in value]
    if isinstance(value, np.ndarray):
        return _converted(list(value) if value.dtype.kind in "mM" else value.tolist(), depth)
    return _scalar(value)


def _scalar(value: Any) -> object:  # noqa: ANN401 - the values of other people
    if isinstance(value, Enum):
        return as_json(value.value)
    if _is_missing(value):
        return None
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "s"))
    if isinstance(value, np.generic):
        return as_json(value.item()) if not isinstance(value.item(), np.generic) else value
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _number(value)
    return str(value) if isinstance(value, UUID) else value


def _is_missing(value: Any) -> bool:  # noqa: ANN401 - the values of other people
    """Whether a value is NaN, NaT or ``pandas.NA``, none of which equals itself."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NaTType", "NAType")


def _number(value: Decimal) -> int | float:
    if (
        value.is_infinite() or value.adjusted() > 400
    ):  # far beyond every float; an integer of a billion digits would not end
        return math.copysign(math.inf, value)
    return int(value) if value == value.to_integral_value() else float(value)


def as_vectors(value: Any) -> object:  # noqa: ANN401 - whatever numpy, torch or pandas keep vectors in
    """Return token vectors as an array where they are a tensor, an array of arrays, or of a type that numpy lacks.

    Arrays of numbers and lists of numbers are returned as they are.
    """
    if _is_tensor(value):
        return as_array(value)
    if isinstance(value, list | tuple) and value and (_is_tensor(value[0]) or isinstance(value[0], np.ndarray)):
        return _stacked([as_vectors(row) for row in value], value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O" and value.ndim == 1 and len(value):  # rows, as pandas and pyarrow hold them
            return _stacked([np.asarray(row) for row in value], value)
        if value.dtype.name == "bfloat16":  # of ml_dtypes
            return value.astype(np.float32)
    return value


def _is_tensor(value: object) -> bool:
    return hasattr(value, "detach") and hasattr(value, "cpu")


def _stacked(rows: list[Any], original: object) -> object:
    """Return rows of equal length as one matrix; others as they were, for the check of the record to refuse."""
    return np.stack(rows) if len({np.shape(row) for row in rows}) == 1 else original
