"""Queries, judgements and runs on the way to figures: read, matched, and what does not match counted."""

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
Questions: TypeAlias = "Source | Mapping[str, str | NDArray[np.floating]] | Iterable[Query]"
"""A file or BEIR folder, or texts (or token vectors) by query id."""
QrelsSource: TypeAlias = "Source | Qrels"
RunSource: TypeAlias = "Source | Run"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was evaluated, and what did not match.

    Parameters
    ----------
    queries
        Evaluated: they have judgements, and were asked.
    unjudged_queries
        Asked, or in the run, without any judgement: left out.
    unasked_queries
        Judged, but not among the queries: left out. (Judged queries that a *run* lacks count 0 instead, see
        ``unanswered``.)
    unanswered
        Evaluated without a single hit: they count 0.
    without_relevant
        Evaluated, though no document is relevant to them: they count 0 for every system.
    unknown_documents
        Judged relevant, but not in the index or corpus: nothing can find them.
    """

    queries: int
    unjudged_queries: int = 0
    unasked_queries: int = 0
    unanswered: int = 0
    without_relevant: int = 0
    unknown_documents: int = 0

    def notes(self) -> list[str]:
        """Return what a reader of the figures must know, a sentence each; empty where everything matched.

        Examples
        --------
        >>> Coverage(queries=7, unanswered=1).notes()
        ['1 evaluated query has no hit and counts 0']
        """
        said = (
            (
                self.unjudged_queries,
                "query without judgements was left out",
                "queries without judgements were left out",
            ),
            (self.unasked_queries, "judged query was not asked: left out", "judged queries were not asked: left out"),
            (self.unanswered, "evaluated query has no hit and counts 0", "evaluated queries have no hit and count 0"),
            (
                self.without_relevant,
                "evaluated query has no relevant document and counts 0",
                "evaluated queries have no relevant document and count 0",
            ),
            (
                self.unknown_documents,
                "document judged relevant is not there to be found",
                "documents judged relevant are not there to be found",
            ),
        )
        return [f"{count:,} {one if count == 1 else many}" for count, one, many in said if count]

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def load_questions(source: Questions) -> dict[str, str | FloatMatrix]:
    """Return questions by id: texts, or token vectors of the caller's own."""
    if isinstance(source, str | os.PathLike):
        return {query.id: query.text for query in read_queries(source)}
    if isinstance(source, Mapping):
        return {str(name): q if isinstance(q, str) else np.asarray(q, np.float32) for name, q in source.items()}
    return {query.id: query.text for query in source}


def load_qrels(source: QrelsSource, split: str = "test") -> Qrels:
    """Return grades by query and document; of a BEIR folder, ``qrels/<split>.tsv``.

    Raises
    ------
    CorpusError
        A broken file, a folder without that split, or no judgement at all.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source)
    if path.is_dir():
        path = next((p for p in (path / "qrels" / f"{split}.tsv", path / f"{split}.tsv") if p.is_file()), path)
        if path.is_dir():
            raise CorpusError(f"no qrels/{split}.tsv in this folder: name the file of judgements", source=path)
    qrels = read_qrels(source if os.fspath(source) == "-" else path)
    if not qrels:
        raise CorpusError("holds no judgement", source=path)
    return qrels


def load_run(source: RunSource, only: Collection[str] | None = None, k: int | None = None) -> Run:
    """Return rankings by query, best first: by score, equal scores in the order of their ranks.

    Parameters
    ----------
    source
        A file, or rankings by query.
    only
        Queries whose rankings are wanted: those of others are empty, so that a run of millions of lines takes little
        memory.
    k
        Documents of a ranking that are wanted, from the best.

    Raises
    ------
    CorpusError
        A broken line, with its number; or an empty run.
    """
    if not isinstance(source, str | os.PathLike):
        return {query: _wanted(query, ranking, only, k) for query, ranking in source.items()}
    run = {
        query: [(line.doc_id, line.score) for line in _wanted(query, lines, only, k)]
        for query, lines in group_run(read_run(source))
    }
    if not run:
        raise CorpusError("holds no ranked document", source=source if isinstance(source, str) else Path(source))
    return run


def _wanted(query: str, ranking: Sequence[_T], only: Collection[str] | None, k: int | None) -> Sequence[_T]:
    return ranking[:k] if only is None or query in only else ranking[:0]


def save_run(path: Source, run: Run, tag: str = "colstore") -> int:
    """Write a run in TREC's six columns (``.gz`` is compressed), ranks from 1; return the number of lines."""
    lines = (
        RunLine(query, name, rank, score)
        for query, ranking in run.items()
        for rank, (name, score) in enumerate(ranking, start=1)
    )
    return write_run(path, lines, tag=tag)


def judged_questions(
    questions: Mapping[str, str | FloatMatrix], qrels: Qrels
) -> tuple[dict[str, str | FloatMatrix], dict[str, Mapping[str, int]]]:
    """Return the questions that have judgements, and their judgements, in the order of the questions.

    Raises
    ------
    CorpusError
        None of them has any.
    """
    asked = {name: question for name, question in questions.items() if name in qrels}
    if not asked:
        raise CorpusError(
            f"none of the {len(questions):,} queries is among the {len(qrels):,} judged ones: do queries and qrels "
            f"belong together? ({_example('queries', questions)}, {_example('qrels', qrels)})"
        )
    return asked, {name: qrels[name] for name in asked}


def relevant(qrels: Qrels) -> set[str]:
    """Return all documents that are relevant to some query."""
    return {name for grades in qrels.values() for name, grade in grades.items() if grade > 0}


def without_relevant(qrels: Qrels) -> int:
    """Return how many queries have no relevant document."""
    return sum(all(grade <= 0 for grade in grades.values()) for grades in qrels.values())


def check_documents(judged: set[str], unknown: int, what: str, where: str) -> None:
    """Refuse judgements that are about other documents altogether.

    Raises
    ------
    CorpusError
        Not one of these documents is there.
    """
    if judged and unknown == len(judged):
        raise CorpusError(
            f"none of the {len(judged):,} {what} documents of the qrels is {where} (such as "
            f"{min(judged)!r}): do the judgements belong to this corpus, and are its ids as they were?"
        )


def _example(name: str, ids: Iterable[str]) -> str:
    return f"{name} such as {next(iter(ids), '(none)')!r}"
