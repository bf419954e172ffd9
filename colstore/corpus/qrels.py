"""Relevance judgements in."""

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
        A file (also ``.gz``) or ``"-"``: three columns ``query-id  corpus-id  score`` with tabs, under that
        header or none (BEIR), or four, ``query-id  0  document-id  grade``, with tabs or spaces (TREC).
    on_duplicate
        A pair judged twice: ``"error"``, or ``"skip"``, which keeps the first.
    report
        Counts the judgements.

    Raises
    ------
    CorpusError
        A broken line; with file and line.
    DuplicateIdError
        A pair judged twice.
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
    place: Record


def _duplicate(judgement: _Judgement) -> DuplicateIdError:
    pair = f"query {excerpt(judgement.query_id)} and document {excerpt(judgement.doc_id)}"
    return judgement.place.error_of(DuplicateIdError, f"{pair} are judged a second time")


def _judgements(path: Path | None) -> Iterator[_Judgement]:
    name = printable(STDIN if path is None else path)
    width = 0
    for line in read_sound_lines(path):
        place = Record({}, name, line.number)
        if not width:
            width = _width(line, place)
            if _is_header(line):
                continue
        cells = _split(line, width)
        if len(cells) != width:
            raise place.error(f"{len(cells)} columns where the first line has {width}")
        yield _judgement(cells, place)


def _judgement(cells: list[str], place: Record) -> _Judgement:
    return _Judgement(
        query_id=cell_id(place, cells[0], "query id"),
        doc_id=cell_id(place, cells[-2], "document id"),
        grade=cell_integer(place, cells[-1].strip(), "grade"),
        place=place,
    )


def _split(line: Line, width: int) -> list[str]:
    """Split by tabs (BEIR, where ids may hold spaces) or by white space (TREC)."""
    return line.text.rstrip("\r\n").split("\t") if width == 3 else line.text.split()


def _width(line: Line, place: Record) -> int:
    if len(_split(line, 3)) == 3:
        return 3
    if len(_split(line, 4)) == 4:
        return 4
    raise place.error("neither three columns with tabs (query-id, corpus-id, score) nor TREC's four")


def _is_header(line: Line) -> bool:
    cells = _split(line, 3)
    return len(cells) == 3 and cells[0].strip().lower() in _QUERY_HEADERS
