"""Runs out."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO, get_args

from colstore.corpus.columns import finite_score
from colstore.corpus.record import Record, clean_id, excerpt
from colstore.corpus.runs import RunLine
from colstore.errors import ConfigError

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
