"""``--where FILTER`` and ``--ids FILE``: options that choose documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

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
    return click.option("--where", multiple=True, metavar="FILTER", callback=parse_filters, help=WHERE_HELP)(command)


def ids_option(help_text: str, *, former_names: Sequence[str] = ()) -> Callable[[_F], _F]:
    """Add ``--ids`` and ``--encoding``; see :func:`input_encoding`.

    Parameters
    ----------
    help_text
        Says what the ids are for.
    former_names
        Older names of the option, which work and are not shown.
    """

    def _with_options(command: _F) -> _F:
        command = click.option(
            "--encoding",
            metavar="NAME",
            is_eager=True,
            expose_value=False,
            callback=_keep_encoding,
            show_default="UTF-8, or what a byte order mark says",
            help="Encoding of the file of ids and of standard input, such as 'latin-1' or 'cp1252'.",
        )(command)
        return click.option(
            *(*former_names, "--ids", "ids_file"),
            cls=_IdsOption,
            type=click.File("rb"),
            callback=read_ids,
            metavar="FILE",
            help=help_text,
        )(command)

    return _with_options


class _IdsOption(click.Option):
    """``--ids``, whose last name is the only one that the help page shows."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the line of the help page."""
        record = super().get_help_record(ctx)
        return record and (record[0].rpartition(", ")[2], record[1])


_ENCODING = "colstore.cli.encoding"


def _keep_encoding(context: click.Context, _option: click.Parameter, encoding: str | None) -> None:
    context.meta[_ENCODING] = encoding


def input_encoding() -> str | None:
    """Return the value of ``--encoding``."""
    found: str | None = click.get_current_context().meta.get(_ENCODING)
    return found


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


def read_ids(context: click.Context, _option: click.Parameter, file: BinaryIO | None) -> list[str] | None:
    """Return the ids in a file, one a line, without blank lines; ``None`` without a file.

    Raises
    ------
    CorpusError
        The file does not have the encoding, or an id holds a NUL character.
    """
    if file is None:
        return None
    name = Path(getattr(file, "name", "the file of ids")).name
    try:
        return list(_ids_of(file, name, context.meta.get(_ENCODING)))
    except BaseException:
        file.close()  # click closes it at the end of the command, which does not begin
        raise


def _ids_of(file: BinaryIO, name: str, encoding: str | None) -> Iterator[str]:
    from colstore.corpus.lines import decoded_lines

    for line in decoded_lines(file, name, encoding):
        if line.error is not None:
            raise line.error
        if "\0" in line.text:
            raise CorpusError("an id holds a NUL character: is this a file of text?", source=name, line=line.number)
        if line.text.strip():
            yield line.text.removesuffix("\r")
