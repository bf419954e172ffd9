"""Reads queries, judgements and runs, matches them with each other, and counts what does not match."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from colstore.corpus import Query, RunLine, group_run, read_qrels, read_queries, read_run, write_run
from colstore.errors import CorpusError
from colstore.evaluate.measures import Qrels, Run
from colstore.types import FloatMatrix, Json

Source: TypeAlias = "str | os.PathLike[str]"
QuerySource: TypeAlias = "Source | Mapping[str, str | NDArray[np.floating]] | Iterable[Query]"
"""A file or a BEIR folder, or texts (or token vectors) by query id, or queries."""
QrelsSource: TypeAlias = "Source | Qrels"
"""A file or a BEIR folder, or grades by query id and document id."""
RunSource: TypeAlias = "Source | Run"
"""A file, or rankings by query id."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Numbers of queries and judgements that were evaluated, and that did not match.

    Parameters
    ----------
    queries
        Number of evaluated queries: those with judgements.
    unjudged_queries
        Number of queries, in the query file or the run, that have no judgements and were left out.
    unasked_queries
        Number of judged queries that are not among the queries and were left out. (Judged queries that a *run* lacks
        count 0 instead, see ``unanswered``.)
    unanswered
        Number of evaluated queries without a hit; they count 0.
    without_relevant
        Number of evaluated queries without a relevant document; they count 0 for every system.
    unknown_documents
        Number of documents that are judged relevant and are not in the index or corpus, so that no search can return
        them.
    """

    queries: int
    unjudged_queries: int = 0
    unasked_queries: int = 0
    unanswered: int = 0
    without_relevant: int = 0
    unknown_documents: int = 0

    def notes(self) -> list[str]:
        """Return a note on each kind of mismatch; empty where everything matched.

        Examples
        --------
        >>> Coverage(queries=7, unanswered=1).notes()
        ['1 evaluated query has no hit and counts 0']
        """
        counts = (
            (
                self.unjudged_queries,
                "query without judgements was left out",
                "queries without judgements were left out",
            ),
            (
                self.unasked_queries,
                "judged query is not among the queries and was left out",
                "judged queries are not among the queries and were left out",
            ),
            (self.unanswered, "evaluated query has no hit and counts 0", "evaluated queries have no hit and count 0"),
            (
                self.without_relevant,
                "evaluated query has no relevant document and counts 0",
                "evaluated queries have no relevant document and count 0",
            ),
            (
                self.unknown_documents,
                "document judged relevant does not exist, so that no search can return it",
                "documents judged relevant do not exist, so that no search can return them",
            ),
        )
        return [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]

    def to_json(self) -> dict[str, Json]:
        """Return the fields as data that ``json`` can write."""
        return {name: getattr(self, name) for name in self.__slots__}


def load_queries(source: QuerySource) -> dict[str, str | FloatMatrix]:
    """Return the queries by id: texts, or token vectors ``(tokens, dim)`` float32.

    Raises
    ------
    CorpusError
        A file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        return {query.id: query.text for query in read_queries(source)}
    if isinstance(source, Mapping):
        return {
            str(name): query if isinstance(query, str) else np.asarray(query, np.float32)
            for name, query in source.items()
        }
    return {query.id: query.text for query in source}


def load_qrels(source: QrelsSource, split: str = "test") -> Qrels:
    """Return the grades by query id and document id.

    Parameters
    ----------
    source
        A file, a BEIR folder, or the grades themselves.
    split
        The split to read from a BEIR folder, ``qrels/<split>.tsv``.

    Raises
    ------
    CorpusError
        The file cannot be read, the folder has no such split, or there are no judgements.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source)
    if path.is_dir():
        path = next((p for p in (path / "qrels" / f"{split}.tsv", path / f"{split}.tsv") if p.is_file()), path)
        if path.is_dir():
            raise CorpusError(f"there is no qrels/{split}.tsv in this folder: name the file of judgements", source=path)
    qrels = read_qrels(source if os.fspath(source) == "-" else path)
    if not qrels:
        raise CorpusError("contains no judgements", source=path)
    return qrels


def load_run(source: RunSource, only: Collection[str] | None = None, k: int | None = None) -> Run:
    """Return the rankings by query id, best first; equal scores are in the order of their ranks.

    Parameters
    ----------
    source
        A file, or rankings by query id.
    only
        Query ids whose rankings are needed. The rankings of other queries are returned empty, so that a run of
        millions of lines takes little memory. ``None`` returns all.
    k
        Number of documents to return from the top of each ranking; ``None`` returns all.

    Raises
    ------
    CorpusError
        A line cannot be read (the message names it), or the run is empty.
    """
    if not isinstance(source, str | os.PathLike):
        return {query: _top(query, ranking, only, k) for query, ranking in source.items()}
    run = {
        query: [(line.doc_id, line.score) for line in _top(query, lines, only, k)]
        for query, lines in group_run(read_run(source))
    }
    if not run:
        raise CorpusError("contains no ranked documents", source=source if isinstance(source, str) else Path(source))
    return run


def _top(query: str, ranking: Sequence[_T], only: Collection[str] | None, k: int | None) -> Sequence[_T]:
    return ranking[:k] if only is None or query in only else ranking[:0]


def save_run(path: Source, run: Run, tag: str = "colstore") -> int:
    """Write a run in TREC format, compressed if the path ends in ``.gz``, and return the number of lines."""
    lines = (
        RunLine(query, name, rank, score)
        for query, ranking in run.items()
        for rank, (name, score) in enumerate(ranking, start=1)
    )
    return write_run(path, lines, tag=tag)


def with_judgements(
    queries: Mapping[str, str | FloatMatrix], qrels: Qrels
) -> tuple[dict[str, str | FloatMatrix], dict[str, Mapping[str, int]]]:
    """Return the queries that have judgements, and their judgements, in the order of the queries.

    Raises
    ------
    CorpusError
        No query has judgements.
    """
    selected = {name: query for name, query in queries.items() if name in qrels}
    if not selected:
        raise CorpusError(
            f"none of the {len(queries):,} queries is among the {len(qrels):,} judged ones: do queries and qrels "
            f"belong together? ({_example('queries', queries)}, {_example('qrels', qrels)})"
        )
    return selected, {name: qrels[name] for name in selected}


def relevant(qrels: Qrels) -> set[str]:
    """Return the ids of all documents that are relevant to at least one query."""
    return {name for grades in qrels.values() for name, grade in grades.items() if grade > 0}


def without_relevant(qrels: Qrels) -> int:
    """Return the number of queries without a relevant document."""
    return sum(all(grade <= 0 for grade in grades.values()) for grades in qrels.values())


def check_documents(judged: set[str], unknown: int, what: str, where: str) -> None:
    """Refuse judgements that are about other documents altogether.

    Parameters
    ----------
    judged
        Ids of documents in the judgements.
    unknown
        Number of them that do not exist.
    what, where
        Which documents these are, and where they should be, for the message.

    Raises
    ------
    CorpusError
        None of the documents exists.
    """
    if judged and unknown == len(judged):
        raise CorpusError(
            f"none of the {len(judged):,} {what} documents of the qrels is {where} (such as {min(judged)!r}): do the "
            "judgements belong to this corpus, and have its ids changed?"
        )


def _example(name: str, ids: Iterable[str]) -> str:
    return f"{name} such as {next(iter(ids), '(none)')!r}"
