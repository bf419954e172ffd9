"""Helpers of the benchmarks: a description of the machine, real token vectors, statistics, tables and JSON."""

from __future__ import annotations

import functools
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "bench-results"
SHARED = REPOSITORY.parent / "shared" / "data"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """Token vectors of a collection and of its test queries.

    ``documents`` has shape ``(tokens, dim)``, float32; document ``i`` has the rows ``offsets[i]..offsets[i + 1]``.
    ``queries`` has one matrix for each query.
    """

    name: str
    ids: list[str]
    documents: Floats
    offsets: NDArray[np.int64]
    query_ids: list[str]
    queries: list[Floats]
    qrels: dict[str, dict[str, int]]


def machine() -> dict[str, Any]:
    """Return the processor, the number of cores, the load, and the versions of the libraries."""
    names = (
        "colstore-index",
        "numpy",
        "numba",
        "llvmlite",
        "faiss-cpu",
        "torch",
        "h5py",
        "maxsim-cpu",
        "numkong",
        "onnxruntime",
    )
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "kernels": _flavour(),
        "versions": {name: found for name in names if (found := _version(name))},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _flavour() -> str:
    from colstore.kernels.flavours import flavour

    return flavour()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def load_collection(name: str, dim: int | None, *, model: str = "embedded") -> Collection:
    """Encode a collection of ``../shared/data`` (or ``data``), or load its vectors, cached in ``bench-results/``."""
    from colstore.corpus import read_qrels, read_queries
    from colstore.encode import load_encoder

    folder = REPOSITORY / "data" if name == "data" else SHARED / name
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    encoder = functools.cache(lambda: load_encoder(model))
    ids, documents, lengths = _document_vectors(name, folder, encoder)
    cached = RESULTS / f"{name}-queries.npz"
    judged_queries = [query for query in read_queries(folder) if query.id in qrels]
    if not cached.exists():
        matrices = [encoder().encode_queries([query.text])[0] for query in judged_queries]
        np.savez(cached, rows=np.concatenate(matrices), lengths=[len(m) for m in matrices])
    stored = np.load(cached)
    queries = np.split(stored["rows"], np.cumsum(stored["lengths"])[:-1])
    if dim is not None and dim != documents.shape[1]:
        documents, queries = _projected(name, documents, queries, dim)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Collection(name, ids, documents, offsets, [q.id for q in judged_queries], queries, qrels)


def _projected(name: str, documents: Floats, queries: list[Floats], dim: int) -> tuple[Floats, list[Floats]]:
    """Project documents and queries on ``dim`` principal axes of the documents; the result is cached."""
    from colstore.encode import fit_projection

    cached = RESULTS / f"{name}-documents-{dim}.npy"
    sample = np.random.default_rng(0).choice(len(documents), min(len(documents), 131_072), replace=False)
    projection = fit_projection(documents[np.sort(sample)], dim)
    if not cached.exists():
        np.save(cached, np.concatenate([projection.apply(part) for part in np.array_split(documents, 64)]))
    return np.load(cached), [projection.apply(query) for query in queries]


def _document_vectors(name: str, folder: Path, encoder: Any) -> tuple[list[str], Floats, NDArray[np.int64]]:
    from colstore.corpus import read_documents

    rows, table = RESULTS / f"{name}-documents.npy", RESULTS / f"{name}-documents.json"
    if not table.exists():
        print(f"encoding {name} once, into {rows.relative_to(REPOSITORY)}", file=sys.stderr)
        RESULTS.mkdir(exist_ok=True)
        corpus = list(read_documents(folder, on_error="skip"))
        matrices: list[Any] = []
        for first in range(0, len(corpus), 512):
            texts = encoder().encode_documents([document.passage for document in corpus[first : first + 512]])
            matrices += [text.vectors.astype(np.float16) for text in texts]
        np.save(rows, np.concatenate(matrices))
        table.write_text(json.dumps({"ids": [d.id for d in corpus], "lengths": [len(m) for m in matrices]}))
    stored = json.loads(table.read_text())
    return stored["ids"], np.load(rows).astype(np.float32), np.array(stored["lengths"], np.int64)


def token_ids(collection: Collection, *, model: str = "embedded") -> NDArray[np.int64]:
    """Return the vocabulary id of each token of a collection, for engines that cluster by token id."""
    from colstore.corpus import read_documents
    from colstore.encode import load_encoder

    folder = REPOSITORY / "data" if collection.name == "data" else SHARED / collection.name
    encoder: Any = load_encoder(model)
    texts = [document.passage for document in read_documents(folder, on_error="skip")]
    rows = [row.inputs["input_ids"] for row in encoder.prepare_documents(texts)]
    if [len(row) for row in rows] != np.diff(collection.offsets).tolist():
        raise SystemExit("the model drops some of the tokenizer's tokens, so there are no token ids for this model")
    return np.concatenate([np.array(row, np.int64) for row in rows])


def timed(work: Callable[[Any], Any], items: Sequence[Any]) -> tuple[list[Any], list[float]]:
    """Return the results and the milliseconds of each call."""
    results, milliseconds = [], []
    for item in items:
        start = perf_counter()
        results.append(work(item))
        milliseconds.append(1000 * (perf_counter() - start))
    return results, milliseconds


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(values, 95))


def ndcg(ranked: Sequence[str], grades: dict[str, int], k: int = 10) -> float:
    """Return nDCG@k with linear gains, as trec_eval computes it."""
    gains = [grades.get(document, 0) for document in ranked[:k]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k]
    best = sum(grade / np.log2(rank + 2) for rank, grade in enumerate(ideal))
    return float(sum(max(grade, 0) / np.log2(rank + 2) for rank, grade in enumerate(gains)) / best) if best else 0.0


def recall(retrieved: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return the share of ``expected`` that was retrieved."""
    return len(set(retrieved) & set(expected)) / len(expected)


def print_table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a Markdown table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in columns] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(columns)]
    print(f"\n{title}\n")
    for line in [columns, ["-" * w for w in widths], *cells]:
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def write_json(name: str, results: dict[str, Any]) -> None:
    """Write results to ``bench-results/``, with a description of the machine and the commit."""
    RESULTS.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    whole = {"machine": machine(), "commit": commit.stdout.strip(), **results}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=2) + "\n")
    print(f"\nsaved as bench-results/{name}.json")
