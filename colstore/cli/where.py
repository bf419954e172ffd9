"""``--where FILTER`` and ``--ids FILE``: options that choose documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from colstore.errors import CorpusError, QueryError

_F = TypeVar("_F", bound=Callable[..., Any])
WHERE_HELP = (
    "Only documents whose metadata match: KEY=VALUE, KEY!=VALUE, KEY>VALUE, KEY>=VALUE, KEY<VALUE, KEY<=VALUE, "
    'KEY~VALUE (a list that contains VALUE), or a filter in JSON such as \'{"year": {"gte": 2020}}\'. May be repeated: '
    "all must match, and KEY=VALUE with the same KEY matches any of the values. An unquoted 2020 stands for the number "
    'and for the text, "2020" in double quotes for the text alone. See docs/filters.md.'
)


def where_option(command: _F) -> _F:
    """Add ``--where``."""
    return click.option(
        "--where", multiple=True, metavar="FILTER", callback=parse_filters, help=WHERE_HELP
    )(command)  # fmt: skip


def ids_option(help_text: str) -> Callable[[_F], _F]:
    """Add ``--ids``, with a help text that says what the ids are for."""
    file = click.File(encoding="utf-8-sig")
    return click.option("--ids", "ids_file", type=file, callback=read_ids, metavar="FILE", help=help_text)


def parse_filters(
    _context: click.Context | None, _option: click.Parameter | None, texts: Sequence[str]
) -> dict[str, Any] | None:
    """Return one filter for all ``--where`` options; ``None`` without any.

    Raises
    ------
    click.BadParameter
        One of them is not a filter.

    Examples
    --------
    >>> parse_filters(None, None, ["lang=en", "year>=2020"])
    {'lang': 'en', 'and': [{'year': {'gte': 2020}}]}
    """
    if not texts:
        return None
    from colstore.search.filter_grammar import parse_where, where_from_texts

    try:
        where = where_from_texts(texts)
        parse_where(where)
    except QueryError as error:
        raise click.BadParameter(str(error)) from error
    return where


def read_ids(_context: click.Context, _option: click.Parameter, file: TextIO | None) -> list[str] | None:
    """Return the ids in a file, one a line, without blank lines; ``None`` without a file.

    Raises
    ------
    CorpusError
        The file is not UTF-8.
    """
    if file is None:
        return None
    try:
        return [line.rstrip("\r\n") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        file.close()  # click closes it at the end of the command, which does not begin
        name = Path(getattr(file, "name", "the file of ids")).name
        raise CorpusError(f"ids must be UTF-8: {error.reason}", source=name) from error
