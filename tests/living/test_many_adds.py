"""Ten thousand small adds (or a few hundred, where time is short) leave an index as quick as one built at once."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

import colstore
from colstore import Document
from colstore.living import policy
from colstore.store import generations
from colstore.types import FloatMatrix

DIM, TOKENS = 32, 8


def matrices(count: int) -> list[FloatMatrix]:
    """Return documents that share some structure, as texts do: noisy copies of 200 directions."""
    random = np.random.default_rng(0)
    topics = random.standard_normal((200, DIM))
    made = topics[random.integers(200, size=(count, TOKENS))] + 0.6 * random.standard_normal((count, TOKENS, DIM))
    unit: FloatMatrix = (made / np.linalg.norm(made, axis=2, keepdims=True)).astype(np.float32)
    return list(unit)


def milliseconds(indexes: list[colstore.Index], queries: list[FloatMatrix]) -> list[float]:
    """Return each index's median over queries of the best of five; the indexes take turns, so that noise hits all."""
    best = np.full((len(indexes), len(queries)), np.inf)
    for _ in range(5):
        for n, query in enumerate(queries):
            for i, index in enumerate(indexes):
                start = perf_counter()
                index.search(query)
                best[i, n] = min(best[i, n], perf_counter() - start)
    return [1000 * float(value) for value in np.median(best, axis=1)]


def grow(tmp_path: Path, first: int, adds: int, each: int) -> tuple[colstore.Index, list[FloatMatrix]]:
    rows = matrices(first + adds * each)
    index = colstore.build_from_vectors(tmp_path / "grown", [f"d{i}" for i in range(first)], rows[:first])
    for start in range(first, len(rows), each):
        index.add([Document(id=f"d{i}", vectors=rows[i]) for i in range(start, start + each)])
    return index, rows


def most_segments(tokens: int) -> int:
    return (policy.FANOUT - 1) * (1 + policy.tier(tokens))


def test_hundreds_of_adds_leave_few_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "FLOOR_TOKENS", 64)  # eight documents, so that several tiers fill
    index, rows = grow(tmp_path, first=50, adds=120, each=1)
    info = index.info()
    assert (info.documents, info.segments <= most_segments(info.tokens)) == (170, True)
    assert len(generations(index.path)) <= 48
    assert sum(1 for file in index.path.rglob("*") if file.is_file()) < 48 * 10
    for i in (0, 60, 169):
        assert index.search(rows[i], k=1)[0].id == f"d{i}"
    assert index.verify("deep").ok


@pytest.mark.slow
def test_a_thousand_adds_search_as_quickly_as_a_fresh_build(tmp_path: Path) -> None:
    index, rows = grow(tmp_path, first=20_000, adds=1_000, each=1)
    info = index.info()
    assert info.segments <= most_segments(info.tokens)
    fresh = colstore.build_from_vectors(
        tmp_path / "fresh", [f"d{i}" for i in range(len(rows))], rows, centroids=info.centroids
    )
    queries = [rows[i] for i in range(0, len(rows), len(rows) // 50)]
    grown_ms, fresh_ms = milliseconds([index, fresh], queries)
    assert grown_ms <= 1.3 * fresh_ms, (grown_ms, fresh_ms, info.segments)
    assert index.verify("deep").ok


def test_the_bound_on_segments_is_the_documented_one() -> None:
    assert most_segments(10_000) == 2
    assert most_segments(1_000_000) == 6
