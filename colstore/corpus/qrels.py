"""Reading relevance judgements (qrels)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colstore.config import OnError
from colstore.corpus.documents import check_choice
from colstore.corpus.lines import STDIN, Line, PathSource, existing_file, printable, read_sound_lines
from colstore.corpus.record import Record, cell_id, cell_integer, excerpt
from colstore.errors import DuplicateIdError
from colstore.reports import ReadReport

_QUERY_HEADERS = {"query-id", "query_id", "qid", "query"}


def read_qrels(
    source: PathSource, *, on_duplicate: OnError = "error", report: ReadReport | None = None
) -> dict[str, dict[str, int]]:
    """Return the grade of each judged pair: ``{query id: {document id: grade}}``.

    Parameters
    ----------
    source
        A file (also ``.gz``), or ``"-"`` for standard input. It has either three columns separated by tabs, ``query-id
        corpus-id  score``, with or without that header (BEIR), or four columns separated by tabs or spaces, ``query-id
        0  document-id  grade`` (TREC).
    on_duplicate
        What to do with a pair that is judged twice: ``"error"`` raises an error, ``"skip"`` uses the first judgement.
    report
        Report to which the number of judgements is added.

    Raises
    ------
    CorpusError
        The file cannot be read, or a line is broken. The message names the file and the line.
    DuplicateIdError
        A pair is judged twice.
    ConfigError
        ``on_duplicate`` has an unknown value.
    """
    check_choice("on_duplicate", on_duplicate)
    report = ReadReport() if report is None else report
    qrels: dict[str, dict[str, int]] = {}
    for judgement in _judgements(existing_file(source, "qrels/test.tsv")):
        grades = qrels.setdefault(judgement.query_id, {})
        if judgement.doc_id in grades:
            error = _duplicate(judgement)
            if on_duplicate == "error":
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


def _duplicate(judgement: _Judgement) -> DuplicateIdError:
    pair = f"query {excerpt(judgement.query_id)} and document {excerpt(judgement.doc_id)}"
    return judgement.location.error_of(DuplicateIdError, f"{pair} are judged a second time")


def _judgements(path: Path | None) -> Iterator[_Judgement]:
    name = printable(STDIN if path is None else path)
    width = 0
    for line in read_sound_lines(path):
        location = Record({}, name, line.number)
        if not width:
            width = _width(line, location)
            if _is_header(line):
                continue
        cells = _split(line, width)
        if len(cells) != width:
            raise location.error(f"wrong number of columns: {len(cells)} in this line, {width} in the first one")
        yield _judgement(cells, location)


def _judgement(cells: list[str], location: Record) -> _Judgement:
    return _Judgement(
        query_id=cell_id(location, cells[0], "query id"),
        doc_id=cell_id(location, cells[-2], "document id"),
        grade=cell_integer(location, cells[-1].strip(), "grade"),
        location=location,
    )


def _split(line: Line, width: int) -> list[str]:
    """Split a line by tabs (BEIR, where ids may contain spaces) or by white space (TREC)."""
    return line.text.rstrip("\r\n").split("\t") if width == 3 else line.text.split()


def _width(line: Line, location: Record) -> int:
    if len(_split(line, 3)) == 3:
        return 3
    if len(_split(line, 4)) == 4:
        return 4
    raise location.error(
        "the line has neither three columns separated by tabs (query-id, corpus-id, score) nor the four of TREC"
    )


def _is_header(line: Line) -> bool:
    cells = _split(line, 3)
    return len(cells) == 3 and cells[0].strip().lower() in _QUERY_HEADERS
