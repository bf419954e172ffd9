"""Character encodings: which one a file has, which one a line that is not UTF-8 looks like, and where lines end."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Protocol

from colstore.errors import ConfigError

_MARKS = (  # the marks of UTF-32 begin like those of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDTHS = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
_WITHOUT_ORDER = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_SAMPLE_BYTES = 4096
_WINDOWS_BYTES = re.compile(rb"[\x80-\x9f]")
_OTHER_BYTES = re.compile(rb"[\x80-\xff]+")
_LONG_RUN = 4
_BLOCK_BYTES = 1 << 16


class Readable(Protocol):
    """A binary stream, as far as it is used here."""

    def readline(self, size: int = -1, /) -> bytes:
        """Return the bytes up to the next line end, at most ``size``."""
        ...

    def read1(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, those that are there without waiting for more."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes."""
        ...


def check_encoding(encoding: str | None) -> str | None:
    """Return the normal name of an encoding; ``None``, which is UTF-8 or what the file itself says, stays ``None``.

    Raises
    ------
    ConfigError
        Python does not know the encoding, or it is not one of text.

    Examples
    --------
    >>> check_encoding("Latin1"), check_encoding("UTF8"), check_encoding(None)
    ('iso8859-1', 'utf-8', None)
    """
    if encoding is None:
        return None
    try:
        "".encode(encoding)
        name = codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"encoding={encoding!r} is not known: use a name such as 'utf-8' or 'latin-1'") from error
    return "utf-8" if name == "utf-8-sig" else name


def detect_encoding(start: bytes, chosen: str | None) -> tuple[str, int]:
    """Return the encoding of a file and the length of its byte order mark.

    Parameters
    ----------
    start
        The first line of the file, or the beginning of it.
    chosen
        The encoding that the caller chose, as :func:`check_encoding` returns it.

    Notes
    -----
    Without a mark, UTF-16 and UTF-32 are recognised by their NUL bytes, which no other text has.

    Examples
    --------
    >>> detect_encoding("id".encode("utf-16"), None), detect_encoding("id".encode("utf-16-be"), None)
    (('utf-16-le', 2), ('utf-16-be', 0))
    """
    marked = next(((name, len(mark)) for mark, name in _MARKS if start.startswith(mark)), None)
    if chosen is not None and chosen not in _WITHOUT_ORDER:
        return chosen, marked[1] if marked is not None and marked[0] == chosen else 0
    found = marked or ((wide, 0) if (wide := _by_zeros(start[:_SAMPLE_BYTES])) else None)
    if found is None:
        return "utf-8" if chosen is None else _WITHOUT_ORDER[chosen], 0
    return found


def _by_zeros(start: bytes) -> str | None:
    """Return the encoding whose NUL bytes a text has; ``None`` where it does not look like one.

    Every other byte of a text in UTF-16 is zero where the text is of Latin letters, and few of the rest are.
    """
    if len(start) < 4 or b"\0" not in start:
        return None
    if start[1:4] == b"\0\0\0":
        return "utf-32-le"
    if start[:3] == b"\0\0\0" and start[3]:
        return "utf-32-be"
    even, odd = start[::2], start[1::2]
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) * 2 > len(zeros) and others.count(0) * 8 < len(others):
            return name
    return None


def guess(raw: bytes, encoding: str = "utf-8") -> str:
    """Return what to do about a line that does not have the encoding: which one it looks like, and how to read it.

    Examples
    --------
    >>> guess("un café noir".encode("latin-1"))
    "it looks like Latin-1; read it with encoding='latin-1', or convert it to UTF-8"
    """
    runs = _OTHER_BYTES.findall(raw)
    if encoding == "utf-8" and all(len(run) < _LONG_RUN for run in runs):
        windows = _WINDOWS_BYTES.search(raw) is not None
        name, title = ("cp1252", "Windows-1252") if windows else ("latin-1", "Latin-1")
        return f"it looks like {title}; read it with encoding='{name}', or convert it to UTF-8"
    return "read it with the encoding that it has, such as encoding='cp1251' or encoding='shift_jis', or convert it"


def line_blocks(stream: Readable, first: bytes, encoding: str, limit: int) -> Iterator[list[bytes | None]]:
    r"""Yield the lines of a stream without their last ``\n``, some at a time; ``None`` is a line above the limit.

    Lines end with ``\n``. Where the first line of the stream reaches to its end and holds ``\r`` (the line end of old
    Macintosh files), they end there. Lines are yielded as soon as the stream gives them.

    Parameters
    ----------
    stream
        Stream whose first line was read already.
    first
        That line, without a byte order mark.
    encoding
        Encoding of the stream.
    limit
        Largest number of bytes in a line.
    """
    width = _WIDTHS.get(encoding, 1)
    if width > 1:
        return _wide_lines(stream, first, width, limit, little=encoding.endswith("le"))
    is_old = b"\n" not in first and b"\r" in first.rstrip(b"\r")
    return _narrow_lines(stream, first, b"\r" if is_old else b"\n", limit)


def _narrow_lines(stream: Readable, rest: bytes, end: bytes, limit: int) -> Iterator[list[bytes | None]]:
    parts: list[bytes] = []  # of a line whose end was not read yet
    size = 0
    more = rest
    while more:
        size += len(more)
        if size <= limit or end in more:
            parts.append(more)
        if end in more:
            *lines, rest = b"".join(parts).split(end)
            overlong = size - len(more) > limit  # the beginning of the first line was dropped
            yield [
                None if len(line) > limit or (overlong and not number) else line for number, line in enumerate(lines)
            ]
            parts, size = [rest], len(rest)
        more = stream.read1(_BLOCK_BYTES)
    if size:
        yield [b"".join(parts) if size <= limit else None]


def _wide_lines(stream: Readable, part: bytes, width: int, limit: int, *, little: bool) -> Iterator[list[bytes | None]]:
    """Yield lines whose characters take several bytes, so that not every byte 0x0A is a line end."""
    end = b"\n".ljust(width, b"\0") if little else b"\n".rjust(width, b"\0")
    line, length = bytearray(), 0
    while part:
        line += part
        length += len(part)
        if little and part.endswith(b"\n") and length % width == 1:
            tail = stream.read(width - 1)
            line += tail
            length += len(tail)
        if length % width == 0 and line.endswith(end):
            yield [bytes(line[:-width]) if length <= limit else None]
            line, length = bytearray(), 0
        elif length > limit:
            del line[:-width]  # enough to find the end of the line
        part = stream.readline(limit + 1)
    if line:
        yield [bytes(line) if length <= limit else None]
