"""Scoring 1,000 candidates: colstore's kernels against other implementations of MaxSim, on the same arrays in one run.

    pip install maxsim-cpu numkong      # each of them is measured if it is installed
    python scripts/bench_kernels.py

One thread. 1,000 documents of 76 tokens, 32 query tokens, 128 dimensions, unit vectors.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from bench_common import machine, median, print_table, timed, write_json

from colstore.codec import Centroids, make, random_rotation
from colstore.indexing.kmeans import train
from colstore.kernels import calls
from colstore.kernels.layout import padded_dim
from colstore.kernels.processor import available_flavours

DOCUMENTS, TOKENS, QUERY, DIM, CENTROIDS = 1000, 76, 32, 128, 8192


def unit(rows: Any) -> Any:
    """Return the rows normalised to length 1."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def clustered(generator: np.random.Generator) -> tuple[Any, Any]:
    """Return documents ``(tokens, dim)`` clustered around centers like real tokens, and a query near some of them."""
    centers = generator.standard_normal((2000, DIM)).astype(np.float32)
    near = centers[generator.integers(0, 2000, DOCUMENTS * TOKENS)]
    documents = unit(near + 0.6 * generator.standard_normal(near.shape).astype(np.float32)).astype(np.float32)
    query = unit(documents[: QUERY * 50 : 50] + 0.05 * generator.standard_normal((QUERY, DIM))).astype(np.float32)
    return documents, query


def ours(documents: Any, query: Any, bits: int, flavour: str, centroids: Centroids) -> tuple[Callable[[int], Any], str]:
    """Return a function that scores stored codes, from the float query to the summed maxima, and its name."""
    codec = make(bits, centroids)  # type: ignore[arg-type]  # one of Bits
    arrays = codec.encode(documents)
    starts = np.arange(DOCUMENTS, dtype=np.int64) * TOKENS
    stops = starts + TOKENS
    if bits == 16:
        return lambda _: calls.dense(query, arrays["vectors"], starts, stops)[0], "colstore float16"
    prepared = calls.prepare(query, centroids.rotation, bits, centroids.scale, flavour)
    table = calls.scan(prepared, centroids.values)
    scales = arrays["scales"].view(np.uint16)
    return (
        lambda _: calls.score(prepared, table, bits, arrays["residuals"], arrays["codes"], scales, starts, stops)[0]
    ), f"colstore {bits} bit, {flavour}"


def others(documents: Any, query: Any) -> list[tuple[str, Callable[[int], Any]]]:
    """Return the names and functions of the other implementations that are installed."""
    scorers: list[tuple[str, Callable[[int], Any]]] = []
    cubes = documents.reshape(DOCUMENTS, TOKENS, DIM)
    try:
        import torch

        torch.set_num_threads(1)
        flat, query_tensor = torch.from_numpy(documents), torch.from_numpy(query)
        for kind in ("float32", "bfloat16"):
            a, b = flat.to(getattr(torch, kind)), query_tensor.to(getattr(torch, kind))
            scorers.append((f"torch {kind} matmul + max", _by_torch(a, b)))
    except ImportError:
        pass
    try:
        import maxsim_cpu

        scorers.append(("maxsim-cpu float32", lambda _: maxsim_cpu.maxsim_scores(query, cubes)))
    except ImportError:
        pass
    try:
        import numkong

        packed = numkong.dots_pack(documents)
        scorers.append(
            (
                "numkong float32 dots_packed + max",
                lambda _: (
                    np.asarray(numkong.dots_packed(query, packed)).reshape(QUERY, DOCUMENTS, TOKENS).max(2).sum(0)
                ),
            )
        )
    except (ImportError, AttributeError, TypeError):
        pass
    return scorers


def _by_torch(documents: Any, query: Any) -> Callable[[int], Any]:
    return lambda _: (documents @ query.T).float().view(DOCUMENTS, TOKENS, QUERY).amax(1).sum(1).numpy()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    generator = np.random.default_rng(0)
    documents, query = clustered(generator)
    truth = (documents @ query.T).reshape(DOCUMENTS, TOKENS, QUERY).max(1).sum(1)
    work = others(documents, query)
    sample = documents[generator.permutation(len(documents))]
    for bits in (16, 8, 4, 2, 1):
        rotation = random_rotation(DIM, padded_dim(DIM, bits), 0)
        centroids = train(sample, rotation, CENTROIDS, seed=0, threads=2)
        for flavour in available_flavours() if bits < 16 else ("",):
            run, name = ours(documents, query, bits, flavour, centroids)
            work.append((name, run))
    times: dict[str, list[float]] = {name: [] for name, _ in work}
    results = {name: np.asarray(run(0)) for name, run in work}
    for _ in range(arguments.rounds):  # interleaved, so that noise affects all of them
        for name, run in work:
            times[name] += timed(run, [0])[1]
    base = next(
        (median(v) for k, v in times.items() if k.startswith("maxsim-cpu")),
        median(times["torch float32 matmul + max"]),
    )
    rows = [
        {
            "scorer": name,
            "ms": median(times[name]),
            "min ms": min(times[name]),
            "ns/token": 1e6 * median(times[name]) / len(documents),
            "x maxsim-cpu": base / median(times[name]),
            "mean error": float(np.abs(results[name] - truth).mean()),
            "top-10 kept": len(set(np.argsort(-results[name])[:10]) & set(np.argsort(-truth)[:10])) / 10,
        }
        for name, _ in work
    ]
    print(machine(), "\nseed 0")
    print_table(
        f"MaxSim of {DOCUMENTS:,} documents of {TOKENS} tokens with {QUERY} query tokens, {DIM} dimensions",
        rows,
    )
    write_json("kernels", {"arguments": vars(arguments), "rows": rows})


if __name__ == "__main__":
    main()
