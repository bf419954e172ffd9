"""Reads and writes runs, from files and from memory; leaves out documents that are their own query."""

from __future__ import annotations

import numbers
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from colstore.config import OnError
from colstore.corpus import RunLine, group_run, read_run, write_run
from colstore.corpus.run_layout import layout_for
from colstore.errors import CorpusError, DuplicateIdError
from colstore.evaluate.judgements import Source
from colstore.evaluate.measures import Qrels, Ranking, Run
from colstore.types import Hit

RunSource: TypeAlias = "Source | Mapping[str, Any] | Iterable[tuple[str, Any]]"
"""A file, or rankings by query id: pairs of document id and score, or hits, best first; or scores by document id. Pairs
of query id and ranking, such as a :class:`colstore.RerankedRun`, will do as well."""
FIRST_HITS = 10
"""Number of first hits among which a document with the query's own id stands in the way."""


def load_run(
    source: RunSource,
    only: Collection[str] | None = None,
    k: int | None = None,
    *,
    on_duplicate: OnError = "error",
    ignore_identical_ids: bool = False,
) -> Run:
    """Return the rankings by query id, best first; equal scores are in the order of their ranks.

    Parameters
    ----------
    source
        A file, or rankings by query id: pairs of document id and score, hits, or ids, best first; or scores by id.
    only
        Query ids whose rankings are needed. The rankings of other queries are returned empty, so that a run of
        millions of lines takes little memory. ``None`` returns all.
    k
        Number of documents to return from the top of each ranking; ``None`` returns all.
    on_duplicate
        What to do with a document that occurs twice for a query: ``"error"``, or ``"skip"`` to use its first place.
    ignore_identical_ids
        Whether to leave out a document whose id is that of the query, before cutting at ``k``.

    Raises
    ------
    CorpusError
        A line cannot be read (the message names it), or the run is empty.
    DuplicateIdError
        A document occurs twice for a query.
    """
    run: dict[str, Ranking] = {}
    for query, documents in _rankings(source, on_duplicate):
        if only is not None and query not in only:
            run[query] = []
            continue
        ranking = _ranking(query, documents, on_duplicate)
        run[query] = (without_identical(query, ranking) if ignore_identical_ids else ranking)[:k]
    if not run and isinstance(source, str | os.PathLike):
        raise CorpusError("contains no ranked documents", source=source if isinstance(source, str) else Path(source))
    return run


def _rankings(source: RunSource, on_duplicate: OnError) -> Iterable[tuple[str, Any]]:
    """Return the query ids and rankings of a run, whatever it is held in."""
    if isinstance(source, str | os.PathLike):
        return group_run(read_run(source, on_duplicate=on_duplicate))
    if isinstance(source, Mapping):
        return ((str(query), documents) for query, documents in source.items())
    if not isinstance(source, Iterable):
        raise CorpusError(f"a run must be a file, or rankings by query id, got {type(source).__name__}")
    return source


def _ranking(query: str, documents: Any, on_duplicate: OnError) -> list[tuple[str, float]]:  # noqa: ANN401 - see RunSource
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise CorpusError(f"run[{query!r}] must hold documents with their scores, got {documents!r}")
    if isinstance(documents, Mapping):
        documents = sorted(documents.items(), key=lambda pair: -pair[1])
    pairs: dict[str, float] = {}
    for rank, document in enumerate(documents, start=1):
        name, score = _document(query, document, rank)
        if name not in pairs:
            pairs[name] = score
        elif on_duplicate == "error":
            raise DuplicateIdError(
                f"document {name!r} occurs twice for query {query!r}; on_duplicate='skip' keeps the first"
            )
    return list(pairs.items())


def _document(query: str, document: Any, rank: int) -> tuple[str, float]:  # noqa: ANN401 - see RunSource
    match document:
        case RunLine():
            return document.doc_id, document.score
        case Hit():
            return document.id, document.score
        case str():
            return document, float(-rank)
        case [name, score] if isinstance(score, numbers.Real):
            return str(name), float(score)
    raise CorpusError(f"run[{query!r}] must hold pairs of document id and score, or hits, got {document!r}")


def without_identical(query: str, ranking: Ranking) -> list[tuple[str, float]]:
    """Return a ranking without the document whose id is that of the query."""
    return [pair for pair in ranking if pair[0] != query]


def identical_ids(run: Run, qrels: Qrels) -> int:
    """Return for how many queries a document of the query's own id stands in the way of others.

    It does where it is among the first 10 and not judged relevant to the query.
    """
    return sum(
        qrels[query].get(query, 0) <= 0 and any(name == query for name, _ in run.get(query, ())[:FIRST_HITS])
        for query in qrels
    )


def save_run(path: Source, run: Run, tag: str = "colstore", layout: str | None = None) -> int:
    """Write a run and return the number of lines.

    Parameters
    ----------
    path
        The file, compressed if it ends in ``.gz``.
    run
        Rankings by query id.
    tag
        Last column of a TREC run.
    layout
        ``"trec"``, ``"msmarco"`` or ``"jsonl"``; ``None`` goes by the ending of the path.

    Raises
    ------
    CorpusError
        The layout has no room for an id; ``"jsonl"`` has room for all.
    """
    lines = (
        RunLine(query, name, rank, score)
        for query, ranking in run.items()
        for rank, (name, score) in enumerate(ranking, start=1)
    )
    return write_run(path, lines, layout=layout_for(path, layout), tag=tag)
