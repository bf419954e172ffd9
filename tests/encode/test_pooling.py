"""Token pooling: the library's semantics, and properties that hold for any vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colstore.encode import pool, pool_hierarchical, pool_neighbours
from colstore.encode.pooling import WINDOW, _pooled, _ward_labels
from colstore.errors import ConfigError, VectorError
from colstore.types import FloatMatrix

FACTORS = [1, 1.5, 2, 3, 4.7, 1000]


def unit(rows: int, dim: int = 8, seed: int = 0) -> FloatMatrix:
    matrix = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    unit_rows: FloatMatrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit_rows


@pytest.mark.parametrize("rows", [1, 2, 3, 17, 200])
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("protected", [0, 1, 3])
def test_hierarchical_equals_the_library(rows: int, factor: float, protected: int) -> None:
    import torch
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

    matrix = unit(rows, dim=24, seed=rows)
    library = HierarchicalTokenPooling(factor, num_protected_tokens=protected)
    expected = library.pool_one(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(pool_hierarchical(matrix, factor, protected), expected, atol=1e-6)


def test_neighbours_equal_the_obvious_loop() -> None:
    matrix = unit(23)
    found = pool_neighbours(matrix, 3, protected=2)
    runs = [list(run) for run in np.array_split(np.arange(2, 23), 7)]
    means = [matrix[run].mean(axis=0) for run in [[0], [1], *runs]]
    np.testing.assert_allclose(found, [mean / np.linalg.norm(mean) for mean in means], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 60),
    factor=st.floats(1, 9),
    protected=st.integers(0, 4),
    seed=st.integers(0, 5),
    method=st.sampled_from(["hierarchical", "neighbours"]),
)
def test_rows_are_unit_protected_come_first_and_are_as_many_as_said(
    rows: int, factor: float, protected: int, seed: int, method: Any
) -> None:
    matrix = unit(rows, seed=seed)
    found = pool(matrix, factor, method, protected=protected)
    kept = min(rows, protected)
    free = rows - kept
    assert len(found) == kept + (max(int(free // factor), 1) if free else 0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found[:kept], matrix[:kept], atol=1e-6)


@pytest.mark.parametrize("function", [pool_hierarchical, pool_neighbours])
def test_vectors_that_cancel_out_leave_the_first(function: Any) -> None:
    first = unit(1, dim=5)
    found = function(np.concatenate([first, -first]), 2, protected=0)
    np.testing.assert_allclose(found, first, atol=1e-6)


def test_equal_vectors_are_one() -> None:
    matrix = np.repeat(unit(1), 10, axis=0)
    np.testing.assert_allclose(pool_hierarchical(matrix, 2), np.repeat(unit(1), 2, axis=0), atol=1e-6)


@pytest.mark.parametrize("arguments", [(1, "hierarchical"), (3, "none")])
def test_nothing_to_pool_changes_nothing(arguments: Any) -> None:
    matrix = unit(9) * 3
    np.testing.assert_array_equal(pool(matrix, *arguments), matrix)


@pytest.mark.parametrize("factor", [0.5, 0, -1, float("nan")])
def test_a_factor_below_one(factor: float) -> None:
    for method in ("hierarchical", "neighbours", "none"):
        with pytest.raises(ConfigError, match="pool factor must be at least 1"):
            pool(unit(4), factor, method)


def test_an_unknown_method_and_a_negative_number() -> None:
    with pytest.raises(ConfigError, match="pooling must be one of"):
        pool(unit(4), 2, "kmeans")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="protected"):
        pool(unit(4), 2, protected=-1)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((3, 4)),
        np.full((3, 4), np.nan),
        np.full((3, 4), np.inf),
        np.zeros((0, 4)),
        np.ones(4),
        np.ones((4, 0)),
    ],
)
@pytest.mark.parametrize("method", ["hierarchical", "neighbours", "none"])
def test_vectors_that_are_none(matrix: Any, method: Any) -> None:
    with pytest.raises(VectorError):
        pool(matrix, 2, method)


@pytest.mark.parametrize("rows", [WINDOW, WINDOW + 1])
def test_up_to_a_window_all_tokens_are_clustered_together(rows: int) -> None:
    matrix = unit(rows)
    whole = _pooled(matrix[:1], matrix[1:], _ward_labels(matrix[1:], (rows - 1) // 2))
    assert pool_hierarchical(matrix, 2).tobytes() == whole.tobytes()


def test_long_documents_are_clustered_window_by_window() -> None:
    matrix = unit(1 + 3 * WINDOW - 1)
    found = pool_hierarchical(matrix, 3)
    assert len(found) == 1 + (3 * WINDOW - 1) // 3
    first = _ward_labels(matrix[1 : 1 + WINDOW - 1], (3 * WINDOW - 1) // 3 // 3)
    expected = _pooled(matrix[:1], matrix[1 : 1 + WINDOW - 1], first)
    assert found[: len(expected)].tobytes() == expected.tobytes()
    assert pool_hierarchical(matrix, 3).tobytes() == found.tobytes()


@pytest.mark.parametrize("factor", [1.5, 2, 700, 1_500, 100_000])
def test_the_number_of_rows_of_a_long_document_is_as_said(factor: float) -> None:
    rows = 2 * WINDOW + 77
    found = pool_hierarchical(unit(rows, dim=16), factor)
    assert len(found) == 1 + max(int((rows - 1) // factor), 1)


def test_the_memory_of_a_giant_document_is_bounded() -> None:
    import tracemalloc

    matrix = unit(8_192, dim=16)
    pool_hierarchical(matrix[:100], 2)  # imports scipy
    tracemalloc.start()
    pool_hierarchical(matrix, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
