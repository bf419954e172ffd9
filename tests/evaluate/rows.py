"""Rows of a comparison with figures of our choosing."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np

from colstore.evaluate import Comparison, Coverage, Latency, Row, advise, bootstrap_interval
from colstore.evaluate.comparison import Family
from colstore.evaluate.machine import machine

MEASURES = ("nDCG@10", "MRR@10", "MAP", "recall@100", "success@5")


def make_row(
    key: str,
    ndcg: float,
    ms: float,
    size: float,
    family: Family = "late interaction",
    *,
    queries: int = 100,
    spread: float = 0.02,
    **rest: Any,
) -> Row:
    """Return a row whose nDCG@10 has this mean, and differs from that of other rows by noise of its own."""
    noise = np.random.default_rng(hash_of(key)).normal(0, spread, queries)
    values = np.random.default_rng(1).uniform(-0.2, 0.2, queries) + noise
    values += ndcg - values.mean()
    intervals = {name: bootstrap_interval(values, samples=200) for name in MEASURES}
    return Row(
        key=key,
        label=rest.pop("label", key),
        family=family,
        values=dict.fromkeys(MEASURES, values),
        intervals=intervals,
        latency=Latency(ms, 2 * ms, ms / 2),
        build_seconds=1.0,
        encode_seconds=2.0,
        bytes_per_document=size,
        **rest,
    )


def hash_of(key: str) -> int:
    return zlib.crc32(key.encode())


def full() -> list[Row]:
    """Return one row of every kind, as they came out on a real collection."""
    return [
        make_row("bm25", 0.60, 0.3, 1_900, "words", label="BM25"),
        make_row("mean", 0.62, 6.5, 1_536, "one vector", label="one vector"),
        make_row("exact", 0.705, 300, 368_000, label="MaxSim float32", yardstick=True),
        make_row("16-bit", 0.705, 60, 190_000, label="MaxSim 16 bits"),
        make_row("8-bit", 0.705, 9.0, 98_000, label="MaxSim 8 bits"),
        make_row("4-bit", 0.704, 8.5, 51_000, label="MaxSim 4 bits"),
        make_row("2-bit", 0.701, 8.4, 28_000, label="MaxSim 2 bits"),
        make_row("1-bit", 0.67, 8.3, 17_000, label="MaxSim 1 bit"),
        make_row("pool-2", 0.703, 8.0, 26_500, "pooled", label="MaxSim 4 bits, pooled 2"),
        make_row("pool-3", 0.69, 7.8, 18_500, "pooled", label="MaxSim 4 bits, pooled 3"),
        make_row("bm25-maxsim", 0.695, 7.2, 53_000, "words, then vectors", label="BM25, then MaxSim"),
        make_row(
            "cross-always", 0.76, 400, 51_000, "cross-encoder", label="cross-encoder, always", pairs=20.0, base="4-bit"
        ),
        make_row(
            "cross-uncertain",
            0.757,
            150,
            51_000,
            "cross-encoder",
            label="cross-encoder, uncertain",
            pairs=8.0,
            base="4-bit",
        ),
    ]


@cache
def comparison() -> Comparison:
    """Return a comparison of the rows above."""
    return compared(full())


def compared(rows: list[Row]) -> Comparison:
    """Return a comparison of these rows."""
    settings = {
        "model": "a <model> & more",
        "bi_encoder": None,
        "cross_encoder": "simulated",
        "k": 100,
        "candidates": 100,
        "read": 20,
        "main_bits": 4,
        "seed": 0,
        "confidence": 0.95,
        "samples": 10_000,
        "machine": machine(),
    }
    queries = tuple(f"q{i}" for i in range(len(rows[0].values["nDCG@10"])))
    coverage = Coverage(len(queries), unanswered=1)
    notes = ["one thing <was> left out"]
    return Comparison(rows, queries, 5183, 1_242_252, 384, coverage, settings, notes, advise(rows))
