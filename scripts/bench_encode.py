"""Speed of encoding documents, quality of the vectors, and time from starting a process to the first hits.

    python scripts/bench_encode.py                            speed of every backend on a sample of SciFact
    python scripts/bench_encode.py --quality onnx-int8        also nDCG@10 of a backend (encodes whole collections)
    python scripts/bench_encode.py --only startup             only the processes

A speed is the best of several rounds in which the encoders take turns, so that other work on the machine affects all of
them. If there is other work, compare the tokens per second of processor time, which are printed, too.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import (
    SHARED,
    Collection,
    Floats,
    load_collection,
    machine,
    median,
    ndcg,
    print_table,
    write_json,
)

import colstore
from colstore.config import BACKENDS
from colstore.corpus import read_documents
from colstore.encode import TransformerEncoder, export_query_encoder, load_encoder, with_backend
from colstore.encode.backends import candidates
from colstore.encode.export import PROBES, parity
from colstore.errors import ColstoreError
from colstore.frozen import FrozenEncoder

QUERY = "do statins lower C-reactive protein in older people?"
LIMIT = 0.005
"""Largest loss of nDCG@10 with which a backend is offered."""


@dataclass
class Contestant:
    """An encoder of documents, with the times that it took."""

    name: str
    encode: Callable[[list[str]], list[Floats]]
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)


def contestants(encoder: TransformerEncoder, backends: list[str]) -> Iterator[Contestant]:
    """Yield sentence-transformers with its defaults, then colstore's backends."""
    yield Contestant("MultiVectorEncoder, defaults", lambda texts: _plain(encoder, texts))
    for name in backends:
        try:
            chosen = with_backend(encoder, name)
        except ColstoreError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        yield Contestant(name, lambda texts, chosen=chosen: [text.vectors for text in chosen.encode_documents(texts)])  # type: ignore[misc]  # a default binds it


def _plain(encoder: TransformerEncoder, texts: list[str]) -> list[Floats]:
    encoded = encoder.model.encode_document(texts, show_progress_bar=False)
    return [np.asarray(matrix) for matrix in encoded]


def race(field_: list[Contestant], texts: list[str], rounds: int) -> None:
    """Let each contestant encode the texts once in every round."""
    for contestant in field_:
        contestant.encode(texts[:2])
    for _ in range(rounds):
        for contestant in field_:
            wall, cpu = time.perf_counter(), time.process_time()
            contestant.vectors = contestant.encode(texts)
            contestant.walls.append(time.perf_counter() - wall)
            contestant.cpus.append(time.process_time() - cpu)


def speed_rows(field_: list[Contestant], texts: list[str]) -> list[dict[str, Any]]:
    """Return the table of speeds."""
    first = field_[0]
    tokens = sum(map(len, first.vectors))
    rows = []
    for one in field_:
        cosines = np.concatenate([_cosines(a, b) for a, b in zip(first.vectors, one.vectors, strict=True)])
        rows.append(
            {
                "encoder": one.name,
                "tokens/s": round(tokens / min(one.walls)),
                "docs/s": round(len(texts) / min(one.walls), 1),
                "times the first": round(min(first.walls) / min(one.walls), 2),
                "tokens/processor s": round(tokens / min(one.cpus)),
                "times the first (processor)": round(min(first.cpus) / min(one.cpus), 2),
                "cosine mean": round(float(cosines.mean()), 6),
                "cosine min": round(float(cosines.min()), 4),
            }
        )
    return rows


def _cosines(one: Floats, other: Floats) -> Floats:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: Floats = (one * other).sum(axis=1) / lengths
    return cosines


def mean_ndcg(collection: Collection, matrices: Iterator[Floats]) -> float:
    """Return the mean nDCG@10 of exact MaxSim; ``matrices`` yields the float vectors of each document in order."""
    queries = np.concatenate(collection.queries).astype(np.float32)
    starts = np.cumsum([0, *map(len, collection.queries)])[:-1]
    scores = np.stack([np.add.reduceat((queries @ matrix.T).max(axis=1), starts) for matrix in matrices], axis=1)
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = [[collection.ids[document] for document in row] for row in ranked]
    judged = [collection.qrels[query] for query in collection.query_ids]
    return float(np.mean([ndcg(ids, judgements) for ids, judgements in zip(found, judged, strict=True)]))


def quality_rows(encoder: TransformerEncoder, names: list[str], backends: list[str]) -> list[dict[str, Any]]:
    """Return the nDCG@10 of backends and of float32 vectors, and the loss. Queries are always in float32."""
    rows = []
    for name in names:
        collection = load_collection(name, None)
        bounds = zip(collection.offsets[:-1], collection.offsets[1:], strict=True)
        base = mean_ndcg(collection, (collection.documents[a:b] for a, b in bounds))
        collection = replace(collection, documents=np.empty((0, 0), np.float32))  # gigabytes
        for backend in backends:
            chosen = with_backend(encoder, backend)
            start = time.perf_counter()
            found = mean_ndcg(collection, _encoded(chosen, name))
            loss = base - found
            rows.append(
                {
                    "collection": name,
                    "backend": backend,
                    "nDCG@10": round(found, 5),
                    "float32": round(base, 5),
                    "loss": round(loss, 5),
                    f"loss <= {LIMIT}": "yes" if loss <= LIMIT else "NO",
                    "seconds": round(time.perf_counter() - start),
                }
            )
            print(rows[-1], flush=True)
    return rows


def _encoded(encoder: TransformerEncoder, name: str) -> Iterator[Floats]:
    corpus = list(read_documents(SHARED / name, on_error="skip"))
    for first in range(0, len(corpus), 256):
        texts = [document.passage for document in corpus[first : first + 256]]
        yield from (text.vectors for text in encoder.encode_documents(texts))


def frozen_rows(encoder: TransformerEncoder, data: Path) -> list[dict[str, Any]]:
    """Return size, parity, nDCG@10 and milliseconds of the frozen query encoder in each storage."""
    collection = load_collection("scifact", None)
    from colstore.corpus import read_queries

    texts = [query.text for query in read_queries(data / "scifact") if query.id in collection.qrels]
    bounds = list(zip(collection.offsets[:-1], collection.offsets[1:], strict=True))
    rows = []
    for dtype in ("float32", "float16", "int8"):
        files = export_query_encoder(encoder, frozen_dtype=dtype)
        frozen = FrozenEncoder.load(files)
        frozen_queries = replace(collection, queries=[frozen.encode_queries([text])[0] for text in texts])
        seconds = [_timed(partial(frozen.encode_queries, [text])) for text in texts[:100]]
        rows.append(
            {
                "storage": dtype,
                "MB": round(len(files["query.onnx"]) / 1e6, 1),
                "parity, SciFact": max(
                    float(np.abs(a - b).max()) for a, b in zip(collection.queries, frozen_queries.queries, strict=True)
                ),
                "parity, odd": parity(encoder, frozen, PROBES),
                "nDCG@10": round(mean_ndcg(frozen_queries, (collection.documents[a:b] for a, b in bounds)), 5),
                "ms a query": round(1000 * median(seconds), 2),
            }
        )
    return rows


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process_rows(index: Path, repeats: int) -> list[dict[str, Any]]:
    """Return the wall times of new processes, and of queries in a running process."""
    python, command = sys.executable, [sys.executable, "-m", "colstore.cli"]
    cases = {
        "python -c pass": [python, "-c", "pass"],
        "import colstore": [python, "-c", "import colstore"],
        "colstore --help": [*command, "--help"],
        "colstore search, fresh process": [*command, "search", str(index), QUERY],
    }
    rows = []
    for name, arguments in cases.items():
        run = partial(subprocess.run, arguments, check=True, capture_output=True)
        walls = [_timed(run) for _ in range(repeats)]
        rows.append({"what": name, "median ms": round(1000 * median(walls), 1), "best ms": round(1000 * min(walls), 1)})
    with colstore.open(index) as opened:
        opened.search(QUERY)
        walls = [_timed(lambda: opened.search(QUERY)) for _ in range(50)]
        encode = [_timed(lambda: opened.encoder.encode_queries([QUERY])) for _ in range(50)]
    for name, seconds in (("text to hits, live", walls), ("of which encoding", encode)):
        best, middle = 1000 * min(seconds), 1000 * median(seconds)
        rows.append({"what": name, "median ms": round(middle, 1), "best ms": round(best, 1)})
    return rows


def build_rows(encoder: TransformerEncoder, documents: list[Any], folder: Path) -> list[dict[str, Any]]:
    """Return the time of a whole build relative to that of encoding alone, with the same backend."""
    encoder.encode_documents([documents[0].passage])
    wall, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(documents), 256):
        encoder.encode_documents([document.passage for document in documents[first : first + 256]])
    alone = time.perf_counter() - wall
    alone_cpu = time.process_time() - cpu
    wall, cpu = time.perf_counter(), time.process_time()
    with colstore.build(folder / "index.colstore", documents, model=encoder) as index:
        whole, whole_cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert index.report is not None
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in index.report.seconds.items())
    return [
        {
            "documents": len(documents),
            "encoding alone, s": round(alone, 1),
            "whole build, s": round(whole, 1),
            "ratio": round(whole / alone, 3),
            "ratio (processor)": round(whole_cpu / alone_cpu, 3),
            "stages, s": stages,
        }
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the collections")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--documents", type=int, default=96, help="sample for speeds")
    parser.add_argument("--build-documents", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backends", nargs="*", help="default: what is installed, and onnx-int8")
    parser.add_argument("--quality", nargs="*", default=[], choices=BACKENDS, help="backends to take nDCG@10 of")
    parser.add_argument("--collections", nargs="*", default=["scifact", "nfcorpus"])
    parser.add_argument(
        "--only",
        nargs="*",
        default=["speed", "build", "startup"],
        choices=["speed", "build", "startup", "frozen", "quality"],
    )
    return parser.parse_args()


def main() -> None:
    """Run the selected benchmarks, print tables, and save them as JSON."""
    options = _arguments()
    about = machine()
    print(about, f"seed {options.seed}")
    encoder = load_encoder(options.model, device="cpu")
    assert isinstance(encoder, TransformerEncoder)
    documents = list(read_documents(options.data / "scifact", on_error="skip"))
    random.Random(options.seed).shuffle(documents)
    results: dict[str, Any] = {"options": {key: str(value) for key, value in vars(options).items()}}
    if "speed" in options.only:
        texts = [document.passage for document in documents[: options.documents]]
        field_ = list(contestants(encoder, options.backends or [*candidates(), "onnx-int8"]))
        race(field_, texts, options.rounds)
        results["speed"] = speed_rows(field_, texts)
        print_table(f"Encoding {len(texts)} documents of SciFact", results["speed"])
    with tempfile.TemporaryDirectory() as folder:
        if "build" in options.only or "startup" in options.only:
            texts = [document.passage for document in documents[:32]]
            chosen = with_backend(encoder, "auto", texts)
            print(f"\nbackend chosen by the self-test: {chosen.settings['backend']}")
            results["build"] = build_rows(chosen, documents[: options.build_documents], Path(folder))
            print_table("A whole build (4 bits) over encoding alone", results["build"])
        if "startup" in options.only:
            results["startup"] = process_rows(Path(folder) / "index.colstore", 7)
            print_table("Processes", results["startup"])
    if "frozen" in options.only:
        results["frozen"] = frozen_rows(encoder, options.data)
        print_table("The frozen query encoder", results["frozen"])
    if options.quality:
        results["quality"] = quality_rows(encoder, options.collections, options.quality)
        print_table("nDCG@10, exact MaxSim", results["quality"])
    write_json("encode", results)


if __name__ == "__main__":
    main()
