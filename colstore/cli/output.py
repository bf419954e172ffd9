"""Lines to standard output, safe for terminals, pipes and any locale."""

from __future__ import annotations

import json
import sys
from typing import Any

import click


class ReaderGoneError(Exception):
    """Whoever read our standard output has closed it."""


def one_line(text: str) -> str:
    r"""Return ``text`` on one line, with control characters (terminal escapes among them) replaced.

    Examples
    --------
    >>> one_line("two\n lines and a \x1b[31mcolour")
    'two lines and a �[31mcolour'
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def emit(line: str) -> None:
    """Print one line to standard output.

    Raises
    ------
    ReaderGoneError
        Nobody reads any more (a closed pipe).
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # A lone surrogate, or a letter that the locale lacks, must not end the command.
        click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError as error:
        raise ReaderGoneError from error


def emit_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401 - anything JSON
    """Print a value as JSON: letters as they are where the output is UTF-8, escaped otherwise.

    Parameters
    ----------
    value
        Plain values, lists and mappings.
    indent
        Spaces a level; ``None`` keeps it on one line.
    """
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    emit(json.dumps(value, ensure_ascii=not is_utf8, indent=indent, default=dict))


def size(count: int) -> str:
    """Return a number of bytes for people, in steps of 1,000.

    Examples
    --------
    >>> size(512), size(2_500_000)
    ('512 bytes', '2.5 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"
