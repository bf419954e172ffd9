"""Comparison of methods to quantise token vectors: the loss of quality and the bytes for each token.

    python scripts/bench_codecs.py --collection scifact --queries 100

All methods share one set of centroids. Every document is scored with the decoded unit vectors in float32, so that only
the codes differ. Recall is measured against exact float32 scores. The bytes are those of one token: code, scales and
payload. `bench_kernels.py` measures the speed of scoring colstore's own codes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from bench_common import Collection, Floats, load_collection, machine, ndcg, print_table, recall, write_json

from colstore.codec import Centroids, make, random_rotation
from colstore.codec.nearest import Nearest
from colstore.indexing.kmeans import centroid_count, sample_size, train

CHUNK = 65_536
STEPS = {4: 0.335, 2: 1.0, 1: 1.6}
"""Step of a uniform grid, in standard deviations of the quantised values."""


def unit(rows: Floats) -> Floats:
    """Return the rows normalised to length 1."""
    normed: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return normed


def by_chunks(rows: Floats, work: Callable[[Floats], Floats]) -> Floats:
    """Apply ``work`` to the rows in chunks."""
    return np.concatenate([work(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)])


def nearest_rows(centroids: Centroids, rows: Floats) -> Floats:
    """Return the nearest centroid of each row, in the space of the rows."""
    values = centroids.floats_of(Nearest(centroids.values)(centroids.rotate(rows)))
    back: Floats = values @ centroids.rotation.T
    return back


def grid(values: Any, bits: int, step: Any) -> Floats:
    """Return values rounded to a symmetric uniform grid of ``2**bits`` steps."""
    half = 2 ** (bits - 1)
    rounded: Floats = (np.clip(np.floor(values / step), -half, half - 1) + 0.5) * step
    return rounded


def quantile_buckets(rows: Floats, near: Floats, bits: int) -> Floats:
    """Quantise like PLAID: buckets with equal counts over all components, each decoded as its median."""
    residuals = rows - near
    sample = residuals[:: max(1, len(rows) // 50_000)].ravel()
    cuts = np.quantile(sample, np.arange(1, 2**bits) / 2**bits)
    weights = np.quantile(sample, (np.arange(2**bits) + 0.5) / 2**bits).astype(np.float32)
    return unit(near + weights[np.searchsorted(cuts, residuals)])


def uniform(rows: Floats, near: Floats, bits: int, rotation: Floats | None, *, own_step: bool) -> Floats:
    """Quantise residuals on a uniform grid, rotated or not, with one step for all tokens or one for each token."""
    residuals = rows - near if rotation is None else (rows - near) @ rotation
    spread: Any = residuals.std(axis=1, keepdims=True) if own_step else residuals.std()
    decoded = grid(residuals, bits, STEPS[bits] * spread)
    return unit(near + (decoded if rotation is None else decoded @ rotation.T))


def product_codes(rows: Floats, near: Floats, bytes_a_token: int) -> Floats:
    """Quantise residuals with FAISS's product quantiser, with 256 codewords for each part."""
    import faiss

    residuals = np.ascontiguousarray(rows - near)
    quantiser: Any = faiss.ProductQuantizer(rows.shape[1], bytes_a_token, 8)
    quantiser.train(residuals[:: max(1, len(rows) // 100_000)])
    return unit(near + quantiser.decode(quantiser.compute_codes(residuals)))


def ours(rows: Floats, centroids: Centroids, bits: int) -> Floats:
    """Encode and decode with colstore's codec."""
    codec = make(bits, centroids)  # type: ignore[arg-type]  # one of Bits
    return by_chunks(rows, lambda part: unit(codec.decode(codec.encode(part))))


def variants(rows: Floats, centroids: Centroids) -> Iterator[tuple[str, float, Callable[[], Floats]]]:
    """Yield the name of each method, its bytes for a token, and a function that returns the decoded vectors."""
    dim = rows.shape[1]
    rotation = random_rotation(dim, dim, 1)
    near = by_chunks(rows, partial(nearest_rows, centroids))
    yield "float32", 4 * dim, lambda: rows
    for bits in (4, 2, 1):
        payload = dim * bits / 8 + 2
        yield f"{bits} bit, quantile buckets (PLAID)", payload, partial(quantile_buckets, rows, near, bits)
        yield f"{bits} bit, grid, one step", payload, partial(uniform, rows, near, bits, None, own_step=False)
        yield f"{bits} bit, grid, own step", payload + 2, partial(uniform, rows, near, bits, None, own_step=True)
        yield (
            f"{bits} bit, rotated grid, own step",
            payload + 2,
            partial(uniform, rows, near, bits, rotation, own_step=True),
        )
        yield f"{bits} bit, colstore", payload + 4, partial(ours, rows, centroids, bits)
    for parts in (64, 32, 16):
        yield f"product quantiser, {parts} parts", parts + 2, partial(product_codes, rows, near, parts)
    nothing = np.zeros_like(rows[:1])
    yield "4 bit, rotated grid, no centroid", dim / 2 + 2, partial(uniform, rows, nothing, 4, rotation, own_step=True)
    yield "8 bit, colstore", dim + 6, partial(ours, rows, centroids, 8)


def all_scores(vectors: Floats, collection: Collection, queries: list[Floats]) -> list[Floats]:
    """Return the exact MaxSim of every document for each query."""
    import torch

    tokens, starts = torch.from_numpy(vectors), collection.offsets[:-1]
    values = []
    for query in queries:
        similarity = (torch.from_numpy(query) @ tokens.T).numpy()
        values.append(np.maximum.reduceat(similarity, starts, axis=1).sum(axis=0))
    return values


def best(scores: Floats, k: int) -> list[int]:
    """Return the numbers of the ``k`` best documents."""
    ranked: list[int] = np.argsort(-scores, kind="stable")[:k].tolist()
    return ranked


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", default="scifact")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    collection = load_collection(options.collection, options.dim)
    every = max(1, len(collection.queries) // options.queries)
    queries, query_ids = collection.queries[::every], collection.query_ids[::every]
    rows = unit(collection.documents)
    number = centroid_count(len(rows))
    size = min(len(rows), sample_size(number, rows.shape[1]))
    chosen = np.sort(np.random.default_rng(options.seed).choice(len(rows), size, replace=False))
    rotation = random_rotation(rows.shape[1], rows.shape[1], options.seed)
    centroids = train(rows[chosen], rotation, number, seed=options.seed, threads=2)
    print(machine(), f"\n{len(rows):,} tokens, {number:,} centroids, {len(queries)} queries, seed {options.seed}")

    truth: list[Floats] = []
    table: list[dict[str, Any]] = []
    for name, size_of_token, decoded in variants(rows, centroids):
        vectors = decoded()
        scores = all_scores(vectors, collection, queries)
        truth = truth or scores
        pairs = list(zip(scores, truth, strict=True))
        graded = [
            ndcg([collection.ids[i] for i in best(s, 10)], collection.qrels[q])
            for s, q in zip(scores, query_ids, strict=True)
        ]
        table.append(
            {
                "codes": name,
                "bytes": size_of_token,
                "mean cosine": float(np.einsum("ij,ij->i", vectors, rows).mean()),
                "recall@10": float(np.mean([recall(best(s, 10), best(t, 10)) for s, t in pairs])),
                "recall@100": float(np.mean([recall(best(s, 100), best(t, 100)) for s, t in pairs])),
                "nDCG@10": float(np.mean(graded)),
            }
        )
        print(table[-1], flush=True)
    print_table(f"{options.collection}, {options.dim} dimensions, every document scored", table)
    write_json(f"codecs-{options.collection}-{options.dim}", {"arguments": vars(options), "rows": table})


if __name__ == "__main__":
    main()
