"""Whole runs, reranked some queries at a time, so that a run of millions of lines needs little memory."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self, TypeAlias

from numpy.typing import NDArray

from colstore.config import OnError
from colstore.corpus import Query, ReadReport, RunLine, group_run, read_queries, read_run
from colstore.corpus.lines import PathSource
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.search.notices import QueryNotices
from colstore.types import Hit, Json
from colstore.values import as_number

QueryLike = str | NDArray[Any]
RunSource: TypeAlias = "PathSource | Iterable[RunLine] | Mapping[str, Mapping[str, float] | Sequence[str]]"
"""A run: a file, lines, or for each query id the scores of documents by id, or a list of ids, best first."""
QuerySource: TypeAlias = "Mapping[str, QueryLike] | Iterable[Query] | PathSource"
"""Queries: texts or token vectors by query id, queries, or a file."""
Rank = Callable[[Sequence[tuple[QueryLike, list[RunLine]]], QueryNotices], list[list[Hit]]]
"""Ranks the candidates of several queries, and counts those that the model cannot read whole."""
AT_ONCE = 32
"""Queries that are ranked together: a reranker receives their pairs in one call."""
EXAMPLES = 5


@dataclass(slots=True)
class RunReport:
    """What happened to a run while it was reranked.

    Parameters
    ----------
    queries, lines
        Number of queries that were reranked, and of their candidates.
    hits
        Number of hits by the stage that ranked them.
    unknown_queries
        Number of queries of the run that were left out because their text is unknown.
    identical_ids
        Number of candidates that were left out because their id is that of their query.
    notices
        Counts of the queries that are longer than the model's limit, or mostly unknown to its vocabulary.
    intake
        Counts of lines that were read, and of duplicates that were skipped.
    examples
        Messages about a few of the queries that were left out.
    """

    queries: int = 0
    lines: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    unknown_queries: int = 0
    identical_ids: int = 0
    notices: QueryNotices = field(default_factory=QueryNotices)
    intake: ReadReport = field(default_factory=ReadReport)
    examples: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Json]:
        """Return the counts as a dict that :mod:`json` can write."""
        return {
            "queries": self.queries,
            "lines": self.lines,
            "hits": dict(self.hits),
            "unknown_queries": self.unknown_queries,
            "identical_ids": self.identical_ids,
            "truncated_queries": self.notices.truncated,
            "unreadable_queries": self.notices.unreadable,
            "skipped_duplicates": self.intake.skipped_duplicates,
            "examples": [*self.examples, *self.intake.examples],
        }


class RerankedRun(Iterator[tuple[str, list[Hit]]]):
    """A run being reranked: iterate over it for (query id, hits), in the order of the run.

    Queries are reranked while iterating. Errors in the run's later lines therefore come up while iterating, too.

    Parameters
    ----------
    ranked
        Yields the queries with their hits, and counts in the report.
    report
        The report of the part that has been iterated over.

    Attributes
    ----------
    report : RunReport
        Counts of the part that has been iterated over so far; of the whole run once the iteration has ended.
    """

    def __init__(self, ranked: Iterator[tuple[str, list[Hit]]], report: RunReport) -> None:
        self._ranked, self.report = ranked, report

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[str, list[Hit]]:
        return next(self._ranked)

    def __repr__(self) -> str:
        return f"<colstore.RerankedRun: {self.report.queries:,} queries so far>"


def rerank_run(
    run: RunSource,
    queries: QuerySource,
    rank: Rank,
    *,
    on_duplicate: OnError = "error",
    on_unknown_query: OnError = "error",
    ignore_identical_ids: bool = False,
) -> RerankedRun:
    """Return a run reranked query by query, in the order of the run.

    Parameters
    ----------
    run
        A file in a format of :func:`colstore.read_run`; an iterable of :class:`colstore.RunLine`; or a mapping from
        query ids to the candidates, which are a mapping from document ids to scores, or a list of document ids with
        the best first. Candidates rank by their score, then by their rank.
    queries
        A file or folder in a format of :func:`colstore.read_queries`; an iterable of :class:`colstore.Query`; or a
        mapping from query ids to texts or token vectors ``(tokens, dim)``.
    rank
        Ranks the candidates of some queries.
    on_duplicate
        What to do with a document that occurs twice for a query, in a file: ``"error"``, or ``"skip"`` to count it and
        use the first line.
    on_unknown_query
        What to do with a query of the run that is not among ``queries``: ``"error"``, or ``"skip"`` to leave it out
        and count it.
    ignore_identical_ids
        Whether to leave out candidates whose id is that of their query.

    Raises
    ------
    ConfigError, QueryError
        An argument is invalid.
    CorpusError, DuplicateIdError
        A broken line, with file and line; raised while iterating.
    QueryError
        A query of the run is unknown, or all of them are; raised while iterating.
    UnknownIdError
        A candidate is not in the index; raised while iterating, with the query.
    """
    if on_unknown_query not in ("error", "skip"):
        raise ConfigError(f"on_unknown_query must be 'error' or 'skip', got {on_unknown_query!r}")
    report = RunReport()
    groups = group_run(_lines(run, on_duplicate, report))
    if ignore_identical_ids:
        groups = _without_identical(groups, report)
    return RerankedRun(_ranked(groups, _by_id(queries), rank, on_unknown_query, report), report)


def _without_identical(
    groups: Iterator[tuple[str, list[RunLine]]], report: RunReport
) -> Iterator[tuple[str, list[RunLine]]]:
    for name, lines in groups:
        others = [line for line in lines if line.doc_id != name]
        report.identical_ids += len(lines) - len(others)
        yield name, others


def _lines(run: RunSource, on_duplicate: OnError, report: RunReport) -> Iterable[RunLine]:
    if isinstance(run, str | os.PathLike):
        return read_run(run, on_duplicate=on_duplicate, report=report.intake)
    if isinstance(run, Mapping):
        return _from_mapping(run)
    if not isinstance(run, Iterable):
        raise QueryError(f"a run must be a path, lines or a mapping, got {type(run).__name__}")
    return _checked(run)


def _checked(lines: Iterable[RunLine]) -> Iterator[RunLine]:
    for line in lines:
        if not isinstance(line, RunLine):
            raise QueryError(
                f"a run must consist of colstore.RunLine(query_id, doc_id, rank, score), got {type(line).__name__}; "
                "or pass a mapping from query ids to the scores of documents by id"
            )
        yield line


def _from_mapping(run: Mapping[str, Mapping[str, float] | Sequence[str]]) -> Iterator[RunLine]:
    for query_id, documents in run.items():
        if isinstance(documents, Mapping):
            scores = documents
        elif isinstance(documents, Iterable) and not isinstance(documents, str):
            scores = {document: -rank for rank, document in enumerate(documents, start=1)}
        else:
            raise QueryError(
                f"run[{query_id!r}] must map document ids to scores, or list document ids, got {documents!r}"
            )
        for rank, (document, score) in enumerate(scores.items(), start=1):
            if not isinstance(document, str):
                raise QueryError(f"run[{query_id!r}] must map document ids to scores, got the id {document!r}")
            yield RunLine(query_id, document, rank, as_number(f"run[{query_id!r}][{document!r}]", score, -math.inf))


def _by_id(queries: QuerySource) -> Mapping[str, QueryLike]:
    if isinstance(queries, Mapping):
        return queries
    if isinstance(queries, str | os.PathLike):
        queries = read_queries(queries)
    if not isinstance(queries, Iterable):
        raise QueryError(f"queries must be a file, colstore.Query objects or a mapping, got {type(queries).__name__}")
    texts: dict[str, QueryLike] = {}
    for query in queries:
        if not isinstance(query, Query):
            raise QueryError(
                f"the queries of a run must be colstore.Query(id, text), got {type(query).__name__}; or pass a mapping "
                "from query ids to texts"
            )
        texts[query.id] = query.text
    return texts


def _ranked(
    groups: Iterator[tuple[str, list[RunLine]]],
    queries: Mapping[str, QueryLike],
    rank: Rank,
    on_unknown_query: OnError,
    report: RunReport,
) -> Iterator[tuple[str, list[Hit]]]:
    known = _known(groups, queries, on_unknown_query, report)
    while batch := list(islice(known, AT_ONCE)):
        try:
            ranked = rank([(queries[name], lines) for name, lines in batch], report.notices)
        except UnknownIdError as error:
            names = batch[0][0] if len(batch) == 1 else f"{batch[0][0]} to {batch[-1][0]}"
            raise UnknownIdError(f"queries {names}: {error}") from error
        for (name, lines), hits in zip(batch, ranked, strict=True):
            report.queries += 1
            report.lines += len(lines)
            report.hits.update(hit.stage for hit in hits)
            yield name, hits
    report.notices.warn()
    if report.unknown_queries and not report.queries:
        raise QueryError(
            f"not one of the {report.unknown_queries} queries of the run is among the {len(queries)} queries with a "
            "text: the ids must be the same in both"
        )


def _known(
    groups: Iterator[tuple[str, list[RunLine]]],
    queries: Mapping[str, QueryLike],
    on_unknown_query: OnError,
    report: RunReport,
) -> Iterator[tuple[str, list[RunLine]]]:
    for name, lines in groups:
        if name in queries:
            yield name, lines
            continue
        message = f"query {name!r} of the run is not among the {len(queries)} queries with a text"
        if on_unknown_query == "error":
            raise QueryError(f"{message}: add it, or leave such queries out with on_unknown_query='skip'")
        report.unknown_queries += 1
        if report.unknown_queries <= EXAMPLES:
            report.examples.append(message)
