"""Reading a folder of text files, each of which is a document."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from colstore.corpus import lines
from colstore.corpus.lines import printable
from colstore.corpus.record import RawItem, Record
from colstore.errors import CorpusError

SUFFIXES = (".txt", ".md")
_HEADING = re.compile(r"#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r" {0,3}(```|~~~)")


def read_folder(folder: Path) -> Iterator[RawItem]:
    """Yield a record for each ``.txt`` and ``.md`` file below the folder, sorted by id.

    The id is the path relative to the folder, with ``/`` as separator. The text is the content of the file, unchanged;
    the title of a ``.md`` file is its first heading. Links to folders are followed.

    Raises
    ------
    CorpusError
        A folder cannot be listed.
    """
    for path in text_files(folder):
        yield _read_file(path, path.relative_to(folder).as_posix())


def text_files(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield the text files below the folder in the order of their ids, with one folder's names in memory at a time.

    ``above`` identifies the parent folders. A link back to one of them is refused, because following it would never
    end.

    Raises
    ------
    CorpusError
        A folder cannot be listed, or is a link to one of its parents.
    """
    try:
        status = folder.stat()
        inner = above | {(status.st_dev, status.st_ino)}
        with os.scandir(folder) as listing:
            entries = sorted((entry.name + "/" * entry.is_dir(), entry.is_dir()) for entry in listing)
    except OSError as error:
        raise CorpusError(f"cannot be listed: {error.strerror or error}", source=printable(folder)) from error
    if len(inner) == len(above):
        raise CorpusError("is a link to a folder above it: remove the link", source=printable(folder))
    for name, is_folder in entries:
        if is_folder:
            yield from text_files(folder / name, inner)
        elif name.lower().endswith(SUFFIXES):
            yield folder / name


def first_heading(text: str) -> str:
    r"""Return the text of the first Markdown heading (``# ...``) outside code blocks, or an empty string.

    Examples
    --------
    >>> first_heading("intro\n\n## The dance ##\n")
    'The dance'
    """
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        heading = None if mark or fence else _HEADING.match(line)
        if heading and heading[1].strip():
            return heading[1].strip()
    return ""


def _read_file(path: Path, identifier: str) -> RawItem:
    name = printable(path)
    if not path.is_file():  # a dangling link, or a pipe, reading which might never end
        return CorpusError("is not a regular file: remove it or the link to it", source=name)
    try:
        with path.open("rb") as stream:
            raw = stream.read(lines.MAX_LINE_BYTES + 1)
    except OSError as error:
        return CorpusError(f"cannot be read: {error.strerror or error}", source=name)
    if len(raw) > lines.MAX_LINE_BYTES:
        return CorpusError(f"is larger than {lines.MAX_LINE_BYTES:,} bytes: split the document", source=name)
    return _record(raw, name, identifier)


def _record(raw: bytes, name: str, identifier: str) -> RawItem:
    try:
        text = raw.decode("utf-8-sig")  # drops a byte order mark
    except UnicodeDecodeError as error:
        # error.object lacks the byte order mark; that contains no newline, so the count is still right
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        return CorpusError("not UTF-8: convert the file", source=name, line=line)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return CorpusError("holds a NUL character: this is probably not a text file", source=name, line=line)
    title = first_heading(text) if name.lower().endswith(".md") else ""
    return Record({"id": identifier, "title": title, "text": text}, name)
