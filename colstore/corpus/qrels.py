"""Reading relevance judgements (qrels)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colstore.config import OnError
from colstore.corpus.columns import QUERY_ID_KEYS
from colstore.corpus.documents import check_choice
from colstore.corpus.lines import STDIN, PathSource, existing_file, printable, read_sound_lines
from colstore.corpus.record import Record, cell_grade, cell_id, excerpt
from colstore.errors import DuplicateIdError
from colstore.reports import ReadReport

_QUERY_HEADERS = {*QUERY_ID_KEYS, "query"}


def read_qrels(
    source: PathSource,
    *,
    on_duplicate: OnError = "error",
    report: ReadReport | None = None,
    encoding: str | None = None,
) -> dict[str, dict[str, int]]:
    """Return the grade of each judged pair: ``{query id: {document id: grade}}``.

    Parameters
    ----------
    source
        A file (also ``.gz``), or ``"-"`` for standard input. It has three columns, ``query-id  corpus-id  score``
        (BEIR), or four, ``query-id  0  document-id  grade`` (TREC), separated by tabs or spaces, with or without a
        header. Ids with spaces need tabs. A grade is a whole number, which may be written as a float (``2.0``).
    on_duplicate
        What to do with a pair that has two different grades: ``"error"`` raises an error, ``"skip"`` uses the first.
        The same grade twice is counted and used once.
    report
        Report to which the numbers of judgements and of repeated ones are added.
    encoding
        Encoding of the file; ``None`` means UTF-8, or what a byte order mark says.

    Raises
    ------
    CorpusError
        The file cannot be read, or a line is broken. The message names the file and the line.
    DuplicateIdError
        A pair has two different grades.
    ConfigError
        ``on_duplicate`` or ``encoding`` has an unknown value.
    """
    check_choice("on_duplicate", on_duplicate)
    report = ReadReport() if report is None else report
    qrels: dict[str, dict[str, int]] = {}
    for judgement in _judgements(existing_file(source, "qrels/test.tsv"), encoding):
        grades = qrels.setdefault(judgement.query_id, {})
        if judgement.doc_id in grades:
            error = _duplicate(judgement, grades[judgement.doc_id])
            if on_duplicate == "error" and grades[judgement.doc_id] != judgement.grade:
                raise error
            report.skip(error)
        else:
            grades[judgement.doc_id] = judgement.grade
            report.documents += 1
    return qrels


@dataclass(frozen=True, slots=True)
class _Judgement:
    query_id: str
    doc_id: str
    grade: int
    location: Record


def _duplicate(judgement: _Judgement, before: int) -> DuplicateIdError:
    pair = f"query {excerpt(judgement.query_id)} and document {excerpt(judgement.doc_id)}"
    message = f"{pair} are judged a second time"
    if before != judgement.grade:
        message += f", {judgement.grade} after {before}; on_duplicate='skip' uses the first grade"
    return judgement.location.error_of(DuplicateIdError, message)


def _judgements(path: Path | None, encoding: str | None) -> Iterator[_Judgement]:
    name = printable(STDIN if path is None else path)
    layout: _Layout | None = None
    for line in read_sound_lines(path, encoding):
        location = Record({}, name, line.number)
        if layout is None:
            layout = _layout(line.text, location)
            if _is_header(layout.split(line.text)):
                continue
        cells = layout.split(line.text)
        if len(cells) != layout.width:
            counts = f"{len(cells)} in this line, {layout.width} in the first one"
            raise location.error(f"wrong number of columns: {counts}")
        yield _judgement(cells, location)


def _judgement(cells: list[str], location: Record) -> _Judgement:
    return _Judgement(
        query_id=cell_id(location, cells[0], "query id"),
        doc_id=cell_id(location, cells[-2], "document id"),
        grade=cell_grade(location, cells[-1].strip()),
        location=location,
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the lines of a file are divided.

    Parameters
    ----------
    width
        Number of columns.
    tabs
        Whether tabs separate them, so that ids may contain spaces, or any white space.
    """

    width: int
    tabs: bool

    def split(self, text: str) -> list[str]:
        """Return the cells of a line."""
        cells = text.rstrip("\r\n").split("\t") if self.tabs else text.split()
        # the columns of TREC are separated by any white space, even where the first line has tabs
        return text.split() if self.width == 4 and len(cells) != 4 else cells


def _layout(text: str, location: Record) -> _Layout:
    for tabs in (True, False):
        for width in (3, 4):
            cells = text.rstrip("\r\n").split("\t") if tabs else text.split()
            if len(cells) == width:
                return _Layout(width, tabs)
    raise location.error(
        "the line has neither three columns separated by tabs (query-id, corpus-id, score) nor the four of TREC"
    )


def _is_header(cells: list[str]) -> bool:
    is_number = cells[-1].strip().lstrip("+-").replace(".", "").isdigit()
    return cells[0].strip().casefold() in _QUERY_HEADERS and not is_number
