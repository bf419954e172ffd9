"""Drift is measured when documents are added, survives merges, and is reported when it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Document
from colstore.snapshot.info import DRIFT_LIMIT

DIM = 32


def near(axes: Any, count: int, seed: int) -> Any:
    """Return unit vectors close to a few directions."""
    random = np.random.default_rng(seed)
    rows = axes[random.integers(len(axes), size=count)] + 0.1 * random.standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of 40,000 tokens around the first sixteen axes."""
    path = tmp_path_factory.mktemp("drift") / "x"
    axes = np.eye(DIM)[:16]
    matrices = [near(axes, 100, i) for i in range(400)]
    colstore.build_from_vectors(path, [f"d{i}" for i in range(400)], matrices).close()
    return path


def copy_of(source: Path, tmp_path: Path) -> colstore.Index:
    import shutil

    shutil.copytree(source, tmp_path / "x")
    return colstore.open(tmp_path / "x")


def test_nothing_added_no_drift(clustered: Path) -> None:
    with colstore.open(clustered) as index:
        info = index.info()
    assert (info.drift, info.advice) == (None, ())


def test_documents_of_the_same_kind_are_no_drift(clustered: Path, tmp_path: Path) -> None:
    index = copy_of(clustered, tmp_path)
    axes = np.eye(DIM)[:16]
    report = index.add([Document(id=f"n{i}", vectors=near(axes, 100, 1000 + i)) for i in range(40)])
    drift = index.info().drift
    assert drift is not None
    assert 0.8 < drift < DRIFT_LIMIT
    assert report.advice == []


def test_documents_of_another_kind_are_reported_and_retraining_helps(clustered: Path, tmp_path: Path) -> None:
    index = copy_of(clustered, tmp_path)
    axes = np.eye(DIM)[16:]
    report = index.add([Document(id=f"n{i}", vectors=near(axes, 100, 2000 + i)) for i in range(60)])
    drift = index.info().drift
    assert drift is not None
    assert drift > DRIFT_LIMIT
    assert len(report.advice) == 1
    assert "compact(retrain=True)" in report.advice[0]
    assert index.info().advice == tuple(report.advice)
    index.compact()  # merging must not lose the measure
    merged = index.info().drift
    assert merged is not None
    assert merged == pytest.approx(drift, rel=0.01)
    after = index.compact(retrain=True)
    assert (after.advice, index.info().drift) == ([], None)


def test_too_few_centroids_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.updating.add.RETRAIN_UP_TO", 0)  # where an addition does not train by itself
    index = colstore.build_from_vectors(tmp_path / "x", ["a"], [near(np.eye(DIM), 40, 0)])
    report = index.add([Document(id=f"n{i}", vectors=near(np.eye(DIM), 400, i)) for i in range(90)])
    assert any("centroids are few" in text for text in report.advice)
    assert index.compact(retrain=True).advice == []
