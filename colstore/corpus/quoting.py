"""Whether a tab-separated file quotes its fields, and whether it has a header: decided by its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Literal, get_args

from colstore.corpus.columns import OWN_KEYS, FieldNames, columns_of
from colstore.errors import ConfigError

Quoting = Literal["auto", "csv", "none"]
SAMPLE_LINES = 1000
SAMPLE_CHARACTERS = 1 << 20
"""Limits of the number of lines and characters by which quoting is decided."""
HEADERLESS = {2: ("id", "text"), 4: ("id", "url", "title", "text")}
"""Columns of the collections without a header line, by their number: MS MARCO's passages and documents."""
_MIN_WORDS = 4
_HAS_DIGIT = re.compile(r"[0-9]")
_URL = re.compile(r"https?://")


def check_quoting(quoting: str) -> None:
    """Refuse a value that is none of ``"auto"``, ``"csv"`` and ``"none"``.

    Raises
    ------
    ConfigError
        The value is another one.
    """
    if quoting not in get_args(Quoting):
        raise ConfigError(f"quoting must be one of {get_args(Quoting)}, got {quoting!r}")


def uses_quotes(lines: Sequence[str], delimiter: str = "\t", *, cut: bool = False) -> bool:
    r"""Return whether a table clearly quotes its fields as CSV files do.

    Parameters
    ----------
    lines
        The first lines of the table, with their line ends.
    delimiter
        What separates the columns.
    cut
        Whether the table goes on, so that the last row may lack its end.

    Notes
    -----
    Files of text such as MS MARCO's hold quotation marks at the beginning or the end of a passage, and do not quote.
    A table is taken to quote its fields only if

    - its rows make sense with quoting and do not without: a quoted field contains a line end or a delimiter; or
    - all fields of a column are quoted, or some field is quoted and has doubled quotes in it, and no field begins with
      a quote that only makes sense as text.

    Examples
    --------
    >>> uses_quotes(['id\ttext\n', '1\t"Bees" dance\n', '2\t"so do they"\n'])
    False
    >>> uses_quotes(['id\ttext\n', '1\t"They ""dance""."\n'])
    True
    """
    rows = [line.rstrip("\r\n").split(delimiter) for line in lines if line.strip()]
    if not any(cell.startswith('"') for row in rows for cell in row):
        return False
    width = _width(rows[0], lines, delimiter)
    unquoted_faults = sum(len(row) != width for row in rows)
    if unquoted_faults:
        return _faults_of_csv(lines, delimiter, width, cut=cut) < unquoted_faults
    opened = [cell for row in rows for cell in row if cell.startswith('"')]
    if not all(map(_is_quoted, opened)):
        return False
    return any('"' in cell[1:-1] for cell in opened) or any(
        len(rows) > 1 and all(map(_is_quoted, column)) for column in zip(*rows, strict=True)
    )


def _width(first: Sequence[str], lines: Sequence[str], delimiter: str) -> int:
    """Return the number of columns of the first line, which is the header and has no line ends in its names."""
    try:
        return len(next(csv.reader(lines[:1], delimiter=delimiter, strict=True)))
    except (csv.Error, StopIteration):
        return len(first)


def _faults_of_csv(lines: Sequence[str], delimiter: str, width: int, *, cut: bool) -> int:
    """Return how many rows do not fit if the fields are quoted."""
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    faults = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            at_end = reader.line_num >= len(lines)
            faults += not (cut and at_end)
            if at_end:
                return faults
            continue
        if row is None:
            return faults
        faults += len(row) not in (width, 0)


def _is_quoted(cell: str) -> bool:
    """Return whether a field is quoted: in quotation marks, with those in it doubled."""
    return len(cell) > 1 and cell.startswith('"') and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def columns_without_header(cells: Sequence[str], names: FieldNames | None = None) -> tuple[str, ...] | None:
    """Return the columns of a table that begins with data in place of a header; ``None`` where that is not clear.

    Parameters
    ----------
    cells
        Fields of the first line.
    names
        Names of columns that the caller chose; then there is a header.

    Examples
    --------
    >>> columns_without_header(["0", "Bees dance."]), columns_without_header(["key", "summary"])
    (('id', 'text'), None)
    """
    found = columns_of(tuple(cells))
    known = any((found.id, found.text, found.title)) or any(cell in OWN_KEYS for cell in cells)
    if names is not None or known or len(cells) not in HEADERLESS:
        return None
    identifier, last = cells[0], cells[-1]
    if len(identifier.split()) != 1 or (len(cells) == 4 and not _URL.match(cells[1])):
        return None
    is_data = len(last.split()) >= _MIN_WORDS or len(cells) == 4
    if not is_data and _HAS_DIGIT.search(identifier):
        is_data = identifier.isdigit() or len(last.split()) > 1 or not _HAS_DIGIT.search(last)
    return HEADERLESS[len(cells)] if is_data else None
