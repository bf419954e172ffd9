"""Reading numbered lines of text from files, gzip files and standard input, one line at a time."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, TypeAlias

from colstore.errors import CorpusError, IncompleteCorpusError

STDIN = "-"
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Largest size of a line in bytes. A longer one is refused, because a single document could otherwise fill memory."""

PathSource: TypeAlias = "str | os.PathLike[str]"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line of a file.

    Parameters
    ----------
    number
        Number of the line, from 1.
    text
        Text of the line, including its line ending. If ``error`` is set, the text is only good for counting quotes.
    error
        Error in the line, or ``None``; an :class:`~colstore.errors.IncompleteCorpusError` if reading stops here.
    """

    number: int
    text: str
    error: CorpusError | None = None

    @property
    def is_blank(self) -> bool:
        """Whether the line has no error and contains only white space."""
        return self.error is None and not self.text.strip()


def printable(source: PathSource) -> str:
    """Return the name of a source for messages; bytes of a file name that are not UTF-8 are escaped.

    Examples
    --------
    >>> printable("-"), printable("papers.jsonl")
    ('<stdin>', 'papers.jsonl')
    """
    name = os.fspath(source)
    return "<stdin>" if name == STDIN else name.encode("utf-8", "backslashreplace").decode("utf-8")


def existing_path(source: PathSource) -> Path | None:
    """Return the path of a source, or ``None`` for standard input.

    Raises
    ------
    CorpusError
        The name is empty, or the path does not exist.
    """
    name = os.fspath(source)
    if name == STDIN:
        return None
    if not name:
        raise CorpusError("an empty path: give a file, a folder, or - for standard input")
    path = Path(name)
    try:
        found = path.exists()
    except OSError as error:  # for example a text that was passed as a path and is too long for one
        reason = error.strerror or str(error)
        raise CorpusError(f"not a path to read ({reason})", source=printable(name[:200])) from error
    if not found:
        raise CorpusError("no such file or folder", source=printable(name[:200]))
    return path


def existing_file(source: PathSource, example: str) -> Path | None:
    """Return the path of a file, or ``None`` for standard input.

    Parameters
    ----------
    source
        Path of the file, or ``"-"`` for standard input.
    example
        Name of an example file, for the error message about a folder.

    Raises
    ------
    CorpusError
        The name is empty, the path does not exist, or it is a folder.
    """
    path = existing_path(source)
    if path is not None and path.is_dir():
        raise CorpusError(f"is a folder: name one file, such as {example}", source=printable(path))
    return path


def read_lines(path: Path | None, encoding: str | None = None) -> Iterator[Line]:
    """Yield the lines of a file, or of standard input for ``None``. A ``.gz`` file is decompressed.

    A byte order mark is dropped. Broken lines are yielded with their error, so that the caller can skip them.

    Raises
    ------
    CorpusError
        The file cannot be opened.
    """
    name = printable(STDIN if path is None else path)
    with _open_bytes(path, name) as stream:
        yield from _decoded(stream, name, encoding or "utf-8")


def read_sound_lines(path: Path | None) -> Iterator[Line]:
    """Yield the lines that are not blank, and raise the error of the first broken line."""
    for line in read_lines(path):
        if line.error is not None:
            raise line.error
        if not line.is_blank:
            yield line


def _open_bytes(path: Path | None, name: str) -> AbstractContextManager[BufferedIOBase | IO[bytes]]:
    if path is None:
        if sys.stdin is None:  # a process without a console
            raise CorpusError("there is no standard input", source=name)
        return nullcontext(sys.stdin.buffer)  # standard input must not be closed
    try:
        return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")
    except OSError as error:
        raise CorpusError(f"cannot be opened: {error.strerror or error}", source=name) from error


def _decoded(stream: BufferedIOBase | IO[bytes], name: str, encoding: str) -> Iterator[Line]:
    number = 0
    while True:
        number += 1
        try:
            raw, whole = _next_line(stream)
        except (OSError, EOFError, zlib.error) as error:
            message = f"reading stops here and the rest of the file is lost ({error}): get an undamaged copy"
            yield Line(number, "", IncompleteCorpusError(message, source=name, line=number))
            return
        if not raw:
            return
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        yield _decode(raw, number, name, encoding) if whole else Line(number, "", _too_long(number, name))


def _next_line(stream: BufferedIOBase | IO[bytes]) -> tuple[bytes, bool]:
    """Return the next line and whether it is complete. Of a line that is too long, only the beginning is returned."""
    raw = stream.readline(MAX_LINE_BYTES + 1)
    if len(raw) <= MAX_LINE_BYTES:
        return raw, True
    rest = raw
    while rest and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_LINE_BYTES)
    return raw, False


def _too_long(number: int, name: str) -> CorpusError:
    return CorpusError(f"line is longer than {MAX_LINE_BYTES:,} bytes: split the document", source=name, line=number)


def _decode(raw: bytes, number: int, name: str, encoding: str) -> Line:
    try:
        return Line(number, raw.decode(encoding))
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {raw[error.start]:#04x} at position {error.start + 1} of the line)"
        text = raw.decode("utf-8", "replace")
        return Line(number, text, CorpusError(f"{message}: convert the file to UTF-8", source=name, line=number))


CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"


def find_member(folder: Path, name: str) -> Path | None:
    """Return the file with this name in a folder, or its ``.gz`` form, or ``None`` if there is neither.

    Raises
    ------
    CorpusError
        Both files exist, so it is unclear which one is meant.
    """
    paths = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if len(paths) > 1:
        raise CorpusError(f"holds both {name} and {name}.gz: name the file that you mean", source=printable(folder))
    return paths[0] if paths else None
