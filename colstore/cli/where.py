"""``--where key=value`` and ``--ids FILE``: which documents may answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TextIO

import click

from colstore.types import Json


def parse_filters(_context: click.Context, _option: click.Parameter, values: Iterable[str]) -> dict[str, Json] | None:
    """Return the filters of all ``--where key=value`` options; ``None`` without any.

    A value that reads as a JSON number, ``true``, ``false``, ``null`` or a quoted string is that; all else
    is a string. A key given more than once may have any of its values.

    Raises
    ------
    click.BadParameter
        No ``=``, or no key.

    Examples
    --------
    >>> parse_filters(None, None, ["year=2020", "lang=en", 'code="7"'])
    {'year': 2020, 'lang': 'en', 'code': '7'}
    >>> parse_filters(None, None, ["year=2020", "year=2021"])
    {'year': [2020, 2021]}
    """
    options: dict[str, list[Json]] = {}
    for given in values:
        key, equals, value = given.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected key=value, got {given!r}")
        options.setdefault(key, []).append(_value(value))
    return {key: found[0] if len(found) == 1 else found for key, found in options.items()} or None


def read_ids(_context: click.Context, _option: click.Parameter, file: TextIO | None) -> list[str] | None:
    """Return the ids in a file, one a line, without empty lines; ``None`` without a file."""
    if file is None:
        return None
    return [line for line in (raw.rstrip("\r\n") for raw in file) if line]


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list) else value
