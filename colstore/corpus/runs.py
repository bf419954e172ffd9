"""Reading and writing runs: the ranked documents of each query."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, get_args

from colstore.config import OnError
from colstore.corpus.columns import QUERY_ID_KEYS
from colstore.corpus.documents import check_choice
from colstore.corpus.encodings import check_encoding
from colstore.corpus.jsonl import parse_object
from colstore.corpus.lines import STDIN, PathSource, existing_file, printable, read_sound_lines
from colstore.corpus.record import Record, cell_id, cell_integer, cell_score, clean_id, excerpt, finite_score
from colstore.corpus.seen import SeenIds
from colstore.errors import ConfigError, CorpusError, DuplicateIdError
from colstore.reports import ReadReport

_QUERY_KEYS = ("query_id", "query-id", "qid")
_DOCUMENT_KEYS = ("doc_id", "docid", "docno", "corpus-id", "id")
_HEADERS = {*QUERY_ID_KEYS, "query"}


@dataclass(frozen=True, slots=True)
class RunLine:
    """A ranked document of a run.

    Parameters
    ----------
    query_id, doc_id
        Ids of the query and the document.
    rank
        Rank in the file. If the file has no ranks, the position of the line within its query, from 1.
    score
        A finite number; higher is better. If the file has no scores, minus the rank.
    """

    query_id: str
    doc_id: str
    rank: int
    score: float


_Parser: TypeAlias = "Callable[[Record, str], tuple[str, str, int | None, float | None]]"


def read_run(
    source: PathSource,
    *,
    on_duplicate: OnError = "error",
    report: ReadReport | None = None,
    encoding: str | None = None,
) -> Iterator[RunLine]:
    """Return an iterator over the lines of a run, in the order of the file.

    Parameters
    ----------
    source
        A file (also ``.gz``), or ``"-"`` for standard input. It has six columns ``query Q0 document rank score tag``
        (TREC), three columns ``query  document  rank`` (MS MARCO), or JSON objects with ``query_id`` (``qid``),
        ``doc_id`` (``docid``, ``id``) and ``score``, ``rank`` or both. The first line determines the format. Columns
        are separated by white space; where the first line has tabs only between the columns, ids may contain spaces.
    on_duplicate
        What to do with a document that occurs twice for a query: ``"error"`` raises an error, ``"skip"`` uses the first
        line.
    report
        Report to which the number of lines is added.
    encoding
        Encoding of the file; ``None`` means UTF-8, or what a byte order mark says.

    Raises
    ------
    CorpusError
        The file cannot be read (raised at once), or a line is broken, a score is not finite, or the lines of a query
        are not consecutive (raised while iterating, with the file and the line).
    DuplicateIdError
        A document occurs twice for a query.
    ConfigError
        ``on_duplicate`` or ``encoding`` has an unknown value.
    """
    check_choice("on_duplicate", on_duplicate)
    check_encoding(encoding)
    path = existing_file(source, "runs/bm25.trec.gz")
    return _unique(_located_lines(path, encoding), on_duplicate, ReadReport() if report is None else report)


def group_run(lines: Iterable[RunLine]) -> Iterator[tuple[str, list[RunLine]]]:
    """Yield each query with its documents, best first, with one query in memory at a time.

    The documents are sorted by descending score, and by the rank in the file if scores are equal; then they are ranked
    again from 1. If ranks and scores disagree, the scores count, as in ``trec_eval``.

    Raises
    ------
    CorpusError
        The lines of a query are not consecutive.

    Examples
    --------
    >>> lines = [RunLine("q1", "d1", 1, 0.5), RunLine("q1", "d2", 2, 0.9)]
    >>> [(query, [line.doc_id for line in ranked]) for query, ranked in group_run(lines)]
    [('q1', ['d2', 'd1'])]
    """
    with SeenIds() as seen:
        for query_id, group in groupby(lines, key=attrgetter("query_id")):
            if not seen.add(query_id):
                raise CorpusError(_not_consecutive(query_id))
            ranked = sorted(group, key=lambda line: (-line.score, line.rank))
            yield query_id, [replace(line, rank=rank) for rank, line in enumerate(ranked, start=1)]


def _not_consecutive(query_id: str) -> str:
    return f"the lines of query {excerpt(query_id)} are not consecutive: sort the run by query"


def _unique(lines: Iterator[tuple[Record, RunLine]], on_duplicate: OnError, report: ReadReport) -> Iterator[RunLine]:
    documents: set[str] = set()  # of the current query
    current: str | None = None
    with SeenIds() as queries:
        for location, line in lines:
            if line.query_id != current:
                if not queries.add(line.query_id):
                    raise location.error(_not_consecutive(line.query_id))
                current = line.query_id
                documents.clear()
            if line.doc_id in documents:
                message = (
                    f"document {excerpt(line.doc_id)} occurs twice for its query; on_duplicate='skip' keeps the first"
                )
                error = location.error_of(DuplicateIdError, message)
                if on_duplicate == "error":
                    raise error
                report.skip(error)
                continue
            documents.add(line.doc_id)
            report.documents += 1
            yield line


def _located_lines(path: Path | None, encoding: str | None) -> Iterator[tuple[Record, RunLine]]:
    """Parse the lines. A missing rank becomes the position in the query, and a missing score minus the rank."""
    name = printable(STDIN if path is None else path)
    parse: _Parser | None = None
    current, position = None, 0
    for line in read_sound_lines(path, encoding):
        location = Record({}, name, line.number)
        if parse is None:
            parse = _choose_parser(location, line.text)
            if _is_header(line.text):
                continue
        query_id, doc_id, rank, score = parse(location, line.text)
        position = position + 1 if query_id == current else 1
        current = query_id
        rank = position if rank is None else rank
        yield location, RunLine(query_id, doc_id, rank, float(-rank) if score is None else score)


def _choose_parser(location: Record, text: str) -> _Parser:
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):  # a query id may be "{"
        return _parse_json
    for tabs in (True, False):
        width = len(_split(text, tabs=tabs))
        if width in (6, 3):
            return partial(_parse_trec if width == 6 else _parse_msmarco, tabs=tabs)
    raise location.error(
        "the line has neither TREC's six columns nor MS MARCO's three, and is not a JSON object (ids with spaces need "
        "tabs between the columns, or JSON)"
    )


def _split(text: str, *, tabs: bool) -> list[str]:
    return text.rstrip("\r\n").split("\t") if tabs else text.split()


def _is_header(text: str) -> bool:
    """Return whether the first line of a run names the columns: its rank is not a number."""
    cells = text.split()
    return len(cells) in (3, 6) and cells[0].casefold() in _HEADERS and not cells[2 if len(cells) == 3 else 3].isdigit()


def _cells(location: Record, text: str, width: int, *, tabs: bool) -> list[str]:
    cells = _split(text, tabs=tabs)
    if len(cells) != width and tabs:
        cells = text.split()
    if len(cells) != width:
        raise location.error(f"wrong number of columns: {len(cells)} in this line, {width} in the first one")
    return cells


def _parse_trec(location: Record, text: str, *, tabs: bool) -> tuple[str, str, int, float]:
    query_id, _, doc_id, rank, score, _ = _cells(location, text, 6, tabs=tabs)
    return (
        cell_id(location, query_id, "query id"),
        cell_id(location, doc_id, "document id"),
        cell_integer(location, rank.strip(), "rank"),
        cell_score(location, score.strip()),
    )


def _parse_msmarco(location: Record, text: str, *, tabs: bool) -> tuple[str, str, int, None]:
    query_id, doc_id, rank = _cells(location, text, 3, tabs=tabs)
    return (
        cell_id(location, query_id, "query id"),
        cell_id(location, doc_id, "document id"),
        cell_integer(location, rank.strip(), "rank"),
        None,
    )


def _parse_json(location: Record, text: str) -> tuple[str, str, int | None, float | None]:
    try:
        fields = parse_object(text)
    except ValueError as error:
        raise location.error(str(error)) from None
    rank, score = fields.get("rank"), fields.get("score")
    if rank is None and score is None:
        raise location.error("the object has neither a score nor a rank")
    return (
        clean_id(location, _first(location, fields, _QUERY_KEYS)),
        clean_id(location, _first(location, fields, _DOCUMENT_KEYS)),
        None if rank is None else _json_rank(location, rank),
        None if score is None else _json_score(location, score),
    )


def _first(location: Record, fields: dict[str, Any], keys: tuple[str, ...]) -> object:
    for key in keys:
        if key in fields:
            return fields[key]
    raise location.error(f"no {keys[0]} (nor {', '.join(keys[1:])})")


def _json_rank(location: Record, rank: object) -> int:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank.bit_length() > 63:
        raise location.error(f"rank must be a whole number, got {excerpt(rank)}")
    return rank


def _json_score(location: Record, score: object) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise location.error(f"score must be a finite number, got {excerpt(score)}")
    try:
        return finite_score(location, float(score))
    except OverflowError:
        raise location.error("score must be a finite number, got an integer that is too large for a float") from None


RunLayout = Literal["trec", "msmarco", "jsonl"]
_NOT_BETWEEN_TABS = ("\t", "\n", "\r")


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
        A path, or an open text file. A ``.gz`` file is compressed. A file appears under its name only when it is
        complete.
    lines
        Lines of the run, in the order in which they are to be written. They are consumed one at a time.
    layout
        ``"trec"`` (six columns), ``"msmarco"`` (three columns, without scores) or ``"jsonl"``. Scores are written so
        that reading them gives the same float.
    tag
        Last column of a TREC run.

    Raises
    ------
    ConfigError
        The layout is unknown, or the tag is not a single word.
    CorpusError
        A score is not finite, or the layout cannot hold an id: no white space in ``"trec"``, and no tab or line end in
        ``"msmarco"``. :func:`check_ids_fit` finds such ids before.

    Examples
    --------
    >>> import sys
    >>> write_run(sys.stdout, [RunLine("q1", "d1", 1, 0.5)])
    q1 Q0 d1 1 0.5 colstore
    1
    """
    _check_layout(layout)
    if len(tag.split()) != 1 or tag != tag.strip():
        raise ConfigError(f"tag must be one word, got {tag!r}")
    if isinstance(target, str | os.PathLike):
        with _write_atomically(Path(target)) as stream:
            return _write(stream, lines, layout, tag)
    return _write(target, lines, layout, tag)


def _write(stream: TextIO, lines: Iterable[RunLine], layout: RunLayout, tag: str) -> int:
    count = 0
    for count, line in enumerate(lines, start=1):
        _check(line, layout, Record({}, "<run>", count))
        stream.write(_FORMATS[layout](line, tag) + "\n")
    return count


def _check(line: RunLine, layout: RunLayout, location: Record) -> None:
    finite_score(location, line.score)
    for identifier in (line.query_id, line.doc_id):
        _check_id(identifier, layout, location)


def check_ids_fit(ids: Iterable[str], layout: RunLayout) -> None:
    """Refuse ids that a layout of runs cannot hold, before the work whose results it is to hold begins.

    Parameters
    ----------
    ids
        Ids of queries or documents.
    layout
        See :func:`write_run`.

    Raises
    ------
    ConfigError
        The layout is unknown.
    CorpusError
        An id does not fit; the message names a layout that can hold it.

    Examples
    --------
    >>> check_ids_fit(["d1", "Meeting notes.md"], "jsonl")
    """
    _check_layout(layout)
    location = Record({}, "<run>")
    for identifier in ids:
        _check_id(identifier, layout, location)


def _check_layout(layout: str) -> None:
    if layout not in get_args(RunLayout):
        raise ConfigError(f"layout must be one of {get_args(RunLayout)}, got {layout!r}")


def _check_id(identifier: str, layout: RunLayout, location: Record) -> None:
    clean_id(location, identifier)
    if layout == "trec" and (len(identifier.split()) != 1 or identifier != identifier.strip()):
        tabs = any(mark in identifier for mark in _NOT_BETWEEN_TABS)
        others = "layout='jsonl' or, without scores, layout='msmarco'" if not tabs else "layout='jsonl'"
        raise location.error(f"id {excerpt(identifier)} holds white space, which needs {others}")
    if layout == "msmarco" and any(mark in identifier for mark in _NOT_BETWEEN_TABS):
        message = f"id {excerpt(identifier)} holds a tab or a line end, which is white space that needs layout='jsonl'"
        raise location.error(message)


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
def _write_atomically(path: Path) -> Iterator[TextIO]:
    """Open a temporary file and rename it at the end, because part of a run would look like a complete one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with _open_text(temporary, compressed=path.name.lower().endswith(".gz")) as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _open_text(path: Path, *, compressed: bool) -> Iterator[TextIO]:
    if not compressed:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    # no time and no file name in the gzip header, so that the same run gives the same bytes
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):
        yield stream
