"""The results of a comparison: one row for each way to search, and their JSON and CSV forms."""

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

from colstore.corpus.runs import RunLayout, check_ids_fit
from colstore.errors import CorpusError
from colstore.evaluate.judgements import Coverage
from colstore.evaluate.machine import Latency
from colstore.evaluate.measures import Run
from colstore.evaluate.rankings import save_run
from colstore.evaluate.statistics import Interval
from colstore.types import Json

Family = Literal["bm25", "one vector", "late interaction", "pooled", "bm25, then maxsim", "cross-encoder"]
MAIN = "nDCG@10"
"""The measure that ways to search are ranked and tested by."""


@dataclass(frozen=True)
class Row:
    """The results of one way to search.

    Parameters
    ----------
    key, label
        Its name for programs and for people.
    family
        The kind of system it is, which determines its colour and shape in the plot.
    values
        By measure, one value per query: ``(queries,)`` float64.
    intervals
        By measure, the mean with its confidence interval.
    latency
        Milliseconds per query on one thread, from the query to the ranked ids.
    build_seconds
        Seconds of building its index from vectors or texts.
    encode_seconds
        Seconds of encoding the documents; 0 where nothing is encoded or the caller supplied vectors.
    bytes_per_document
        Bytes per document of everything that is searched, without texts, metadata and models.
    pairs
        Mean number of pairs per query that the cross-encoder scored.
    agreement
        Mean share of the first ten documents by exact MaxSim in float32 that are among its own first ten; ``None``
        where exact MaxSim was not computed.
    yardstick
        Whether it is only a reference for the others, too slow to use.
    base
        Key of the row whose rankings a cross-encoder reranks; empty for all other rows.
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
        """The mean nDCG@10."""
        return self.intervals[MAIN].mean

    def to_json(self) -> dict[str, Json]:
        """Return the fields, including the values of each query, as data that ``json`` can write."""
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
    """Several ways to search one corpus, side by side.

    Parameters
    ----------
    rows
        The results of each way to search, in the order of the table.
    queries
        Ids of the evaluated queries, in the order of each row's values.
    documents, tokens
        Number of documents and of their token vectors.
    dim
        Number of components of a token vector.
    coverage
        How many queries and judgements took part, and how many did not match.
    settings
        Models, ``k``, seed, machine and versions.
    notes
        What was left out, and why; one sentence each.
    advice
        Sentences derived from the rows, see :func:`colstore.evaluate.advice.advise`.
    runs
        Rankings by row key and query id.
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
        """Return the row with this key.

        Raises
        ------
        StopIteration
            There is no such row.
        """
        return next(row for row in self.rows if row.key == key)

    def to_json(self) -> dict[str, Json]:
        """Return everything except the rankings as data that ``json`` can write."""
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
        """Return a table with a header and one line per row; each measure has the bounds of its interval."""
        table = [_flat(row) for row in self.rows]
        out = io.StringIO()
        writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        return out.getvalue()

    def save_runs(self, folder: Path) -> RunLayout:
        """Write the rankings of each row to ``<key>.trec`` in the folder, which is created if necessary.

        Returns
        -------
        str
            The layout, which is the ending of the files: ``"trec"``, or ``"jsonl"`` where an id holds white space.
        """
        folder.mkdir(parents=True, exist_ok=True)
        layout = self._layout()
        for key, run in self.runs.items():
            save_run(folder / f"{key}.{layout}", run, tag=key)
        return layout

    def _layout(self) -> RunLayout:
        """Return TREC's layout if it has room for all ids."""
        try:
            for run in self.runs.values():
                check_ids_fit(run, "trec")
                check_ids_fit((name for ranking in run.values() for name, _ in ranking), "trec")
        except CorpusError:
            return "jsonl"
        return "trec"


def as_json_text(comparison: Comparison) -> str:
    """Return the comparison as JSON text."""
    return json.dumps(comparison.to_json(), indent=1, ensure_ascii=False) + "\n"


def _flat(row: Row) -> dict[str, object]:
    """Return a row as the cells of a CSV line by column."""
    line: dict[str, object] = {"key": row.key, "label": row.label, "family": row.family}
    for name, interval in row.intervals.items():
        columns = {name: interval.mean, f"{name} low": interval.low, f"{name} high": interval.high}
        line |= {column: f"{value:.6f}" for column, value in columns.items()}
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
