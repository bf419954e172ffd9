"""Whole runs: some questions at a time, so that a run of millions of lines needs little memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from numpy.typing import NDArray

from colstore.config import OnError
from colstore.corpus import Query, ReadReport, RunLine, group_run, read_queries, read_run
from colstore.corpus.lines import PathSource
from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.types import Hit, Json

Asked = str | NDArray[Any]
Questions: TypeAlias = "Mapping[str, Asked] | Iterable[Query] | PathSource"
Rank = Callable[[Sequence[tuple[Asked, list[RunLine]]]], list[list[Hit]]]
"""Ranks the candidates of several questions."""
AT_ONCE = 32
"""Questions whose pairs go to a reranker together."""
EXAMPLES = 5


@dataclass(slots=True)
class RunReport:
    """What became of a run; filled while it is reranked.

    Parameters
    ----------
    queries, lines
        Reranked, and the candidates they had.
    hits
        Returned, by the stage that ranked them.
    unknown_queries
        Queries of the run without a question: left out, where that was asked for.
    intake
        Lines taken, and duplicates that were skipped.
    examples
        A few of the queries that were left out.
    """

    queries: int = 0
    lines: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    unknown_queries: int = 0
    intake: ReadReport = field(default_factory=ReadReport)
    examples: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Json]:
        """Return plain data."""
        return {
            "queries": self.queries,
            "lines": self.lines,
            "hits": dict(self.hits),
            "unknown_queries": self.unknown_queries,
            "skipped_duplicates": self.intake.skipped_duplicates,
            "examples": [*self.examples, *self.intake.examples],
        }


def rerank_run(
    run: PathSource | Iterable[RunLine],
    questions: Questions,
    rank: Rank,
    *,
    on_duplicate: OnError = "error",
    on_unknown_query: OnError = "error",
    report: RunReport | None = None,
) -> Iterator[tuple[str, list[Hit]]]:
    """Yield each query of a run with its hits, in the order of the run.

    Parameters
    ----------
    run
        A file as :func:`colstore.corpus.read_run` reads it, or lines; best first is by score, then by rank.
    questions
        A file or folder as :func:`colstore.corpus.read_queries` reads it, queries, or a mapping from query ids to texts
        or token vectors.
    rank
        Ranks candidates.
    on_duplicate
        A document that comes twice for a query: ``"error"``, or ``"skip"``: the first counts.
    on_unknown_query
        A query of the run that has no question: ``"error"``, or ``"skip"``: count it and go on.
    report
        Counts all of it.

    Raises
    ------
    CorpusError, DuplicateIdError
        A broken line, with file and line.
    QueryError
        A query without a question; none at all that the two share.
    UnknownIdError
        A candidate that is not in the index, with the query.
    """
    if on_unknown_query not in ("error", "skip"):
        raise ConfigError(f"on_unknown_query must be 'error' or 'skip', got {on_unknown_query!r}")
    counts = RunReport() if report is None else report
    lines = _lines(run, on_duplicate, counts)
    return _answered(group_run(lines), _asked(questions), rank, on_unknown_query, counts)


def _lines(run: PathSource | Iterable[RunLine], on_duplicate: OnError, report: RunReport) -> Iterable[RunLine]:
    if isinstance(run, str | os.PathLike):
        return read_run(run, on_duplicate=on_duplicate, report=report.intake)
    return run


def _asked(questions: Questions) -> Mapping[str, Asked]:
    if isinstance(questions, Mapping):
        return questions
    if isinstance(questions, str | os.PathLike):
        questions = read_queries(questions)
    return {query.id: query.text for query in questions}


def _answered(
    groups: Iterator[tuple[str, list[RunLine]]],
    asked: Mapping[str, Asked],
    rank: Rank,
    on_unknown_query: OnError,
    report: RunReport,
) -> Iterator[tuple[str, list[Hit]]]:
    known = _with_question(groups, asked, on_unknown_query, report)
    while some := list(islice(known, AT_ONCE)):
        try:
            answers = rank([(asked[name], lines) for name, lines in some])
        except UnknownIdError as error:
            names = some[0][0] if len(some) == 1 else f"{some[0][0]} to {some[-1][0]}"
            raise UnknownIdError(f"queries {names}: {error}") from error
        for (name, lines), hits in zip(some, answers, strict=True):
            report.queries += 1
            report.lines += len(lines)
            report.hits.update(hit.stage for hit in hits)
            yield name, hits
    if report.unknown_queries and not report.queries:
        raise QueryError(
            f"not one of the {report.unknown_queries} queries of the run is among the {len(asked)} questions"
        )


def _with_question(
    groups: Iterator[tuple[str, list[RunLine]]],
    asked: Mapping[str, Asked],
    on_unknown_query: OnError,
    report: RunReport,
) -> Iterator[tuple[str, list[RunLine]]]:
    for name, lines in groups:
        if name in asked:
            yield name, lines
            continue
        message = f"query {name!r} of the run is not among the {len(asked)} questions"
        if on_unknown_query == "error":
            raise QueryError(f"{message}: give its text, or leave such queries out with on_unknown_query='skip'")
        report.unknown_queries += 1
        if report.unknown_queries <= EXAMPLES:
            report.examples.append(message)
