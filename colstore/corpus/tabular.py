"""Reading CSV and TSV files, with or without quoted fields."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from colstore.corpus.columns import FieldNames, check_columns, with_metadata_apart
from colstore.corpus.lines import STDIN, Line, printable, read_lines
from colstore.corpus.quoting import (
    SAMPLE_CHARACTERS,
    SAMPLE_LINES,
    Quoting,
    check_quoting,
    columns_without_header,
    uses_quotes,
)
from colstore.corpus.record import RawItem, Record
from colstore.errors import CorpusError, IncompleteCorpusError

__all__ = ["check_columns", "read_rows", "read_tabular", "with_metadata_apart"]

Note = Callable[[str], None]
"""Takes a sentence on how a file is read, for the caller's report."""


def read_tabular(
    path: Path,
    delimiter: str,
    *,
    fields: FieldNames | None = None,
    encoding: str | None = None,
    quoting: Quoting = "auto",
    note: Note | None = None,
) -> Iterator[RawItem]:
    r"""Yield a record for each row. Columns other than id, text and title are metadata, with strings as values.

    The line of a row is its first line. After a broken row, reading continues after the line that closes its quotes.

    Parameters
    ----------
    path
        The file.
    delimiter
        What separates the columns: ``","`` or ``"\t"``.
    fields
        Names of the columns that hold the id, the text and the title; ``None`` looks for the usual ones.
    encoding
        Encoding of the file; ``None`` means UTF-8, or what a byte order mark says.
    quoting
        ``"csv"``: fields may be in quotation marks, those with quotation marks or line ends must be, and quotation
        marks in them are doubled. ``"none"``: a row is a line, and quotation marks are text. ``"auto"``: ``"csv"`` for
        commas; for tabs, what the first lines show (see :func:`colstore.corpus.quoting.uses_quotes`).
    note
        Called with a sentence for each decision that the file left open.

    Raises
    ------
    CorpusError
        The header is missing, broken, or lacks an id or a text column. A tab-separated file without a header is read
        if it looks like a collection of MS MARCO: id and text, or id, url, title and text.
    ConfigError
        ``encoding`` or ``quoting`` has an unknown value.
    """
    name = printable(path)
    rows = read_rows(path, delimiter, encoding=encoding, quoting=quoting, note=note)
    header = next(rows, None)
    if header is None:
        raise CorpusError("the file is empty: a header line with the columns id and text is needed", source=name)
    if isinstance(header, CorpusError):
        raise header
    names = columns_without_header(header.cells, fields) if delimiter == "\t" else None
    if names is not None:
        if note is not None:
            note(f"{name}: no header line; the columns are taken as {', '.join(names)}")
        rows = chain([header], rows)
        columns = list(names)
    else:
        columns = header.cells
        check_columns(columns, name, header.line, fields)
    return _records(rows, columns, name, fields)


def _records(
    rows: Iterator[Row | CorpusError], columns: list[str], name: str, fields: FieldNames | None
) -> Iterator[RawItem]:
    found = check_columns(columns, name, None, fields)
    others = bool(found.others) or any(column in ("metadata", "vectors") for column in columns)
    width = len(columns)
    for row in rows:
        if isinstance(row, CorpusError):
            yield row
        elif len(row.cells) != width:
            message = f"wrong number of columns: {len(row.cells)} in this row, {width} in the header"
            yield CorpusError(message, source=name, line=row.line)
        else:
            values = dict(zip(columns, row.cells, strict=True))
            if others:
                yield Record(with_metadata_apart(values, fields), name, row.line)
            else:
                yield Record(values, name, row.line, fields)


class Row(NamedTuple):
    """A row of a table.

    Parameters
    ----------
    line
        Number of its first line, from 1.
    cells
        Its fields.
    """

    line: int
    cells: list[str]


def read_rows(
    path: Path | None,
    delimiter: str,
    *,
    encoding: str | None = None,
    quoting: Quoting = "auto",
    note: Note | None = None,
) -> Iterator[Row | CorpusError]:
    """Yield the rows of a table that are not blank, the header among them, or the errors in their places.

    See :func:`read_tabular` for the parameters.
    """
    check_quoting(quoting)
    name = printable(STDIN if path is None else path)
    lines = read_lines(path, encoding)
    if quoting == "auto" and delimiter == "\t":
        sample = _sample(lines)
        cut = len(sample) >= SAMPLE_LINES or sum(len(line.text) for line in sample) >= SAMPLE_CHARACTERS
        quoting = "csv" if uses_quotes([line.text + "\n" for line in sample], delimiter, cut=cut) else "none"
        lines = chain(sample, lines)
        if quoting == "csv" and note is not None:
            note(f"{name}: the fields are taken to be quoted as in CSV; quoting='none' takes quotation marks as text")
    return _plain_rows(lines, delimiter) if quoting == "none" else _quoted_rows(lines, name, delimiter)


def _sample(lines: Iterator[Line]) -> list[Line]:
    sample: list[Line] = []
    size = 0
    while len(sample) < SAMPLE_LINES and size < SAMPLE_CHARACTERS:
        line = next(lines, None)
        if line is None:
            break
        sample.append(line)
        size += len(line.text)
    return sample


def _plain_rows(lines: Iterator[Line], delimiter: str) -> Iterator[Row | CorpusError]:
    for number, text, error in lines:
        if error is not None:
            yield error
            continue
        cells = text.rstrip("\r\n").split(delimiter)
        if len(cells) > 1 or cells[0].strip():
            yield Row(number, cells)


class _Feed:
    """Feeds lines to the csv reader and keeps track of the current row.

    Parameters
    ----------
    lines
        Physical lines of the file.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self.first = 0
        self.last = 0
        self.error: CorpusError | None = None
        self._quotes = 0
        self._pending: Line | None = None

    def begin_row(self) -> Line | None:
        """Return the first line of the next row, which the csv reader gets, too; ``None`` at the end.

        Raises
        ------
        IncompleteCorpusError
            Reading stops here.
        """
        line = next(self._lines, None)
        self.first, self.error, self._quotes = self.last + 1, None, 0
        self._pending = line
        if line is not None and isinstance(line.error, IncompleteCorpusError):
            raise line.error
        return line

    def skip_line(self) -> None:
        """Pass over the first line of the row, because the csv reader is not needed for it."""
        self._pending = None
        self.last += 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._pending or next(self._lines)
        self._pending = None
        self.last = line.number
        if isinstance(line.error, IncompleteCorpusError):
            raise line.error
        self.error = self.error or line.error
        self._quotes += line.text.count('"')
        return line.text + "\n"

    def finish_row(self) -> bool:
        """Read on until a line closes the open quotes, and return whether there was such a line."""
        while self._quotes % 2:
            if next(self, None) is None:
                return False
        return True


def _quoted_rows(lines: Iterator[Line], name: str, delimiter: str) -> Iterator[Row | CorpusError]:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = _next_cells(reader, feed, name, delimiter)
        except IncompleteCorpusError as error:
            yield error
            return
        except CorpusError as error:
            yield error
            continue
        if cells is None:
            return
        if len(cells) > 1 or any(cell.strip() for cell in cells):
            yield Row(feed.first, cells)


def _next_cells(reader: Iterator[list[str]], feed: _Feed, name: str, delimiter: str) -> list[str] | None:
    """Return the cells of the next row, or ``None`` at the end; raise the error of a broken row."""
    line = feed.begin_row()
    if line is None:
        return None
    text = line.text.removesuffix("\r")
    if line.error is None and '"' not in text and "\r" not in text and len(text) <= csv.field_size_limit():
        feed.skip_line()
        return text.split(delimiter) if text else []
    try:
        cells = next(reader, None)
    except csv.Error as error:
        if not feed.finish_row():
            message = "a quoted field that begins in this row is never closed, so the rest of the file is lost"
            raise IncompleteCorpusError(message, source=name, line=feed.first) from None
        raise CorpusError(_explain(error), source=name, line=feed.first) from None
    if feed.error is not None:
        raise feed.error
    return cells


def _explain(error: csv.Error) -> str:
    if "field limit" in str(error):
        limit = f"{csv.field_size_limit():,}"
        return f"a field is longer than {limit} characters: raise csv.field_size_limit, or write JSONL"
    message = "quote fields that contain quotes or newlines, and double the quotes in them"
    return f"broken row ({error}): {message}; or, where quotation marks are text, read it with quoting='none'"
