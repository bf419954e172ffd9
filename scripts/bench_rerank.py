"""Reranking from disk and the cross-encoder stage: speed with warm and cold cache, memory, and quality.

    python scripts/bench_rerank.py                       # everything (builds indexes in bench-results/ once)
    python scripts/bench_rerank.py --only speed stage

``speed``    1,000 candidates of 76 tokens, from ids to hits, against maxsim-cpu with float32 vectors in memory; one
             thread.
``cold``     The same after dropping the index's pages from memory.
``runs``     The top 100 of BM25 on SciFact and NFCorpus, reranked with all-MiniLM-L6-v2; the queries are encoded.
``policies`` ``always`` against ``uncertain`` with a *simulated* cross-encoder: relevance plus normal noise.
``stage``    Overhead of the stage beside a model of MiniLM-L6's size (with random weights: only the time matters).
"""

from __future__ import annotations

import argparse
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # maxsim-cpu's threads; read when it is first called
os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench_scale
import numpy as np
from bench_common import (
    RESULTS,
    SHARED,
    Collection,
    Floats,
    load_collection,
    machine,
    median,
    ndcg,
    p95,
    print_table,
    write_json,
)

import colstore
from colstore.corpus import group_run, read_documents, read_queries, read_run
from colstore.rerank.calibrate import calibrated, calibration_query
from colstore.rerank.order import passage
from colstore.rerank.rerankers import CallableReranker
from colstore.rerank.stage import RerankStage
from colstore.store import prefetch

CANDIDATES, TOKENS, QUERY_TOKENS, SEED = 1000, 76, 32, 0
COLLECTIONS = ("scifact", "nfcorpus")
SEPARATION = 2.5
"""Distance between relevant and other candidates in the simulated cross-encoder, in standard deviations."""


def synthetic(collection: Collection, documents: int) -> Path:
    """Return the path of an index of recombined documents of 76 tokens, built once."""
    path = RESULTS / f"rerank-{documents}.colstore"
    if not path.exists():
        bench_scale.TOKENS = TOKENS
        words = [document.passage.split()[:60] for document in read_documents(SHARED / "scifact", on_error="skip")]
        colstore.build_from_vectors(
            path,
            (f"doc{i}" for i in range(documents)),
            bench_scale.recombined(collection, documents, SEED),
            texts=(" ".join(words[i % len(words)]) for i in range(documents)),
            bits=4,
        ).close()
    return path


def query_matrices(collection: Collection, count: int) -> list[Floats]:
    """Return queries of exactly 32 tokens, made by repeating the tokens of real ones."""
    return [np.concatenate([query] * QUERY_TOKENS)[:QUERY_TOKENS].copy() for query in collection.queries[:count]]


def candidate_lists(documents: int, count: int) -> list[list[str]]:
    """Return ``count`` lists of 1,000 random candidates."""
    generator = np.random.default_rng(SEED)
    return [[f"doc{i}" for i in generator.choice(documents, CANDIDATES, replace=False)] for _ in range(count)]


def timed(work: Callable[[int], Any], count: int) -> list[float]:
    """Return the milliseconds of each of ``count`` calls."""
    milliseconds = []
    for i in range(count):
        start = perf_counter()
        work(i)
        milliseconds.append(1000 * (perf_counter() - start))
    return milliseconds


def rerank_ms(
    index: colstore.Index, queries: Sequence[Floats], lists: Sequence[list[str]], k: int | None
) -> list[float]:
    """Return the milliseconds of reranking each list with its query."""

    def one(i: int) -> None:
        index.rerank(queries[i], lists[i], k=k)

    return timed(one, len(lists))


def speed(path: Path, documents: int, collection: Collection) -> list[dict[str, Any]]:
    """Measure reranking with a warm cache, from ids to hits, against maxsim-cpu."""
    import maxsim_cpu

    queries, lists = query_matrices(collection, 40), candidate_lists(documents, 40)
    rows: list[dict[str, Any]] = []
    with colstore.open(path) as index:
        dense = [np.stack(index.vectors(names)).astype(np.float32) for names in lists[:4]]
        theirs = timed(lambda i: np.argsort(-np.asarray(maxsim_cpu.maxsim_scores(queries[i], dense[i % 4]))), 12)[2:]
        rows.append({"engine": "maxsim-cpu, float32 in memory", "ms": median(theirs), "p95": p95(theirs), "ratio": 1.0})
        for label, k in (("all hits", None), ("k = 100", 100), ("k = 10", 10)):
            for i in range(3):
                index.rerank(queries[i], lists[i], k=k)
            ours = rerank_ms(index, queries, lists, k)
            rows.append(
                {
                    "engine": f"colstore from disk, 4 bits, {label}",
                    "ms": median(ours),
                    "p95": p95(ours),
                    "ratio": median(theirs) / median(ours),
                }
            )
    return rows


def drop_pages(index: colstore.Index) -> None:
    """Drop an index's pages from memory: first those of its mappings, then those in the system's cache."""
    for view in index._live().views:
        mapping = prefetch._mapping_of(view.segment._data)
        assert mapping is not None
        mapping.madvise(mmap.MADV_DONTNEED)
    for file in sorted((index.path / "segments").iterdir()):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)  # pages that have not been written to the disk cannot be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _always(*_: Any) -> bool:
    return True


def cold(path: Path, documents: int, collection: Collection) -> list[dict[str, Any]]:
    """Measure reranking with a cold cache: with and without prefetching, and with blocks that are not yet verified."""
    queries, lists = query_matrices(collection, 12), candidate_lists(documents, 12)
    rows: list[dict[str, Any]] = []
    ahead = prefetch._in_memory
    with colstore.open(path) as index:
        for i in range(12):
            index.rerank(queries[i], lists[i], k=100)
        warm = median(rerank_ms(index, queries, lists, 100))
        rows.append({"state": "warm", "ms": warm, "times warm": 1.0})
        for label, found in (("cold, read ahead", ahead), ("cold, page by page", _always)):
            setattr(prefetch, "_in_memory", found)  # noqa: B010 - switched off for comparison
            milliseconds = []
            for i in range(6):
                drop_pages(index)
                milliseconds += rerank_ms(index, queries[i : i + 1], lists[i : i + 1], 100)
            rows.append({"state": label, "ms": median(milliseconds), "times warm": median(milliseconds) / warm})
    prefetch._in_memory = ahead
    milliseconds = []
    for i in range(3):
        with colstore.open(path) as index:
            drop_pages(index)
            milliseconds += rerank_ms(index, queries[i : i + 1], lists[i : i + 1], 100)
    rows.append(
        {
            "state": "cold, first use (whole 64 KiB blocks are compared with checksums)",
            "ms": median(milliseconds),
            "times warm": median(milliseconds) / warm,
        }
    )
    return rows


_MEMORY = """
import sys, numpy as np, colstore
index = colstore.open(sys.argv[1])
generator = np.random.default_rng(0)
for _ in range(20):
    names = [f"doc{i}" for i in generator.choice(int(sys.argv[2]), 1000, replace=False)]
    hits = index.rerank(generator.standard_normal((32, index.dim)).astype(np.float32), names)
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(int([line for line in lines if line.startswith("Anonymous:")][0].split()[1]) / 1024)
"""


def memory(path: Path, documents: int) -> float:
    """Return the anonymous resident memory in MB of a new process after 20 rerankings."""
    command = [sys.executable, "-c", _MEMORY, str(path), str(documents)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def texts_index(name: str) -> tuple[colstore.Index, Collection]:
    """Return an index of a collection with its texts (4 bits, 384 dimensions), built once."""
    collection = load_collection(name, None)
    path = RESULTS / f"rerank-{name}.colstore"
    if not path.exists():
        texts = {document.id: document.passage for document in read_documents(SHARED / name, on_error="skip")}
        spans = zip(collection.offsets[:-1], collection.offsets[1:], strict=True)
        colstore.build_from_vectors(
            path,
            collection.ids,
            (collection.documents[a:b] for a, b in spans),
            texts=[texts[i] for i in collection.ids],
            bits=4,
        ).close()
    return colstore.open(path), collection


def runs(name: str) -> dict[str, Any]:
    """Rerank BM25's top 100 of a collection."""
    index, collection = texts_index(name)
    vectors = dict(zip(collection.query_ids, collection.queries, strict=True))
    run = SHARED / name / "runs" / "bm25.test.trec.gz"
    first = {query: [line.doc_id for line in lines] for query, lines in group_run(read_run(run))}
    start = perf_counter()
    found = dict(index.rerank_run(run, vectors, missing="last", on_unknown_query="skip"))
    seconds = perf_counter() - start
    index.close()
    judged = collection.qrels
    return {
        "collection": name,
        "queries": len(found),
        "seconds": seconds,
        "ms a query": 1000 * seconds / len(found),
        "nDCG@10 BM25": float(np.mean([ndcg(first.get(q, []), judged[q]) for q in judged])),
        "nDCG@10 reranked": float(np.mean([ndcg([h.id for h in found.get(q, [])], judged[q]) for q in judged])),
        "bytes/token": colstore.open(index.path).info().bytes_per_token,
    }


def simulated(maxsim: Sequence[float], relevant: Sequence[bool], seed: int) -> Floats:
    """Return the scores of a simulated cross-encoder: MaxSim's scores plus relevance plus noise.

    MaxSim's scores are standardised to mean 0 and deviation 1 over the candidates. A relevant document gets 2.5 more,
    and every document gets standard normal noise. How often this ranks a relevant candidate above another one is
    printed.
    """
    scores = np.asarray(maxsim)
    noise = np.random.default_rng([SEED, seed]).standard_normal(len(scores))
    whole = (scores - scores.mean()) / (scores.std() + 1e-9) + SEPARATION * np.asarray(relevant) + noise
    scored: Floats = whole.astype(np.float32)
    return scored


def policies(name: str, depth: int) -> list[dict[str, Any]]:
    """Calibrate ``uncertain`` on one half of the queries, and compare the policies on the other half."""
    index, collection = texts_index(name)
    query_texts = {query.id: query.text for query in read_queries(SHARED / name) if query.id in collection.qrels}
    vectors = dict(zip(collection.query_ids, collection.queries, strict=True))
    names = sorted(query_texts)
    lists = {query: index.search(vectors[query], depth) for query in names}
    known: dict[tuple[str, str], float] = {}
    samples = {}
    for number, query in enumerate(names):
        hits, judged = lists[query], collection.qrels[query]
        scores = simulated([hit.score for hit in hits], [judged.get(hit.id, 0) > 0 for hit in hits], number)
        known |= {(query_texts[query], passage(hit)): score for hit, score in zip(hits, scores.tolist(), strict=True)}
        samples[query] = calibration_query([h.id for h in hits], [h.score for h in hits], scores.tolist(), judged, 10)
    reranker = CallableReranker(lambda pairs: [known[pair] for pair in pairs], name="simulated")
    found = calibrated([samples[q] for q in names[::2]], k=10, depth=depth, keep=0.97)
    stages = {
        "never": RerankStage(reranker, "never", depth),
        "always": RerankStage(reranker, "always", depth),
        "uncertain": RerankStage(reranker, "uncertain", depth, threshold=found.threshold),
    }
    rows: list[dict[str, Any]] = []
    tested = names[1::2]
    for policy, stage in stages.items():
        ranked = stage.rank_many([query_texts[q] for q in tested], [lists[q] for q in tested])
        read = sum(len(stage.selection(lists[q]).positions) for q in tested)
        quality = [ndcg([h.id for h in hits], collection.qrels[q]) for q, hits in zip(tested, ranked, strict=True)]
        rows.append(
            {
                "collection": name,
                "depth": depth,
                "policy": policy,
                "nDCG@10": float(np.mean(quality)),
                "pairs": read,
            }
        )
    base, best = rows[0]["nDCG@10"], rows[1]["nDCG@10"]
    for row in rows:
        row["part of the gain"] = (row["nDCG@10"] - base) / (best - base)
        row["part of the pairs"] = row["pairs"] / rows[1]["pairs"]
        row["accuracy of pairs (simulated)"] = _accuracy([samples[q] for q in tested])
        row["threshold"] = round(found.threshold, 4)
    index.close()
    return rows


def _accuracy(samples: Iterable[Any]) -> float:
    """Return how often the reranker ranks a relevant candidate above one that is not relevant."""
    right = [
        float((sample.reranked[sample.gains > 0][:, None] > sample.reranked[sample.gains == 0]).mean())
        for sample in samples
        if 0 < (sample.gains > 0).sum() < len(sample.gains)
    ]
    return round(float(np.mean(right)), 3)


class Stopwatch:
    """Adds up the time spent in a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """Call the function."""
        start = perf_counter()
        found = self.function(*arguments, **settings)
        self.seconds += perf_counter() - start
        return found


def stage_overhead(queries: int) -> dict[str, Any]:
    """Compare the time of the stage with that of a cross-encoder of MiniLM-L6's size."""
    import tempfile

    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from colstore.encode.hub import embedded_model_path
    from colstore.rerank.cross_encoder import CrossEncoderReranker

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path())
    sizes: dict[str, Any] = {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "num_labels": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        model: Any = BertForSequenceClassification(BertConfig(**sizes))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        reranker = CrossEncoderReranker(folder, device="cpu", max_tokens=128)
    reranker.model.predict = predict = Stopwatch(reranker.model.predict)  # type: ignore[method-assign]  # timed
    stage = RerankStage(reranker, depth=20)
    index, collection = texts_index("nfcorpus")
    query_texts = {query.id: query.text for query in read_queries(SHARED / "nfcorpus")}
    lists = [
        (query_texts[q], index.search(v, 20))
        for q, v in list(zip(collection.query_ids, collection.queries, strict=True))[:queries]
    ]
    stage.rank(*lists[0])
    predict.seconds = 0.0
    start = perf_counter()
    for query, hits in lists:
        stage.rank(query, hits)
    total = perf_counter() - start
    index.close()
    return {
        "questions": queries,
        "pairs": 20 * queries,
        "model s": predict.seconds,
        "stage s": total,
        "overhead": (total - predict.seconds) / predict.seconds,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--documents",
        type=int,
        default=40_000,
        help="number of documents in the index from which 1,000 candidates are drawn",
    )
    parser.add_argument("--collections", nargs="+", choices=COLLECTIONS, default=list(COLLECTIONS))
    parser.add_argument("--only", nargs="+", choices=["speed", "cold", "runs", "policies", "stage"])
    arguments = parser.parse_args()
    parts = set(arguments.only or ["speed", "cold", "runs", "policies", "stage"])
    print(machine(), f"\nseed {SEED}; one thread")
    results: dict[str, Any] = {"arguments": {"documents": arguments.documents}}
    if parts & {"speed", "cold"}:
        collection = load_collection("scifact", 128)
        path = synthetic(collection, arguments.documents)
        if "speed" in parts:
            results["speed"] = speed(path, arguments.documents, collection)
            print_table("1,000 candidates of 76 tokens, 32 query tokens, warm (target: ratio 12)", results["speed"])
        if "cold" in parts:
            results["cold"] = cold(path, arguments.documents, collection)
            print_table("the same, k = 100, pages dropped before (target: 5 times warm)", results["cold"])
            results["anonymous MB"] = memory(path, arguments.documents)
            print(f"\nanonymous memory: {results['anonymous MB']:.0f} MB (target: under 300)")
        del collection
    if "runs" in parts:
        results["runs"] = [runs(name) for name in arguments.collections]
        print_table("BM25 top 100 reranked, queries encoded (targets: .70, .345, 5 s)", results["runs"])
    if "policies" in parts:
        results["policies"] = [
            row for name in arguments.collections for depth in (50, 100) for row in policies(name, depth)
        ]
        print_table(
            "policies, SIMULATED cross-encoder (target: 95 % of the gain, 50 % of the pairs)", results["policies"]
        )
    if "stage" in parts:
        results["stage"] = stage_overhead(20)
        print_table("stage beside the model (target: 5 %)", [results["stage"]])
    write_json("rerank" + ("" if arguments.only is None else "-" + "-".join(sorted(parts))), results)


if __name__ == "__main__":
    main()
