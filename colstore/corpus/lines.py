"""Bytes to numbered lines: plain files, gzip files and standard input, decoded one line at a time."""

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
"""A longer line is refused: what is meant as one document would otherwise fill the memory."""

PathSource: TypeAlias = "str | os.PathLike[str]"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line.

    Parameters
    ----------
    number
        From 1.
    text
        With its line end. Where ``error`` is set, fit for finding quotes only.
    error
        What is wrong with the line; :class:`~colstore.errors.IncompleteCorpusError` where reading ended.
    """

    number: int
    text: str
    error: CorpusError | None = None

    @property
    def is_blank(self) -> bool:
        """Whether the line is sound and holds white space only."""
        return self.error is None and not self.text.strip()


def printable(source: PathSource) -> str:
    """Return the name for messages; a file name that is not UTF-8 keeps its odd bytes as escapes.

    Examples
    --------
    >>> printable("-"), printable("papers.jsonl")
    ('<stdin>', 'papers.jsonl')
    """
    name = os.fspath(source)
    return "<stdin>" if name == STDIN else name.encode("utf-8", "backslashreplace").decode("utf-8")


def existing_path(source: PathSource) -> Path | None:
    """Return the path, or ``None`` for standard input.

    Raises
    ------
    CorpusError
        The name is empty or nothing is there.
    """
    name = os.fspath(source)
    if name == STDIN:
        return None
    if not name:
        raise CorpusError("an empty path: give a file, a folder, or - for standard input")
    path = Path(name)
    try:
        found = path.exists()
    except OSError as error:  # a text given as a path is too long for a name
        reason = error.strerror or str(error)
        raise CorpusError(f"not a path to read ({reason})", source=printable(name[:200])) from error
    if not found:
        raise CorpusError("no such file or folder", source=printable(name[:200]))
    return path


def existing_file(source: PathSource, example: str) -> Path | None:
    """Return the path of a file, or ``None`` for standard input; the message for a folder names the example.

    Raises
    ------
    CorpusError
        The name is empty, nothing is there, or a folder is.
    """
    path = existing_path(source)
    if path is not None and path.is_dir():
        raise CorpusError(f"is a folder: name one file, such as {example}", source=printable(path))
    return path


def read_lines(path: Path | None) -> Iterator[Line]:
    """Yield the lines of a file, ``.gz`` ones decompressed; ``None`` is standard input.

    A byte order mark is dropped. Broken lines are yielded with their error, so that a caller may skip them.

    Raises
    ------
    CorpusError
        The file cannot be opened.
    """
    name = printable(STDIN if path is None else path)
    with _open_bytes(path, name) as stream:
        yield from _decoded(stream, name)


def read_sound_lines(path: Path | None) -> Iterator[Line]:
    """Yield the lines that are not blank; raise the error of the first broken one."""
    for line in read_lines(path):
        if line.error is not None:
            raise line.error
        if not line.is_blank:
            yield line


def _open_bytes(path: Path | None, name: str) -> AbstractContextManager[BufferedIOBase | IO[bytes]]:
    if path is None:
        if sys.stdin is None:  # a process without a console
            raise CorpusError("there is no standard input", source=name)
        return nullcontext(sys.stdin.buffer)  # not ours to close
    try:
        return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")
    except OSError as error:
        raise CorpusError(f"cannot be opened: {error.strerror or error}", source=name) from error


def _decoded(stream: BufferedIOBase | IO[bytes], name: str) -> Iterator[Line]:
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
        yield _decode(raw, number, name) if whole else Line(number, "", _too_long(number, name))


def _next_line(stream: BufferedIOBase | IO[bytes]) -> tuple[bytes, bool]:
    """Return the next line and whether it is whole; of one that is too long, only the beginning."""
    raw = stream.readline(MAX_LINE_BYTES + 1)
    if len(raw) <= MAX_LINE_BYTES:
        return raw, True
    rest = raw
    while rest and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_LINE_BYTES)
    return raw, False


def _too_long(number: int, name: str) -> CorpusError:
    return CorpusError(f"line is longer than {MAX_LINE_BYTES:,} bytes: split the document", source=name, line=number)


def _decode(raw: bytes, number: int, name: str) -> Line:
    try:
        return Line(number, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {raw[error.start]:#04x} at position {error.start + 1} of the line)"
        text = raw.decode("utf-8", "replace")
        return Line(number, text, CorpusError(f"{message}: convert the file to UTF-8", source=name, line=number))


CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"


def find_member(folder: Path, name: str) -> Path | None:
    """Return the file of that name or its ``.gz`` form; ``None`` where neither is there.

    Raises
    ------
    CorpusError
        Both are there, so that which one is meant would be a guess.
    """
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if len(found) > 1:
        raise CorpusError(f"holds both {name} and {name}.gz: name the file that you mean", source=printable(folder))
    return found[0] if found else None
