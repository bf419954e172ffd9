"""Reads queries and judgements, matches them with each other, and counts what does not match."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from colstore.config import OnError
from colstore.corpus import Query, read_qrels, read_queries
from colstore.errors import CorpusError, QueryError
from colstore.evaluate.measures import Qrels
from colstore.reports import ReadReport
from colstore.types import FloatMatrix, Json
from colstore.values import as_array

Source: TypeAlias = "str | os.PathLike[str]"
QuerySource: TypeAlias = "Source | Mapping[str, str | NDArray[np.floating]] | Iterable[Query]"
"""A file or a BEIR folder, or texts (or token vectors) by query id, or queries."""
QrelsSource: TypeAlias = "Source | Mapping[str, Mapping[str, float]]"
"""A file or a BEIR folder, or grades by query id and document id."""
_IDENTICAL = (
    ": where it is the query itself, as in ArguAna and Quora, published figures leave it out "
    "(ignore_identical_ids=True)"
)


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
    duplicate_judgements
        Number of judgements that were left out because the same query and document are judged before.
    identical_ids
        Number of evaluated queries that have a document of their own id, not judged relevant, among their first 10
        hits.
    ignored_identical_ids
        Number of evaluated queries from whose hits the document of their own id was left out.
    truncated_queries
        Number of evaluated queries that are longer than the model's limit, so that what is beyond it was left out.
    unreadable_queries
        Number of evaluated queries of which most is unknown to the model's vocabulary.
    """

    queries: int
    unjudged_queries: int = 0
    unasked_queries: int = 0
    unanswered: int = 0
    without_relevant: int = 0
    unknown_documents: int = 0
    duplicate_judgements: int = 0
    identical_ids: int = 0
    ignored_identical_ids: int = 0
    truncated_queries: int = 0
    unreadable_queries: int = 0

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
            (
                self.duplicate_judgements,
                "judgement of a pair that is judged before was left out",
                "judgements of pairs that are judged before were left out",
            ),
            (
                self.identical_ids,
                "query has a document with its own id among its first hits" + _IDENTICAL,
                "queries have a document with their own id among their first hits" + _IDENTICAL,
            ),
            (
                self.ignored_identical_ids,
                "query had a document with its own id among its hits, which was left out",
                "queries had a document with their own id among their hits, which was left out",
            ),
            (
                self.truncated_queries,
                "query is longer than the model reads, and what is beyond its limit was cut off",
                "queries are longer than the model reads, and what is beyond its limit was cut off",
            ),
            (
                self.unreadable_queries,
                "query is mostly unknown to the model's vocabulary, which lacks its script",
                "queries are mostly unknown to the model's vocabulary, which lacks their script",
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
    QueryError
        Queries in memory are neither a mapping nor :class:`colstore.Query` objects, or a text is blank.
    """
    if isinstance(source, str | os.PathLike):
        return {query.id: query.text for query in read_queries(source)}
    if isinstance(source, Mapping):
        return {str(name): _query(name, query) for name, query in source.items()}
    if not isinstance(source, Iterable):
        raise QueryError(f"queries must be a file, a mapping or colstore.Query objects, got {type(source).__name__}")
    queries: dict[str, str | FloatMatrix] = {}
    for query in source:
        if not isinstance(query, Query):
            raise QueryError(
                f"queries must be colstore.Query(id, text), got {type(query).__name__}; or pass a mapping from query "
                "ids to texts or token vectors"
            )
        queries[query.id] = query.text
    return queries


def _query(name: object, query: object) -> str | FloatMatrix:
    if isinstance(query, str):
        if not query.strip():
            raise QueryError(f"query {name!r} is blank")
        return query
    if query is None or isinstance(query, bytes | Mapping):
        raise QueryError(f"query {name!r} must be a text or token vectors (tokens, dim), got {type(query).__name__}")
    try:
        return as_array(query).astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise QueryError(f"query {name!r} must be a text or token vectors (tokens, dim): {error}") from error


def load_qrels(
    source: QrelsSource, split: str = "test", *, on_duplicate: OnError = "error", report: ReadReport | None = None
) -> Qrels:
    """Return the grades by query id and document id.

    Parameters
    ----------
    source
        A file, a BEIR folder, or the grades themselves.
    split
        The split to read from a BEIR folder, ``qrels/<split>.tsv``.
    on_duplicate
        What to do with a pair that a file judges twice: ``"error"``, or ``"skip"`` to use the first judgement.
    report
        Counts the judgements, and those that were left out.

    Raises
    ------
    CorpusError
        The file cannot be read, the folder has no such split, there are no judgements, or a grade is not an integer.
    DuplicateIdError
        A pair is judged twice.
    """
    if not isinstance(source, str | os.PathLike):
        return _checked_qrels(source)
    path = Path(source)
    if path.is_dir():
        path = next((p for p in (path / "qrels" / f"{split}.tsv", path / f"{split}.tsv") if p.is_file()), path)
        if path.is_dir():
            raise CorpusError(f"there is no qrels/{split}.tsv in this folder: name the file of judgements", source=path)
    qrels = read_qrels(source if os.fspath(source) == "-" else path, on_duplicate=on_duplicate, report=report)
    if not qrels:
        raise CorpusError("contains no judgements", source=path)
    return qrels


def _checked_qrels(source: object) -> Qrels:
    if not isinstance(source, Mapping):
        raise CorpusError(
            f"judgements must be a file, or grades by query id and document id, got {type(source).__name__}"
        )
    qrels: dict[str, dict[str, int]] = {}
    for query, grades in source.items():
        if not isinstance(grades, Mapping):
            raise CorpusError(f"qrels[{query!r}] must map document ids to grades, got {type(grades).__name__}")
        qrels[str(query)] = {str(name): _grade(query, name, grade) for name, grade in grades.items()}
    return qrels


def _grade(query: object, name: object, grade: object) -> int:
    if isinstance(grade, numbers.Real) and float(grade).is_integer():
        return int(float(grade))
    raise CorpusError(f"qrels[{query!r}][{name!r}] must be an integer, got {grade!r}")


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
