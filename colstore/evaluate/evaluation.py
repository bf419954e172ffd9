"""Figures of an index, or of a run from anywhere, with what they are worth."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from colstore.api import open_index
from colstore.config import SearchParams
from colstore.errors import CorpusError
from colstore.evaluate.judgements import (
    Coverage,
    QrelsSource,
    Questions,
    RunSource,
    check_documents,
    judged_questions,
    load_qrels,
    load_questions,
    load_run,
    relevant,
    without_relevant,
)
from colstore.evaluate.machine import Latency, latency, one_thread
from colstore.evaluate.measures import Qrels, Run, per_query, standard_measures
from colstore.evaluate.statistics import Difference, Interval, bootstrap_interval, difference
from colstore.index import Index
from colstore.notebook import html_table
from colstore.reports import Listener, Progress
from colstore.types import FloatMatrix, Json


def evaluate_run(
    run: RunSource,
    qrels: QrelsSource,
    *,
    queries: Questions | None = None,
    baseline: RunSource | None = None,
    k: int = 100,
    measures: Sequence[str] | None = None,
    confidence: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> Evaluation:
    """Return the figures of a run from anywhere.

    Parameters
    ----------
    run
        A TREC, MS MARCO or JSON Lines run (also gzipped), or rankings by query id.
    qrels
        A file of judgements, a BEIR folder, or grades by query and document.
    queries
        Evaluate these alone; ``None`` evaluates every judged query, and one that the run lacks counts 0.
    baseline
        Another run, to be compared with on the same queries.
    k
        So many documents of each ranking count.
    measures, confidence, samples, seed
        See :class:`Judging`.

    Raises
    ------
    CorpusError
        A broken file, with its line; or judgements that share no query or no document with the run.
    MissingDependencyError
        ``ir-measures`` is not installed.

    Examples
    --------
    >>> found = evaluate_run({"q1": [("d1", 2.0), ("d2", 1.0)]}, {"q1": {"d2": 1}})
    >>> round(found["nDCG@10"], 4), found["success@5"]
    (0.6309, 1.0)
    """
    judged = load_qrels(qrels)
    unasked = 0
    if queries is not None:
        asked = judged_questions(load_questions(queries), judged)[1]
        judged, unasked = asked, len(judged) - len(asked)
    loaded = load_run(run, judged, k)
    answered = [query for query in judged if loaded.get(query)]
    if not answered:
        raise CorpusError(
            f"none of the {len(judged):,} judged queries (such as {next(iter(judged))!r}) is among the {len(loaded):,} "
            f"of the run (such as {next(iter(loaded), None)!r}): do they belong together?"
        )
    found = {name for query in answered for name, _ in loaded[query]}
    check_documents(
        {name for query in judged for name in judged[query]}, _lacking(judged, found), "judged", "in the run"
    )
    coverage = Coverage(
        queries=len(judged),
        unjudged_queries=sum(query not in judged for query in loaded),
        unasked_queries=unasked,
        unanswered=len(judged) - len(answered),
        without_relevant=without_relevant(judged),
    )
    other = None if baseline is None else _overlapping(load_run(baseline, judged, k), judged)
    return Judging(measures, k, confidence, samples, seed).judge(loaded, judged, coverage, other)


def evaluate_index(
    index: Index | str | os.PathLike[str],
    queries: Questions,
    qrels: QrelsSource,
    *,
    k: int = 100,
    params: SearchParams | None = None,
    baseline: RunSource | None = None,
    measures: Sequence[str] | None = None,
    confidence: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
    progress: Listener | None = None,
) -> Evaluation:
    """Ask an index every judged question, one by one on one thread, and return its figures.

    Parameters
    ----------
    index
        An open index, or its path.
    queries
        A BEIR folder, JSON Lines or TSV of questions, or texts (or token vectors) by id.
    qrels
        A file of judgements, a BEIR folder, or grades by query and document.
    k
        Hits a query: what recall is counted in, and what is timed.
    params
        How hard to look; by default as tuned.
    baseline
        A run to compare with.
    measures, confidence, samples, seed
        See :class:`Judging`.
    progress
        Called every now and then.

    Raises
    ------
    CorpusError
        A broken file; queries without any judgement; judgements about none of the index's documents.
    MissingDependencyError
        ``ir-measures`` is not installed.
    """
    asked, judged = judged_questions(questions := load_questions(queries), everything := load_qrels(qrels))
    judging = Judging(measures, k, confidence, samples, seed)
    per_query(judging.measures or standard_measures(k), judged, {})  # an unknown measure is told before, not after
    other = None if baseline is None else _overlapping(load_run(baseline, judged, k), judged)
    with nullcontext(index) if isinstance(index, Index) else closing(open_index(index)) as opened:
        wanted = relevant(judged)
        unknown = sum(name not in opened for name in wanted)
        check_documents(wanted, unknown, "relevant", "in the index")
        run, spent = _ask(opened, asked, k, params, progress)
        size = index_bytes(opened) / max(1, len(opened))
    coverage = Coverage(
        queries=len(judged),
        unjudged_queries=len(questions) - len(asked),
        unasked_queries=len(everything) - len(judged),
        unanswered=sum(not ranking for ranking in run.values()),
        without_relevant=without_relevant(judged),
        unknown_documents=unknown,
    )
    found = judging.judge(run, judged, coverage, other)
    return replace(found, latency=spent, bytes_per_document=size)


def index_bytes(index: Index) -> int:
    """Return the bytes that an index takes for its vectors and their lookup: all but texts, metadata and encoder."""
    sizes = index.info().bytes
    return sizes["total"] - sum(sizes.get(name, 0) for name in ("texts", "metadata", "encoder"))


def _ask(
    index: Index,
    questions: Mapping[str, str | FloatMatrix],
    k: int,
    params: SearchParams | None,
    progress: Listener | None,
) -> tuple[Run, Latency]:
    run: dict[str, list[tuple[str, float]]] = {}
    encode, search = [], []
    begun = perf_counter()
    with one_thread():
        index.search(next(iter(questions.values())), k, params=params)  # the first one loads kernels and the encoder
        for number, (name, question) in enumerate(questions.items(), start=1):
            start = perf_counter()
            vectors = index.encoder.encode_queries([question])[0] if isinstance(question, str) else question
            encoded = perf_counter()
            hits = index.search(vectors, k, params=params)
            ended = perf_counter()
            encode.append(1000 * (encoded - start) if isinstance(question, str) else 0.0)
            search.append(1000 * (ended - encoded))
            run[name] = [(hit.id, hit.score) for hit in hits]
            if progress is not None:
                progress(Progress("search", number, len(questions), "queries", 0, ended - begun))
    return run, latency(search, encode)


def _overlapping(run: Run, qrels: Qrels) -> Run:
    if not any(query in qrels for query in run):
        raise CorpusError(
            f"the baseline run shares no query with what is evaluated (it has queries such as {next(iter(run))!r})"
        )
    return run


def _lacking(qrels: Qrels, found: set[str]) -> int:
    return len({name for grades in qrels.values() for name in grades} - found)


@dataclass(frozen=True)
class Evaluation:
    """Measures of one system over the judged queries.

    Parameters
    ----------
    queries
        Ids, in the order of ``values``.
    values
        By measure, one value a query: ``(queries,)`` float64.
    intervals
        By measure, the mean with its bootstrap interval.
    coverage
        What was evaluated, and what did not match.
    run
        The rankings that were evaluated.
    latency
        Milliseconds a query on one thread; ``None`` for a run, which tells no time.
    bytes_per_document
        Of the index, without texts, metadata and query encoder; ``None`` where there is no index.
    differences
        By measure, this system minus a baseline; empty without one.
    settings
        How it was computed: ``confidence``, ``samples``, ``seed``, ``k``.
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
        """Return everything but the rankings as plain data; values by query under ``per_query``."""
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
class Judging:
    """What figures are computed, and how.

    Parameters
    ----------
    measures
        Names as in :func:`colstore.evaluate.measures.per_query`; ``None`` takes the usual ones.
    k
        Hits a query.
    confidence
        Of the intervals.
    samples
        Of the bootstrap.
    seed
        Of the bootstrap and the randomisation test.
    """

    measures: Sequence[str] | None = None
    k: int = 100
    confidence: float = 0.95
    samples: int = 10_000
    seed: int = 0

    def judge(self, run: Run, qrels: Qrels, coverage: Coverage, baseline: Run | None = None) -> Evaluation:
        """Return the figures of a run over exactly these judged queries."""
        names = list(self.measures or standard_measures(self.k))
        values = per_query(names, qrels, run)
        intervals = {
            name: bootstrap_interval(v, confidence=self.confidence, samples=self.samples, seed=self.seed)
            for name, v in values.items()
        }
        theirs = {} if baseline is None else per_query(names, qrels, baseline)
        differences = {name: difference(values[name], theirs[name], seed=self.seed) for name in theirs}
        settings: dict[str, Json] = {
            "k": self.k,
            "confidence": self.confidence,
            "samples": self.samples,
            "seed": self.seed,
        }
        return Evaluation(tuple(qrels), values, intervals, coverage, run, differences=differences, settings=settings)
