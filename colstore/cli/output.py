"""Lines on standard output and standard error, safe for terminals, pipes and any locale."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from typing import Any, TextIO

import click

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which begin terminal escapes, and lone surrogates, which no encoding has."""
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Bidirectional embeddings, overrides and isolates: left open, they reorder the rest of the line."""
_LINE_ENDS = re.compile("[\u2028\u2029]")
"""Line and paragraph separators, at which some readers end a line."""


class ReaderGoneError(Exception):
    """The reader of standard output has closed it."""


def one_line(text: str) -> str:
    r"""Return ``text`` on one line, with runs of white space as one space, for people to read.

    Control characters, lone surrogates, and bidirectional embeddings, overrides and isolates are shown as U+FFFD.
    Everything else stays as it is: joiners, direction marks, soft hyphens and variation selectors are part of words.

    Examples
    --------
    >>> one_line("two\n lines and a \x1b[31mcolour")
    'two lines and a �[31mcolour'
    >>> ascii(one_line("joined\u200cword, soft\u00adhyphen, reversed\u202e"))
    "'joined\\u200cword, soft\\xadhyphen, reversed\\ufffd'"
    """
    folded = " ".join(text.split())
    return _DIRECTION.sub("\N{REPLACEMENT CHARACTER}", _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", folded))


def message_line(text: str) -> str:
    r"""Return a message on one line, with the ids and texts that it quotes as they are.

    Line breaks become spaces. Control characters, lone surrogates and bidirectional controls are written as escapes;
    other white space stays, because an id that is quoted in the message may hold it.

    Examples
    --------
    >>> message_line("no document 'two  spaces';\n  add it")
    "no document 'two  spaces'; add it"
    """
    return shown_exact(" ".join(line.strip() for line in text.strip().splitlines() if line.strip()))


def exact(text: str) -> str:
    r"""Return an id as it is stored, for programs to read; what would break the line is written as an escape.

    Escaped are control characters, lone surrogates, and the line and paragraph separators; white space is not folded.

    Examples
    --------
    >>> exact("two  spaces"), exact("a\ttab")
    ('two  spaces', 'a\\ttab')
    """
    return _LINE_ENDS.sub(_escaped, _UNSAFE.sub(_escaped, text))


def shown_exact(text: str) -> str:
    """Return :func:`exact` for a terminal: bidirectional controls are written as escapes, too."""
    return _DIRECTION.sub(_escaped, exact(text))


def _escaped(found: re.Match[str]) -> str:
    return ascii(found.group())[1:-1]


def emit(line: str) -> None:
    """Print one line to standard output.

    Raises
    ------
    ReaderGoneError
        The reader has closed standard output (a closed pipe).
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # A lone surrogate, or a letter that the locale lacks, must not end the command.
        click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError as error:
        raise ReaderGoneError from error


def emit_prose(text: str, *, indent: str = "") -> None:
    """Print a sentence to standard output, wrapped between words on a terminal and on one line elsewhere.

    Parameters
    ----------
    text
        The sentence.
    indent
        What the lines after the first begin with.
    """
    emit(wrapped(text, sys.stdout, indent=indent))


def wrapped(text: str, stream: TextIO, *, indent: str = "") -> str:
    """Return ``text`` wrapped between words at the width of a terminal; unchanged for a stream that is none."""
    if not stream.isatty():
        return text
    lines = textwrap.wrap(
        text,
        max(20, shutil.get_terminal_size().columns),
        subsequent_indent=indent,
        break_long_words=False,  # a path stays whole, so that it can be copied
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return "\n".join(lines)


def emit_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401 - anything JSON
    """Print a value as JSON: letters as they are where the output is UTF-8, escaped otherwise.

    Parameters
    ----------
    value
        Plain values, lists and mappings.
    indent
        Spaces a level; ``None`` prints one line.
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
