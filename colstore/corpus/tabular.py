"""Reading CSV and TSV files with a header line, by strict rules: fields with quotes or newlines must be quoted."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colstore.corpus.columns import FieldNames, check_columns, with_metadata_apart
from colstore.corpus.lines import Line, printable, read_lines
from colstore.corpus.record import RawItem, Record
from colstore.errors import CorpusError, IncompleteCorpusError


def read_tabular(
    path: Path,
    delimiter: str,
    *,
    fields: FieldNames | None = None,
    encoding: str | None = None,
    quoting: str = "auto",  # noqa: ARG001 - one rule so far
) -> Iterator[RawItem]:
    """Yield a record for each row. Columns other than id, text and title are metadata, with strings as values.

    The line of a row is its first line. After a broken row, reading continues after the line that closes its quotes.

    Raises
    ------
    CorpusError
        The header is missing, broken, or lacks an id or a text column.
    """
    name = printable(path)
    rows = _rows(read_lines(path, encoding), name, delimiter)
    header = next(rows, None)
    if header is None:
        raise CorpusError("the file is empty: a header line with the columns id and text is needed", source=name)
    if isinstance(header, CorpusError):
        raise header
    check_columns(header.cells, name, header.line, fields)
    for row in rows:
        yield row if isinstance(row, CorpusError) else _record(header.cells, row, name, fields)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: list[str]


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

    def begin_row(self) -> None:
        self.first, self.error, self._quotes = self.last + 1, None, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.last = line.number
        if isinstance(line.error, IncompleteCorpusError):
            raise line.error
        self.error = self.error or line.error
        self._quotes += line.text.count('"')
        return line.text

    def finish_row(self) -> bool:
        """Read on until a line closes the open quotes, and return whether there was such a line."""
        while self._quotes % 2:
            if next(self, None) is None:
                return False
        return True


def _rows(lines: Iterator[Line], name: str, delimiter: str) -> Iterator[_Row | CorpusError]:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin_row()
        try:
            cells = _next_cells(reader, feed, name)
        except IncompleteCorpusError as error:
            yield error
            return
        except CorpusError as error:
            yield error
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells) or len(cells) > 1:
            yield _Row(feed.first, cells)


def _next_cells(reader: Iterator[list[str]], feed: _Feed, name: str) -> list[str] | None:
    """Return the cells of the next row, or ``None`` at the end; raise the error of a broken row."""
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
    return f"broken row ({error}): quote fields that contain quotes or newlines, and double the quotes in them"


def _record(columns: list[str], row: _Row, name: str, fields: FieldNames | None) -> RawItem:
    if len(row.cells) != len(columns):
        message = f"wrong number of columns: {len(row.cells)} in this row, {len(columns)} in the header"
        return CorpusError(message, source=name, line=row.line)
    return Record(with_metadata_apart(dict(zip(columns, row.cells, strict=True)), fields), name, row.line)
