"""Evaluates an index, or a run from any system: measures with confidence intervals, latency and size."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from colstore.api import open_index
from colstore.config import OnError, SearchParams
from colstore.errors import CorpusError
from colstore.evaluate.judgements import (
    Coverage,
    QrelsSource,
    QuerySource,
    check_documents,
    load_qrels,
    load_queries,
    relevant,
    with_judgements,
    without_relevant,
)
from colstore.evaluate.machine import Latency, latency, one_thread
from colstore.evaluate.measures import Qrels, Run, per_query, standard_measures
from colstore.evaluate.rankings import RunSource, identical_ids, load_run, without_identical
from colstore.evaluate.statistics import Difference, Interval, bootstrap_interval, difference
from colstore.index import Index
from colstore.notebook import html_table
from colstore.outputs import encoded_query
from colstore.reports import Listener, Progress, ReadReport
from colstore.search.notices import QueryNotices
from colstore.types import EncodedText, FloatMatrix, Json


def evaluate_run(
    run: RunSource,
    qrels: QrelsSource,
    *,
    queries: QuerySource | None = None,
    baseline: RunSource | None = None,
    k: int = 100,
    measures: Sequence[str] | None = None,
    confidence: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
    on_duplicate: OnError = "error",
    ignore_identical_ids: bool = False,
) -> Evaluation:
    """Evaluate a run, whichever system it comes from.

    Parameters
    ----------
    run
        A run file in TREC, MS MARCO or JSON Lines format (also gzipped); or by query id, pairs of document id and
        score, or hits, best first, or scores by document id; or a :class:`colstore.RerankedRun`.
    qrels
        A file of judgements, a BEIR folder, or grades by query id and document id.
    queries
        Queries to evaluate; ``None`` evaluates every judged query. A query that the run lacks counts 0.
    baseline
        Another run to compare with, on the same queries.
    k
        Number of documents of each ranking that count.
    measures, confidence, samples, seed
        As for :class:`Evaluator`.
    on_duplicate
        What to do with a pair that is judged twice, and with a document that occurs twice for a query of a run:
        ``"error"``, or ``"skip"`` to use the first and count the judgements.
    ignore_identical_ids
        Whether to leave out documents whose id is that of the query, before cutting at ``k``, as the published figures
        of collections do whose queries are documents themselves (ArguAna, Quora).

    Raises
    ------
    CorpusError
        A line of a file cannot be read (the message names it), or judgements and run share no query or no document.
    MissingDependencyError
        ``ir-measures`` is not installed.

    Examples
    --------
    >>> evaluation = evaluate_run({"q1": [("d1", 2.0), ("d2", 1.0)]}, {"q1": {"d2": 1}})
    >>> round(evaluation["nDCG@10"], 4), evaluation["success@5"]
    (0.6309, 1.0)
    """
    intake = ReadReport()
    judgements = load_qrels(qrels, on_duplicate=on_duplicate, report=intake)
    left_out = 0
    if queries is not None:
        selected = with_judgements(load_queries(queries), judgements)[1]
        judgements, left_out = selected, len(judgements) - len(selected)
    load = partial(load_run, only=judgements, on_duplicate=on_duplicate, ignore_identical_ids=ignore_identical_ids)
    rankings = load(run, k=k)
    ranked = [query for query in judgements if rankings.get(query)]
    if not ranked:
        raise CorpusError(
            f"none of the {len(judgements):,} judged queries (such as {next(iter(judgements))!r}) is among the "
            f"{len(rankings):,} queries of the run (such as {next(iter(rankings), None)!r}): do they belong together?"
        )
    retrieved = {name for query in ranked for name, _ in rankings[query]}
    judged = {name for grades in judgements.values() for name in grades}
    check_documents(judged, len(judged - retrieved), "judged", "in the run")
    coverage = Coverage(
        queries=len(judgements),
        unjudged_queries=sum(query not in judgements for query in rankings),
        unasked_queries=left_out,
        unanswered=len(judgements) - len(ranked),
        without_relevant=without_relevant(judgements),
        duplicate_judgements=intake.skipped_duplicates,
        identical_ids=identical_ids(rankings, judgements),
    )
    other = None if baseline is None else _overlapping(load(baseline, k=k), judgements)
    return Evaluator(measures, k, confidence, samples, seed).evaluate(rankings, judgements, coverage, other)


def evaluate_index(
    index: Index | str | os.PathLike[str],
    queries: QuerySource,
    qrels: QrelsSource,
    *,
    k: int = 100,
    params: SearchParams | None = None,
    baseline: RunSource | None = None,
    measures: Sequence[str] | None = None,
    confidence: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
    on_duplicate: OnError = "error",
    ignore_identical_ids: bool = False,
    progress: Listener | None = None,
) -> Evaluation:
    """Evaluate an index: search for every judged query, one at a time on one thread.

    Parameters
    ----------
    index
        An open index, or its path.
    queries
        A BEIR folder, a JSON Lines or TSV file of queries, or texts (or token vectors, ``(tokens, dim)``) by query id.
    qrels
        A file of judgements, a BEIR folder, or grades by query id and document id.
    k
        Number of hits per query, on which recall is measured and which is timed.
    params
        Search parameters; ``None`` uses those of the index.
    baseline
        A run to compare with.
    measures, confidence, samples, seed
        As for :class:`Evaluator`.
    on_duplicate, ignore_identical_ids
        As for :func:`evaluate_run`. One more document is searched for where the query's own is left out.
    progress
        Called from time to time with the progress.

    Raises
    ------
    CorpusError
        A file cannot be read, no query has judgements, or no judged document is in the index.
    MissingDependencyError
        ``ir-measures`` is not installed.
    """
    intake, notices = ReadReport(), QueryNotices()
    all_queries, all_qrels = load_queries(queries), load_qrels(qrels, on_duplicate=on_duplicate, report=intake)
    selected, selected_qrels = with_judgements(all_queries, all_qrels)
    evaluator = Evaluator(measures, k, confidence, samples, seed)
    per_query(evaluator.measures or standard_measures(k), selected_qrels, {})  # an unknown measure fails now, not later
    other = None
    if baseline is not None:
        loaded = load_run(
            baseline, selected_qrels, k, on_duplicate=on_duplicate, ignore_identical_ids=ignore_identical_ids
        )
        other = _overlapping(loaded, selected_qrels)
    with nullcontext(index) if isinstance(index, Index) else closing(open_index(index)) as opened:
        relevant_ids = relevant(selected_qrels)
        unknown = sum(name not in opened for name in relevant_ids)
        check_documents(relevant_ids, unknown, "relevant", "in the index")
        own = {name for name in selected if name in opened} if ignore_identical_ids else set[str]()
        found, measured = _search_all(opened, selected, k + bool(own), params, progress, notices)
        run = {name: (without_identical(name, ranking) if own else ranking)[:k] for name, ranking in found.items()}
        size = index_bytes(opened) / max(1, len(opened))
    coverage = Coverage(
        queries=len(selected_qrels),
        unjudged_queries=len(all_queries) - len(selected),
        unasked_queries=len(all_qrels) - len(selected_qrels),
        unanswered=sum(not ranking for ranking in run.values()),
        without_relevant=without_relevant(selected_qrels),
        unknown_documents=unknown,
        duplicate_judgements=intake.skipped_duplicates,
        identical_ids=identical_ids(run, selected_qrels),
        ignored_identical_ids=sum(any(hit == name for hit, _ in found[name]) for name in own),
        truncated_queries=notices.truncated,
        unreadable_queries=notices.unreadable,
    )
    evaluation = evaluator.evaluate(run, selected_qrels, coverage, other)
    return replace(evaluation, latency=measured, bytes_per_document=size)


def index_bytes(index: Index) -> int:
    """Return the bytes of the vectors and search structures of an index: all except texts, metadata and encoder."""
    sizes = index.info().bytes
    return sizes["total"] - sum(sizes.get(name, 0) for name in ("texts", "metadata", "encoder"))


def _search_all(
    index: Index,
    queries: Mapping[str, str | FloatMatrix],
    k: int,
    params: SearchParams | None,
    progress: Listener | None,
    notices: QueryNotices,
) -> tuple[Run, Latency]:
    """Search for every query on one thread, after a first search that is not timed."""
    run: dict[str, list[tuple[str, float]]] = {}
    encode_ms, search_ms = [], []
    begun = perf_counter()
    with one_thread():
        first = _encoded(index, next(iter(queries.values())))  # loads the encoder
        index.search(first.vectors, k, params=params)  # loads the kernels
        for number, (name, query) in enumerate(queries.items(), start=1):
            start = perf_counter()
            encoded = _encoded(index, query)
            ready = perf_counter()
            hits = index.search(encoded.vectors, k, params=params)
            ended = perf_counter()
            encode_ms.append(1000 * (ready - start) if isinstance(query, str) else 0.0)
            search_ms.append(1000 * (ended - ready))
            notices.note(name, encoded)
            run[name] = [(hit.id, hit.score) for hit in hits]
            if progress is not None:
                progress(Progress("search", number, len(queries), "queries", 0, ended - begun))
    return run, latency(search_ms, encode_ms)


def _encoded(index: Index, query: str | FloatMatrix) -> EncodedText:
    return encoded_query(index.encoder, query) if isinstance(query, str) else EncodedText(query)


def _overlapping(run: Run, qrels: Qrels) -> Run:
    """Return the baseline run, after checking that it shares a query with the judgements."""
    if not any(query in qrels for query in run):
        raise CorpusError(
            f"the baseline run shares no query with the evaluated ones (it has queries such as {next(iter(run))!r})"
        )
    return run


@dataclass(frozen=True)
class Evaluation:
    """Measures of one system over the judged queries.

    Parameters
    ----------
    queries
        Ids of the evaluated queries, in the order of ``values``.
    values
        By measure, one value per query: ``(queries,)`` float64.
    intervals
        By measure, the mean with its bootstrap interval.
    coverage
        How many queries and judgements took part, and how many did not match.
    run
        The rankings that were evaluated.
    latency
        Milliseconds per query on one thread; ``None`` for a run, which holds no times.
    bytes_per_document
        Bytes of the index per document, without texts, metadata and query encoder; ``None`` without an index.
    differences
        By measure, this system minus the baseline; empty without a baseline.
    settings
        The settings of the evaluation: ``confidence``, ``samples``, ``seed``, ``k``.
    """

    queries: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]
    intervals: Mapping[str, Interval]
    coverage: Coverage
    run: Run = field(repr=False)
    latency: Latency | None = None
    bytes_per_document: float | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)
    settings: Mapping[str, Json] = field(default_factory=dict)

    def __getitem__(self, measure: str) -> float:
        """Return the mean of a measure."""
        return self.intervals[measure].mean

    def __repr__(self) -> str:
        means = ", ".join(f"{name}={interval.mean:.4f}" for name, interval in self.intervals.items())
        return f"<colstore.Evaluation of {len(self.queries):,} queries: {means}>"

    def _repr_html_(self) -> str:
        """Return a table of the measures for notebooks."""
        rows = [
            (name, f"{interval.mean:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
            for name, interval in self.intervals.items()
        ]
        return html_table(["measure", "mean", "interval"], rows, caption=f"{len(self.queries):,} queries")

    def to_json(self) -> dict[str, Json]:
        """Return everything except the rankings as data that ``json`` can write, including the values per query."""
        return {
            "measures": {name: asdict(interval) for name, interval in self.intervals.items()},
            "baseline": {name: asdict(change) for name, change in self.differences.items()},
            "latency_ms": None if self.latency is None else asdict(self.latency),
            "bytes_per_document": self.bytes_per_document,
            "coverage": self.coverage.to_json(),
            "settings": dict(self.settings),
            "per_query": {
                query: {name: float(values[i]) for name, values in self.values.items()}
                for i, query in enumerate(self.queries)
            },
        }


@dataclass(frozen=True, slots=True)
class Evaluator:
    """The measures to compute, and the settings of their statistics.

    Parameters
    ----------
    measures
        Names of measures, as for :func:`colstore.evaluate.measures.per_query`; ``None`` takes the standard ones.
    k
        Number of hits per query.
    confidence
        Confidence level of the intervals, between 0 and 1.
    samples
        Number of bootstrap samples.
    seed
        Seed of the bootstrap and of the randomisation test.
    """

    measures: Sequence[str] | None = None
    k: int = 100
    confidence: float = 0.95
    samples: int = 10_000
    seed: int = 0

    def evaluate(self, run: Run, qrels: Qrels, coverage: Coverage, baseline: Run | None = None) -> Evaluation:
        """Evaluate a run, and a baseline on the same queries, on exactly the queries of the qrels."""
        names = list(self.measures or standard_measures(self.k))
        values = per_query(names, qrels, run)
        intervals = {
            name: bootstrap_interval(v, confidence=self.confidence, samples=self.samples, seed=self.seed)
            for name, v in values.items()
        }
        base = {} if baseline is None else per_query(names, qrels, baseline)
        differences = {name: difference(values[name], base[name], seed=self.seed) for name in base}
        settings: dict[str, Json] = {
            "k": self.k,
            "confidence": self.confidence,
            "samples": self.samples,
            "seed": self.seed,
        }
        return Evaluation(tuple(qrels), values, intervals, coverage, run, differences=differences, settings=settings)
