"""``colstore info``: what an index holds, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from colstore.cli.failures import advice_line
from colstore.cli.options import json_option_for
from colstore.cli.output import emit, emit_json, one_line

_EPILOG = """\b
Example:
  $ colstore info demo.colstore
  $ colstore info demo.colstore --json
"""


@click.command("info", epilog=_EPILOG)
@click.argument("index")
@json_option_for("everything")
def command(index: str, as_json: bool) -> None:
    """Show what an index holds, its sizes, its model and its settings.

    Bytes are listed by part of INDEX. Settings are those it was built with, and those that `colstore tune` stored.
    """
    import colstore

    with colstore.open(index) as opened:
        info = opened.info().to_json()
    if as_json:
        emit_json(info, indent=2)
        return
    for line in lines(info):
        emit(line)


def lines(values: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    r"""Yield nested values as indented lines, names aligned.

    Examples
    --------
    >>> print("\n".join(lines({"documents": 12000, "bytes": {"texts": 7}, "model": None})))
    documents  12,000
    bytes
      texts  7
    model      -
    """
    width = max((len(name) for name, value in values.items() if not _is_nested(value)), default=0)
    for name, value in values.items():
        label = " " * indent + one_line(name.replace("_", " "))
        if _is_nested(value):
            yield label
            yield from lines(value, indent + 2)
        else:
            yield f"{label:<{indent + width}}  {_shown(value)}"


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 0


def _shown(value: object) -> str:
    """Return one value for people."""
    match value:
        case None | {} | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(_shown(item) for item in value)
        case _:
            return advice_line(str(value))
