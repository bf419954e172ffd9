"""What a comparison found: one row a way to search, and the files that it becomes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from colstore.evaluate.judgements import Coverage, save_run
from colstore.evaluate.machine import Latency
from colstore.evaluate.measures import Run
from colstore.evaluate.statistics import Interval
from colstore.types import Json

Family = Literal["words", "one vector", "late interaction", "pooled", "words, then vectors", "cross-encoder"]
MAIN = "nDCG@10"


@dataclass(frozen=True)
class Row:
    """One way to search.

    Parameters
    ----------
    key, label
        Its name for machines and for people.
    family
        What kind of way it is: colours in the plot go by it.
    values, intervals
        By measure: one value a query, ``(queries,)`` float64; and the mean with its interval.
    latency
        Milliseconds a query on one thread, from the question to the ranked ids.
    build_seconds
        Of its index, from vectors or texts.
    encode_seconds
        Of encoding the documents that it needs, once; 0 where nothing is encoded or vectors came from the caller.
    bytes_per_document
        Of what it searches, without texts, metadata and models.
    pairs
        Texts that the cross-encoder read, a query.
    agreement
        Mean share of the first ten documents of exact MaxSim in float32 that are among its own first ten;
        ``None`` where that was not computed.
    yardstick
        What others are measured by, and nobody would run.
    base
        Key of the row whose rankings a cross-encoder starts from; empty for all others.
    """

    key: str
    label: str
    family: Family
    values: Mapping[str, NDArray[np.float64]]
    intervals: Mapping[str, Interval]
    latency: Latency
    build_seconds: float
    encode_seconds: float
    bytes_per_document: float
    pairs: float = 0.0
    agreement: float | None = None
    yardstick: bool = False
    base: str = ""

    @property
    def ndcg(self) -> float:
        """The mean of nDCG@10."""
        return self.intervals[MAIN].mean

    def to_json(self) -> dict[str, Json]:
        """Return plain data, values of each query included."""
        return {
            "key": self.key,
            "label": self.label,
            "family": self.family,
            "measures": {name: asdict(interval) for name, interval in self.intervals.items()},
            "latency_ms": asdict(self.latency),
            "build_seconds": self.build_seconds,
            "encode_seconds": self.encode_seconds,
            "bytes_per_document": self.bytes_per_document,
            "pairs_per_query": self.pairs,
            "agreement_at_10": self.agreement,
            "yardstick": self.yardstick,
            "base": self.base,
            "per_query": {name: [round(float(v), 6) for v in values] for name, values in self.values.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """Ways to search, side by side on one corpus.

    Parameters
    ----------
    rows
        In the order of the table.
    queries
        Ids of the evaluated ones, in the order of each row's values.
    documents, tokens, dim
        Of the corpus as the model sees it.
    coverage
        What was evaluated, and what did not match.
    settings
        Models, ``k``, seed, machine and versions.
    notes
        What was left out, and why.
    advice
        Sentences derived from the rows, see :func:`colstore.evaluate.advice.advise`.
    runs
        Rankings by row and query.
    """

    rows: Sequence[Row]
    queries: Sequence[str]
    documents: int
    tokens: int
    dim: int
    coverage: Coverage
    settings: Mapping[str, Json]
    notes: Sequence[str]
    advice: Sequence[str]
    runs: Mapping[str, Run] = field(repr=False, default_factory=dict)

    def row(self, key: str) -> Row:
        """Return the row of that key."""
        return next(row for row in self.rows if row.key == key)

    def to_json(self) -> dict[str, Json]:
        """Return everything but the rankings as plain data."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "queries": list(self.queries),
            "documents": self.documents,
            "tokens": self.tokens,
            "dim": self.dim,
            "coverage": self.coverage.to_json(),
            "settings": dict(self.settings),
            "notes": list(self.notes),
            "advice": list(self.advice),
        }

    def to_csv(self) -> str:
        """Return one line a row under a header; every measure with the ends of its interval."""
        table = [_flat(row) for row in self.rows]
        out = io.StringIO()
        writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        return out.getvalue()

    def save_runs(self, folder: Path) -> None:
        """Write the rankings of each row as ``<key>.trec``."""
        folder.mkdir(parents=True, exist_ok=True)
        for key, run in self.runs.items():
            save_run(folder / f"{key}.trec", run, tag=key)


def dumped(comparison: Comparison) -> str:
    """Return the comparison as JSON text."""
    return json.dumps(comparison.to_json(), indent=1, ensure_ascii=False) + "\n"


def _flat(row: Row) -> dict[str, object]:
    line: dict[str, object] = {"key": row.key, "label": row.label, "family": row.family}
    for name, interval in row.intervals.items():
        ends = {name: interval.mean, f"{name} low": interval.low, f"{name} high": interval.high}
        line |= {column: f"{value:.6f}" for column, value in ends.items()}
    return line | {
        "ms median": f"{row.latency.median:.4f}",
        "ms p95": f"{row.latency.p95:.4f}",
        "ms encoding": f"{row.latency.encode:.4f}",
        "build seconds": f"{row.build_seconds:.3f}",
        "encode seconds": f"{row.encode_seconds:.3f}",
        "bytes per document": f"{row.bytes_per_document:.1f}",
        "pairs per query": f"{row.pairs:.2f}",
        "agreement at 10": "" if row.agreement is None else f"{row.agreement:.4f}",
    }
