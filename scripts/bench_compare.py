"""The figures of docs/WHICH.md: ``colstore compare`` on ``data/`` or a collection of ``../shared/data``.

No trained cross-encoder is at hand where this was written, so its place is taken by a **simulated** one, of which two
things are known: it puts a relevant passage above one that is not with a chosen probability (``--accuracy``; its score
is the grade plus noise of that size, drawn from the pair itself), and it takes the time of a real one (a cross-encoder
of MiniLM's size with random weights, timed here on passages of this collection, one thread).

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
    """Knows the judgements, and blurs them; takes the time it is told to take."""

    name = "simulated"

    def __init__(self, folder: Path, accuracy: float, seconds: float) -> None:
        self.qrels = read_qrels(folder / "qrels" / "test.tsv")
        self.queries = {query.text: query.id for query in read_queries(folder)}
        self.documents = {document.passage: document.id for document in read_documents(folder, on_error="skip")}
        # of two scores, grade 1 and grade 0, the noise of each has this size if the first wins so often
        self.noise = 1 / (2**0.5 * NormalDist().inv_cdf(accuracy))
        self.seconds = seconds

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the blurred grades, after as long as a real one takes."""
        end = time.perf_counter() + self.seconds * len(pairs)
        scores = np.array([self._score(query, passage) for query, passage in pairs], np.float32)
        time.sleep(max(0.0, end - time.perf_counter()))
        return scores

    def _score(self, query: str, passage: str) -> float:
        grade = self.qrels[self.queries[query]].get(self.documents[passage], 0)
        drawn = np.random.default_rng(zlib.crc32(f"{query}\0{passage}".encode())).normal()
        return max(0, grade) + self.noise * float(drawn)


def seconds_a_pair(folder: Path) -> float:
    """Return the time that a cross-encoder of MiniLM's size (6 layers, 384 wide) needs for a pair, on one thread."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model: Any = BertForSequenceClassification(config)
    model.eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(embedded_model_path())
    query = next(read_queries(folder)).text
    passages = [document.passage for document in islice(read_documents(folder, on_error="skip"), BATCH)]
    rows = tokenizer([query] * BATCH, passages, padding=True, truncation=True, max_length=512, return_tensors="pt")
    spent = []
    with one_thread(), torch.inference_mode():
        for _ in range(10):
            start = time.perf_counter()
            model(**rows)
            spent.append(time.perf_counter() - start)
    return min(spent) / BATCH  # what else runs on the machine only adds


def documents_with_vectors(name: str, folder: Path) -> Iterator[Document]:
    """Yield the documents with the vectors that ``bench-results/`` keeps."""
    collection = load_collection(name, None)
    starts = dict(zip(collection.ids, range(len(collection.ids)), strict=True))
    for document in read_documents(folder, on_error="skip"):
        place = starts[document.id]
        rows = collection.documents[collection.offsets[place] : collection.offsets[place + 1]]
        yield Document(document.id, document.text, document.title, vectors=rows)


def main() -> None:
    """Compare, print, and keep the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", nargs="?", default="data")
    parser.add_argument("--accuracy", type=float, default=0.975, help="of the simulated cross-encoder, a pair")
    parser.add_argument("--read", type=int, default=20, help="candidates that it may read")
    parser.add_argument("--docs", action="store_true", help="keep the plot for docs/WHICH.md")
    arguments = parser.parse_args()
    name = arguments.collection
    folder = REPOSITORY / "data" if name == "data" else SHARED / name
    seconds = seconds_a_pair(folder)
    corpus = folder if name == "data" else documents_with_vectors(name, folder)
    found = compare(
        corpus,
        folder,
        folder,
        model=load_encoder("embedded"),
        cross_encoder=SimulatedCrossEncoder(folder, arguments.accuracy, seconds),
        config=CompareConfig(rerank_depth=arguments.read),
    )
    target = RESULTS / f"compare-{name}"
    save_comparison(found, target, overwrite=True)
    if arguments.docs:
        FIGURES.mkdir(exist_ok=True)
        (FIGURES / f"compare-{name}.svg").write_bytes((target / "plot.svg").read_bytes())
    print(machine(), f"\nseed 0; simulated cross-encoder: {arguments.accuracy} a pair, {1000 * seconds:.1f} ms a pair")
    print_table(f"compare on {name}", [_shown(row) for row in found.rows])
    print("\n" + " ".join(found.advice))
    write_json(f"compare-{name}", {"arguments": vars(arguments), "ms a pair": 1000 * seconds, **found.to_json()})


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
