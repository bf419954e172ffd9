"""Reading numbered lines of text from files, gzip files and standard input, one line at a time."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, cast

from colstore.corpus.encodings import Readable, check_encoding, detect_encoding, guess, line_blocks
from colstore.errors import CorpusError, IncompleteCorpusError

STDIN = "-"
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Largest size of a line in bytes. A longer one is refused, because a single document could otherwise fill memory."""

PathSource: TypeAlias = "str | os.PathLike[str]"
_BUFFER = 1 << 16


class Line(NamedTuple):
    """A physical line of a file.

    Parameters
    ----------
    number
        Number of the line, from 1.
    text
        Text of the line without its line end, but with the carriage return of a Windows line end. If ``error`` is set,
        the text is only good for counting quotes.
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

    Broken lines are yielded with their error, so that the caller can skip them.

    Parameters
    ----------
    path
        The file.
    encoding
        Its encoding; see :func:`decoded_lines`.

    Raises
    ------
    CorpusError
        The file cannot be opened.
    ConfigError
        The encoding is not known.
    """
    name = printable(STDIN if path is None else path)
    check_encoding(encoding)
    with _open_bytes(path, name) as stream:
        yield from decoded_lines(stream, name, encoding)


def read_sound_lines(path: Path | None, encoding: str | None = None) -> Iterator[Line]:
    """Yield the lines that are not blank, and raise the error of the first broken line."""
    for line in read_lines(path, encoding):
        if line.error is not None:
            raise line.error
        if not line.is_blank:
            yield line


def _open_bytes(path: Path | None, name: str) -> AbstractContextManager[Readable]:
    if path is None:
        if sys.stdin is None:  # a process without a console
            raise CorpusError("there is no standard input", source=name)
        return nullcontext(cast("Readable", sys.stdin.buffer))  # standard input must not be closed
    try:
        if path.name.lower().endswith(".gz"):
            return io.BufferedReader(_Unzipped(gzip.GzipFile(path, "rb")), _BUFFER)
        return cast("io.BufferedReader", path.open("rb", buffering=_BUFFER))
    except OSError as error:
        raise CorpusError(f"cannot be opened: {error.strerror or error}", source=name) from error


class _Unzipped(io.RawIOBase):
    """The contents of a gzip file, whose lines a buffer reads several times faster than gzip itself.

    ``read1`` gives what was unpacked before a damage; ``readinto`` of the gzip file would lose it.
    """

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any, /) -> int:  # noqa: ANN401 - a writable buffer
        data = self._file.read1(len(target))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def decoded_lines(stream: Readable | IO[bytes], name: str, encoding: str | None = None) -> Iterator[Line]:
    r"""Yield the lines of a stream of bytes, each as soon as it is there.

    Parameters
    ----------
    stream
        The stream, which has a buffer; it is not closed.
    name
        Its name, for error messages.
    encoding
        Name of the encoding. ``None`` means UTF-8, or UTF-16 or UTF-32 where a byte order mark or NUL bytes show them.
        A byte order mark is dropped.

    Notes
    -----
    Lines end with ``\n``, or with ``\r`` in a file that has no ``\n`` at all.
    """
    number = 0
    new_line = tuple.__new__
    buffered = cast("Readable", stream)
    try:
        first = buffered.readline(MAX_LINE_BYTES + 1)
        chosen, mark = detect_encoding(first, check_encoding(encoding))
        for block in line_blocks(buffered, first[mark:], chosen, MAX_LINE_BYTES):
            for raw in block:
                number += 1
                if raw is None:
                    yield Line(number, "", _too_long(number, name))
                    continue
                try:
                    text = raw.decode(chosen)
                except UnicodeDecodeError as error:
                    yield _undecodable(raw, number, name, error, chosen)
                else:
                    yield new_line(Line, (number, text, None))  # this is Line(number, text), in half the time
    except (OSError, EOFError, zlib.error) as error:
        number += 1
        message = f"reading stops here and the rest of the file is lost ({error}): get an undamaged copy"
        yield Line(number, "", IncompleteCorpusError(message, source=name, line=number))


def _too_long(number: int, name: str) -> CorpusError:
    return CorpusError(f"line is longer than {MAX_LINE_BYTES:,} bytes: split the document", source=name, line=number)


def _undecodable(raw: bytes, number: int, name: str, error: UnicodeDecodeError, encoding: str) -> Line:
    title = "UTF-8" if encoding == "utf-8" else encoding
    message = f"not {title} (byte {raw[error.start]:#04x} at position {error.start + 1} of the line)"
    text = raw.decode(encoding, "replace")
    return Line(number, text, CorpusError(f"{message}: {guess(raw, encoding)}", source=name, line=number))


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
