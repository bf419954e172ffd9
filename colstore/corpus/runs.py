"""Runs: ranked documents for each query, in and out."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, get_args

from colstore.config import OnError
from colstore.corpus.documents import check_choice
from colstore.corpus.jsonl import parse_object
from colstore.corpus.lines import STDIN, PathSource, existing_file, printable, read_sound_lines
from colstore.corpus.record import Record, cell_id, cell_integer, cell_score, clean_id, excerpt, finite_score
from colstore.corpus.seen import SeenIds
from colstore.errors import ConfigError, CorpusError, DuplicateIdError
from colstore.reports import ReadReport

_QUERY_KEYS = ("query_id", "query-id", "qid")
_DOCUMENT_KEYS = ("doc_id", "docid", "corpus-id", "id")


@dataclass(frozen=True, slots=True)
class RunLine:
    """One ranked document.

    Parameters
    ----------
    query_id, doc_id
        As the file has them.
    rank
        As the file has it; its position in the query where the file has none.
    score
        Finite; higher is better. Minus the rank where the file has none.
    """

    query_id: str
    doc_id: str
    rank: int
    score: float


_Parser: TypeAlias = "Callable[[Record, str], tuple[str, str, int | None, float | None]]"


def read_run(
    source: PathSource, *, on_duplicate: OnError = "error", report: ReadReport | None = None
) -> Iterator[RunLine]:
    """Return an iterator over the lines of a run, in the order of the file.

    Parameters
    ----------
    source
        A file (also ``.gz``) or ``"-"``. Six columns ``query Q0 document rank score tag`` (TREC), three,
        ``query  document  rank`` (MS MARCO), or JSON objects with ``query_id`` (``qid``), ``doc_id``
        (``docid``, ``id``) and ``score`` or ``rank`` or both. The first line decides.
    on_duplicate
        A document that comes twice for a query: ``"error"``, or ``"skip"``, which keeps the first.
    report
        Counts the lines.

    Raises
    ------
    CorpusError
        A broken line, a score that is no finite number, or a query whose lines do not stand together; with
        file and line. A missing file at once, the rest while iterating.
    DuplicateIdError
        A document that comes twice for a query.
    """
    check_choice("on_duplicate", on_duplicate)
    path = existing_file(source, "runs/bm25.trec.gz")
    return _unique(_placed_lines(path), on_duplicate, ReadReport() if report is None else report)


def group_run(lines: Iterable[RunLine]) -> Iterator[tuple[str, list[RunLine]]]:
    """Yield each query with its documents, best first, holding one query at a time.

    Sorted by falling score, equal scores by the rank in the file; then ranked anew from 1. Ranks that
    disagree with the scores thus give way to them, as in ``trec_eval``.

    Raises
    ------
    CorpusError
        A query whose lines do not stand together.

    Examples
    --------
    >>> lines = [RunLine("q1", "d1", 1, 0.5), RunLine("q1", "d2", 2, 0.9)]
    >>> [(query, [line.doc_id for line in ranked]) for query, ranked in group_run(lines)]
    [('q1', ['d2', 'd1'])]
    """
    with SeenIds() as seen:
        for query_id, group in groupby(lines, key=attrgetter("query_id")):
            if not seen.add(query_id):
                raise CorpusError(_apart(query_id))
            ranked = sorted(group, key=lambda line: (-line.score, line.rank))
            yield query_id, [replace(line, rank=rank) for rank, line in enumerate(ranked, start=1)]


def _apart(query_id: str) -> str:
    return f"the lines of query {excerpt(query_id)} do not stand together: sort the run by query"


def _unique(lines: Iterator[tuple[Record, RunLine]], on_duplicate: OnError, report: ReadReport) -> Iterator[RunLine]:
    documents: set[str] = set()  # of the current query
    current: str | None = None
    with SeenIds() as queries:
        for place, line in lines:
            if line.query_id != current:
                if not queries.add(line.query_id):
                    raise place.error(_apart(line.query_id))
                current = line.query_id
                documents.clear()
            if line.doc_id in documents:
                error = place.error_of(
                    DuplicateIdError,
                    f"document {excerpt(line.doc_id)} comes twice for its query; on_duplicate='skip' keeps the first",
                )
                if on_duplicate == "error":
                    raise error
                report.skip(error)
                continue
            documents.add(line.doc_id)
            report.documents += 1
            yield line


def _placed_lines(path: Path | None) -> Iterator[tuple[Record, RunLine]]:
    """Parse the lines; a missing rank is the position in the query, a missing score minus the rank."""
    name = printable(STDIN if path is None else path)
    parse: _Parser | None = None
    current, position = None, 0
    for line in read_sound_lines(path):
        place = Record({}, name, line.number)
        parse = parse or _choose_parser(place, line.text)
        query_id, doc_id, rank, score = parse(place, line.text)
        position = position + 1 if query_id == current else 1
        current = query_id
        rank = position if rank is None else rank
        yield place, RunLine(query_id, doc_id, rank, float(-rank) if score is None else score)


def _choose_parser(place: Record, text: str) -> _Parser:
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):  # a query id may be "{"
        return _parse_json
    match len(text.split()):
        case 6:
            return _parse_trec
        case 3:
            return _parse_msmarco
    raise place.error("neither TREC's six columns, nor MS MARCO's three, nor a JSON object")


def _cells(place: Record, text: str, width: int) -> list[str]:
    cells = text.split()
    if len(cells) != width:
        raise place.error(f"{len(cells)} columns where the first line has {width}")
    return cells


def _parse_trec(place: Record, text: str) -> tuple[str, str, int, float]:
    query_id, _, doc_id, rank, score, _ = _cells(place, text, 6)
    return (
        cell_id(place, query_id, "query id"),
        cell_id(place, doc_id, "document id"),
        cell_integer(place, rank, "rank"),
        cell_score(place, score),
    )


def _parse_msmarco(place: Record, text: str) -> tuple[str, str, int, None]:
    query_id, doc_id, rank = _cells(place, text, 3)
    return (
        cell_id(place, query_id, "query id"),
        cell_id(place, doc_id, "document id"),
        cell_integer(place, rank, "rank"),
        None,
    )


def _parse_json(place: Record, text: str) -> tuple[str, str, int | None, float | None]:
    try:
        fields = parse_object(text)
    except ValueError as error:
        raise place.error(str(error)) from None
    rank, score = fields.get("rank"), fields.get("score")
    if rank is None and score is None:
        raise place.error("neither score nor rank")
    return (
        clean_id(place, _first(place, fields, _QUERY_KEYS)),
        clean_id(place, _first(place, fields, _DOCUMENT_KEYS)),
        None if rank is None else _json_rank(place, rank),
        None if score is None else _json_score(place, score),
    )


def _first(place: Record, fields: dict[str, Any], keys: tuple[str, ...]) -> object:
    for key in keys:
        if key in fields:
            return fields[key]
    raise place.error(f"no {keys[0]} (nor {', '.join(keys[1:])})")


def _json_rank(place: Record, rank: object) -> int:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank.bit_length() > 63:
        raise place.error(f"rank must be a whole number, got {excerpt(rank)}")
    return rank


def _json_score(place: Record, score: object) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise place.error(f"score must be a finite number, got {excerpt(score)}")
    try:
        return finite_score(place, float(score))
    except OverflowError:
        raise place.error("score must be a finite number, got a whole number too large for one") from None


RunLayout = Literal["trec", "msmarco", "jsonl"]


def write_run(
    target: str | os.PathLike[str] | TextIO,
    lines: Iterable[RunLine],
    *,
    layout: RunLayout = "trec",
    tag: str = "colstore",
) -> int:
    """Write a run and return the number of lines.

    Parameters
    ----------
    target
        A path (``.gz`` is compressed; the file appears when it is whole), or an open text file.
    lines
        In the order in which they are written, one at a time.
    layout
        ``"trec"`` (six columns), ``"msmarco"`` (three; no scores) or ``"jsonl"``. Scores are written so that
        reading them gives the same float.
    tag
        The last column of a TREC run.

    Raises
    ------
    ConfigError
        An unknown layout, or a tag that is no single word.
    CorpusError
        A score that is not finite, or an id that the layout cannot hold (white space, except in JSON).

    Examples
    --------
    >>> import sys
    >>> write_run(sys.stdout, [RunLine("q1", "d1", 1, 0.5)])
    q1 Q0 d1 1 0.5 colstore
    1
    """
    if layout not in get_args(RunLayout):
        raise ConfigError(f"layout must be one of {get_args(RunLayout)}, got {layout!r}")
    if len(tag.split()) != 1 or tag != tag.strip():
        raise ConfigError(f"tag must be one word, got {tag!r}")
    if isinstance(target, str | os.PathLike):
        with _appearing_whole(Path(target)) as stream:
            return _write(stream, lines, layout, tag)
    return _write(target, lines, layout, tag)


def _write(stream: TextIO, lines: Iterable[RunLine], layout: RunLayout, tag: str) -> int:
    count = 0
    for count, line in enumerate(lines, start=1):
        _check(line, layout, Record({}, "<run>", count))
        stream.write(_FORMATS[layout](line, tag) + "\n")
    return count


def _check(line: RunLine, layout: RunLayout, place: Record) -> None:
    finite_score(place, line.score)
    for identifier in (line.query_id, line.doc_id):
        clean_id(place, identifier)
        if layout != "jsonl" and len(identifier.split()) != 1:
            raise place.error(f"id {excerpt(identifier)} holds white space, which this layout cannot: use jsonl")
        if layout != "jsonl" and identifier != identifier.strip():
            raise place.error(f"id {excerpt(identifier)} has white space at its end: use jsonl")


def _to_trec(line: RunLine, tag: str) -> str:
    return f"{line.query_id} Q0 {line.doc_id} {line.rank} {float(line.score)!r} {tag}"


def _to_msmarco(line: RunLine, _tag: str) -> str:
    return f"{line.query_id}\t{line.doc_id}\t{line.rank}"


def _to_jsonl(line: RunLine, _tag: str) -> str:
    fields = {"query_id": line.query_id, "doc_id": line.doc_id, "rank": line.rank, "score": float(line.score)}
    return json.dumps(fields, ensure_ascii=False)


_FORMATS: dict[RunLayout, Callable[[RunLine, str], str]] = {
    "trec": _to_trec,
    "msmarco": _to_msmarco,
    "jsonl": _to_jsonl,
}


@contextmanager
def _appearing_whole(path: Path) -> Iterator[TextIO]:
    """Open a file beside the path and move it there at the end: half a run would read like a whole one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with _open_text(beside, compressed=path.name.lower().endswith(".gz")) as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _open_text(path: Path, *, compressed: bool) -> Iterator[TextIO]:
    if not compressed:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    # no time and no name in the gzip header: the same run gives the same bytes
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):
        yield stream
