"""How cost grows with the size of the corpus, with documents made of real token vectors and noise.

    python scripts/bench_scale.py --documents 30000 100000 300000

Each document consists of 70 consecutive tokens of a real one, with added noise of 10 % of a vector's length, and
normalised again. The queries are those of the collection. Recall is measured against scoring every document with the
same codes.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_common import (
    Collection,
    Floats,
    load_collection,
    machine,
    median,
    p95,
    print_table,
    recall,
    timed,
    write_json,
)

import colstore
from colstore import SearchParams

TOKENS = 70
NOISE = 0.1


def recombined(collection: Collection, count: int, seed: int) -> Iterator[Floats]:
    """Yield ``count`` documents of 70 tokens."""
    generator = np.random.default_rng(seed)
    long_enough = np.flatnonzero(np.diff(collection.offsets) >= TOKENS)
    dim = collection.documents.shape[1]
    for _ in range(count):
        document = int(generator.choice(long_enough))
        last = int(collection.offsets[document + 1]) - TOKENS
        start = int(generator.integers(collection.offsets[document], last + 1))
        noise = generator.standard_normal((TOKENS, dim), dtype=np.float32) * np.float32(NOISE / np.sqrt(dim))
        rows = collection.documents[start : start + TOKENS] + noise
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def private_memory() -> int:
    """Return the anonymous resident memory of this process in bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(
    collection: Collection, count: int, bits: int, queries: list[Floats], target_recall: float, folder: Path
) -> dict[str, Any]:
    """Build an index, tune it on one half of the queries, and measure it on the other half."""
    path = folder / f"scale-{count}-{bits}.colstore"
    start = perf_counter()
    ids = (f"d{i}" for i in range(count))
    index = colstore.build_from_vectors(path, ids, recombined(collection, count, seed=count), bits=bits)  # type: ignore[arg-type]  # one of Bits
    built = perf_counter() - start
    seconds = dict(index.report.seconds) if index.report else {}
    measured, tuning = queries[::2], queries[1::2]
    report = index.tune(tuning, recall=target_recall, k=10)
    index.close()
    cold = _first_answer(path, measured[0])
    with colstore.open(path) as index:
        exact, slow = timed(
            lambda q: [h.id for h in index.search(q, 10, params=SearchParams(exact=True))], measured[:40]
        )
        index.search(measured[0], 10)
        found, milliseconds = timed(lambda q: [h.id for h in index.search(q, 10)], measured)
        row = {
            "documents": count,
            "tokens": count * TOKENS,
            "build s": built,
            "train s": seconds.get("train"),
            "compress s": seconds.get("compress"),
            "centroids": index.info().centroids,
            "bytes/token": index.info().bytes_per_token,
            "probes": report.params.probes,
            "candidates": report.params.candidates,
            "scored": report.params.scored,
            "ms": median(milliseconds),
            "p95": p95(milliseconds),
            "recall of codes": float(np.mean([recall(f, t) for f, t in zip(found[:40], exact, strict=True)])),
            "exact ms": median(slow),
            "first answer ms": cold["first answer ms"],
            "private MB": cold["private MB"],
        }
    shutil.rmtree(path)
    row["peak build MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def _first_answer(path: Path, query: Floats) -> dict[str, float]:
    """Open and search in a new process: milliseconds from before Python's imports to the hits, and private memory."""
    np.save(path.with_suffix(".npy"), query)
    code = (
        "from time import perf_counter; start = perf_counter()\n"
        "import sys, numpy as np, colstore\n"
        "query = np.load(sys.argv[2]); index = colstore.open(sys.argv[1]); index.search(query, 10)\n"
        "took = 1000 * (perf_counter() - start)\n"
        "anonymous = [l for l in open('/proc/self/smaps_rollup') if l.startswith('Anonymous')][0].split()[1]\n"
        "print(took, int(anonymous) / 1024, 'numba' in sys.modules)\n"
    )
    best: list[float] = []
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", code, str(path), str(path.with_suffix(".npy"))],
            capture_output=True,
            text=True,
            check=True,
        )
        output = run.stdout.split()
        best.append(float(output[0]))
    return {"first answer ms": min(best), "private MB": float(output[1])}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument(
        "--recall", type=float, default=0.985, help="recall of the exact top 10 of the same codes to tune for"
    )
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument(
        "--folder", type=Path, help="folder for the indexes (5 GB for 300,000 documents while building)"
    )
    arguments = parser.parse_args()
    collection = load_collection("scifact", 128)
    queries = collection.queries[: arguments.queries]
    print(machine(), f"\nseed = number of documents; {len(queries)} queries, half of them for tuning")
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for count in arguments.documents:
            rows.append(measure(collection, count, arguments.bits, queries, arguments.recall, Path(folder)))
            print_table(f"{arguments.bits} bits, one search thread", rows)
    write_json("scale", {"arguments": {**vars(arguments), "folder": None}, "rows": rows})


if __name__ == "__main__":
    main()
