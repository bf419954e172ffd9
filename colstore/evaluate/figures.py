"""What is computed of a run, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from colstore.evaluate.judged import Coverage
from colstore.evaluate.measures import Qrels, Run, per_query, standard_measures
from colstore.evaluate.statistics import Difference, Interval, bootstrap_interval, difference
from colstore.evaluate.timing import Latency
from colstore.types import Json


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
        return Evaluation(
            tuple(qrels), values, intervals, coverage, run, differences=differences, settings=settings
        )  # fmt: skip
