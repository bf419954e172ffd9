"""Ten thousand small adds (or a few hundred, where time is short) leave few segments, and nothing is lost.

How quickly such an index searches, beside one that was built at once, is what ``scripts/bench_updates.py`` measures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore import Document
from colstore.store import generations
from colstore.types import FloatMatrix
from colstore.updating import merge_policy as policy
from colstore.updating import retention

DIM, TOKENS = 32, 8


def matrices(count: int) -> list[FloatMatrix]:
    """Return documents that share some structure, as texts do: noisy copies of 200 directions."""
    random = np.random.default_rng(0)
    topics = random.standard_normal((200, DIM))
    made = topics[random.integers(200, size=(count, TOKENS))] + 0.6 * random.standard_normal((count, TOKENS, DIM))
    unit: FloatMatrix = (made / np.linalg.norm(made, axis=2, keepdims=True)).astype(np.float32)
    return list(unit)


def most_segments(tokens: int) -> int:
    return (policy.FANOUT - 1) * (1 + policy.tier(tokens))


def grow_one_by_one(path: Path, first: int, adds: int) -> None:
    """Add documents to an index, each in a call of its own, and look at what they leave, again and again."""
    rows = matrices(first + adds)
    index = colstore.build_from_vectors(path, [f"d{i}" for i in range(first)], rows[:first])
    for number in range(first, first + adds):
        report = index.add([Document(id=f"d{number}", vectors=rows[number])])
        assert report.segments <= most_segments((number + 1) * TOKENS)
    assert len(index) == first + adds
    most = retention.KEEP_MOST + retention.SLACK
    assert len(generations(path)) <= most
    assert sum(1 for file in path.rglob("*") if file.is_file()) < 10 * most
    for number in range(0, first + adds, (first + adds) // 50):
        assert index.search(rows[number], k=1)[0].id == f"d{number}"
    assert index.verify("deep").ok


def test_hundreds_of_adds_leave_few_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "FLOOR_TOKENS", 256)  # so that a few documents fill several tiers
    grow_one_by_one(tmp_path / "x.colstore", first=50, adds=120)


@pytest.mark.slow
def test_ten_thousand_adds_leave_few_segments(tmp_path: Path) -> None:
    grow_one_by_one(tmp_path / "x.colstore", first=20_000, adds=10_000)


def test_the_bound_on_segments_is_the_documented_one() -> None:
    assert most_segments(4_000) == 2
    assert most_segments(10_000) == 4
    assert most_segments(1_000_000) == 8
