"""The figures of docs/WHICH.md: ``colstore compare`` on ``data/`` or a collection of ``../shared/data``.

The benchmark needs no trained cross-encoder. It uses a **simulated** one instead, with two known properties: it ranks a
relevant passage above one that is not relevant with a given probability (``--accuracy``; its score is the grade plus
noise of the corresponding size, seeded by the pair), and it takes the time of a real one (a cross-encoder of MiniLM's
size with random weights, timed on passages of this collection with one thread).

    python scripts/bench_compare.py data
    python scripts/bench_compare.py scifact --docs
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from bench_common import REPOSITORY, RESULTS, SHARED, load_collection, machine, print_table, write_json
from numpy.typing import NDArray

from colstore import Document
from colstore.corpus import read_documents, read_qrels, read_queries
from colstore.encode import embedded_model_path, load_encoder
from colstore.evaluate import CompareConfig, compare, save_comparison
from colstore.evaluate.machine import one_thread

FIGURES = REPOSITORY / "docs" / "figures"
BATCH = 10


class SimulatedCrossEncoder:
    """A reranker that returns the judgements with noise, and takes a given time for each pair."""

    name = "simulated"

    def __init__(self, folder: Path, accuracy: float, seconds: float) -> None:
        self.qrels = read_qrels(folder / "qrels" / "test.tsv")
        self.queries = {query.text: query.id for query in read_queries(folder)}
        self.documents = {document.passage: document.id for document in read_documents(folder, on_error="skip")}
        # With this noise, a score of grade 1 is higher than one of grade 0 with the probability ``accuracy``.
        self.noise = 1 / (2**0.5 * NormalDist().inv_cdf(accuracy))
        self.seconds = seconds

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the grades with noise, after the time that a real cross-encoder would take."""
        end = time.perf_counter() + self.seconds * len(pairs)
        scores = np.array([self._score(query, passage) for query, passage in pairs], np.float32)
        time.sleep(max(0.0, end - time.perf_counter()))
        return scores

    def _score(self, query: str, passage: str) -> float:
        grade = self.qrels[self.queries[query]].get(self.documents[passage], 0)
        noise = np.random.default_rng(zlib.crc32(f"{query}\0{passage}".encode())).normal()
        return max(0, grade) + self.noise * float(noise)


def seconds_a_pair(folder: Path) -> float:
    """Return the seconds that a cross-encoder of MiniLM's size (6 layers, 384 wide) takes for a pair on one thread."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model: Any = BertForSequenceClassification(config)
    model.eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(embedded_model_path())
    query = next(read_queries(folder)).text
    passages = [document.passage for document in islice(read_documents(folder, on_error="skip"), BATCH)]
    rows = tokenizer([query] * BATCH, passages, padding=True, truncation=True, max_length=512, return_tensors="pt")
    seconds = []
    with one_thread(), torch.inference_mode():
        for _ in range(10):
            start = time.perf_counter()
            model(**rows)
            seconds.append(time.perf_counter() - start)
    return min(seconds) / BATCH  # the minimum, because other work on the machine can only add time


def documents_with_vectors(name: str, folder: Path) -> Iterator[Document]:
    """Yield the documents with their vectors, which ``bench-results/`` caches."""
    collection = load_collection(name, None)
    starts = dict(zip(collection.ids, range(len(collection.ids)), strict=True))
    for document in read_documents(folder, on_error="skip"):
        position = starts[document.id]
        rows = collection.documents[collection.offsets[position] : collection.offsets[position + 1]]
        yield Document(document.id, document.text, document.title, vectors=rows)


def main() -> None:
    """Run the comparison, print it, and save the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", nargs="?", default="data")
    parser.add_argument(
        "--accuracy", type=float, default=0.975, help="accuracy of the simulated cross-encoder on a pair"
    )
    parser.add_argument("--read", type=int, default=20, help="number of candidates that the cross-encoder may read")
    parser.add_argument("--docs", action="store_true", help="save the plot for docs/WHICH.md")
    arguments = parser.parse_args()
    name = arguments.collection
    folder = REPOSITORY / "data" if name == "data" else SHARED / name
    seconds = seconds_a_pair(folder)
    corpus = folder if name == "data" else documents_with_vectors(name, folder)
    comparison = compare(
        corpus,
        folder,
        folder,
        model=load_encoder("embedded"),
        cross_encoder=SimulatedCrossEncoder(folder, arguments.accuracy, seconds),
        config=CompareConfig(rerank_depth=arguments.read),
    )
    target = RESULTS / f"compare-{name}"
    save_comparison(comparison, target, overwrite=True)
    if arguments.docs:
        FIGURES.mkdir(exist_ok=True)
        (FIGURES / f"compare-{name}.svg").write_bytes((target / "plot.svg").read_bytes())
    print(machine(), f"\nseed 0; simulated cross-encoder: {arguments.accuracy} a pair, {1000 * seconds:.1f} ms a pair")
    print_table(f"compare on {name}", [_shown(row) for row in comparison.rows])
    print("\n" + " ".join(comparison.advice))
    write_json(f"compare-{name}", {"arguments": vars(arguments), "ms a pair": 1000 * seconds, **comparison.to_json()})


def _shown(row: Any) -> dict[str, Any]:
    interval = row.intervals["nDCG@10"]
    return {
        "way": row.label,
        "nDCG@10": row.ndcg,
        "95 % interval": f"{interval.low:.3f} - {interval.high:.3f}",
        "recall@100": row.intervals["recall@100"].mean,
        "ms median": row.latency.median,
        "ms p95": row.latency.p95,
        "build s": row.build_seconds,
        "bytes/document": round(row.bytes_per_document),
        "pairs": row.pairs,
    }


if __name__ == "__main__":
    main()
