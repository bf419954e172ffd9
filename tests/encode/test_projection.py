"""Principal axes of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from colstore.encode import (
    FakeEncoder,
    ProjectedEncoder,
    Projection,
    fit_projection,
    fit_projection_from_texts,
)
from colstore.errors import ConfigError, VectorError
from colstore.types import FloatMatrix


def sample(rows: int = 300, dim: int = 12, seed: int = 0) -> FloatMatrix:
    generator = np.random.default_rng(seed)
    matrix = (
        generator.normal(size=(rows, dim))
        * np.geomspace(4, 0.01, dim)
        @ np.linalg.qr(generator.normal(size=(dim, dim)))[0]
    )
    unit_rows: FloatMatrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return unit_rows


def test_axes_are_the_leading_right_singular_vectors() -> None:
    matrix = sample()
    projection = fit_projection(matrix, 5)
    _, values, axes = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(projection.axes.T @ axes[:5].T), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(projection.shares, values[:5] ** 2 / (values**2).sum(), rtol=1e-4)


def test_signs_do_not_depend_on_the_order_of_the_sample() -> None:
    matrix = sample()
    np.testing.assert_allclose(fit_projection(matrix, 4).axes, fit_projection(matrix[::-1], 4).axes, atol=1e-4)
    axes = fit_projection(matrix, 4).axes
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(4)] > 0).all()


def test_all_axes_keep_every_inner_product() -> None:
    matrix = sample(40)
    found = fit_projection(matrix, 12).apply(matrix)
    np.testing.assert_allclose(found @ found.T, matrix @ matrix.T, atol=1e-5)


def test_rows_have_length_one() -> None:
    found = fit_projection(sample(), 3).apply(sample(50, seed=1))
    assert found.dtype == np.float32
    assert found.shape == (50, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)


def test_arrays_and_back() -> None:
    projection = fit_projection(sample(), 3)
    again = Projection.from_arrays(projection.to_arrays())
    np.testing.assert_array_equal(again.axes, projection.axes)
    np.testing.assert_array_equal(again.shares, projection.shares)
    assert again.fingerprint == projection.fingerprint
    assert fit_projection(sample(seed=1), 3).fingerprint != projection.fingerprint


def test_from_texts_sees_the_same_as_from_their_vectors() -> None:
    encoder = FakeEncoder(dim=10)
    texts = [f"word{number} and word{number % 7}" for number in range(600)]  # more than one chunk
    vectors = np.concatenate([text.vectors for text in encoder.encode_documents(texts)])
    found = fit_projection_from_texts(encoder, iter(texts), 4)
    np.testing.assert_allclose(found.axes, fit_projection(vectors, 4).axes, atol=1e-4)


def test_projected_encoder_applies_it_to_both_sides() -> None:
    encoder = FakeEncoder(dim=10, max_tokens=2)
    projection = fit_projection_from_texts(encoder, ["some words to fit on"], 4)
    projected = ProjectedEncoder(encoder, projection)
    query = projected.encode_queries(["some words"])[0]
    np.testing.assert_array_equal(query, projection.apply(encoder.encode_queries(["some words"])[0]))
    document = projected.encode_documents(["some words more"])[0]
    np.testing.assert_array_equal(document.vectors, query)
    assert document.truncated
    settings = projected.settings
    assert (settings["kind"], settings["dim"]) == ("fake", 4)
    assert settings["projection"] == {
        "dim_in": 10,
        "dim": 4,
        "share": pytest.approx(1.0, abs=1e-5),
        "fingerprint": projection.fingerprint,
    }


@pytest.mark.parametrize("dim", [0, -1, 13])
def test_a_dimension_that_cannot_be(dim: int) -> None:
    with pytest.raises(ConfigError, match=r"dim must lie in 1\.\.12"):
        fit_projection(sample(), dim)
    with pytest.raises(ConfigError, match=r"dim must lie in 1\.\.12"):
        fit_projection_from_texts(FakeEncoder(dim=12), ["never encoded"], dim)


@pytest.mark.parametrize(
    "matrix", [np.zeros((0, 4)), np.zeros((3, 4)), np.full((3, 4), np.nan), np.ones(4), np.ones((4, 0))]
)
def test_a_sample_without_axes(matrix: Any) -> None:
    with pytest.raises(VectorError):
        fit_projection(matrix, 2)


def test_no_texts_are_an_empty_sample() -> None:
    with pytest.raises(VectorError, match="the sample is empty"):
        fit_projection_from_texts(FakeEncoder(dim=4), [], 2)


def test_rows_without_a_direction() -> None:
    projection = Projection(np.eye(4, 2, dtype=np.float32), np.array([0.5, 0.5]))
    for row in ([0, 0, 1, 0], [0, 0, 0, 0], [np.nan, 0, 0, 0], [np.inf, 0, 0, 0]):
        with pytest.raises(VectorError, match="row 1 has no direction left"):
            projection.apply(np.array([[1, 0, 0, 0], row], dtype=np.float32))
    with pytest.raises(VectorError, match=r"shape \(n, 4\)"):
        projection.apply(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"axes": np.eye(3, dtype=np.float32)}, "'shares' is missing"),
        ({"axes": np.eye(3), "shares": np.ones(3)}, "must be float32"),
        ({"axes": np.eye(2, 3, dtype=np.float32), "shares": np.ones(3)}, "must be float32"),
        ({"axes": np.eye(3, dtype=np.float32), "shares": np.ones(2)}, "3 finite numbers"),
        ({"axes": np.eye(3, dtype=np.float32), "shares": np.full(3, np.nan)}, "3 finite numbers"),
        ({"axes": np.ones((3, 2), dtype=np.float32), "shares": np.ones(2)}, "orthonormal"),
        ({"axes": np.full((3, 2), np.nan, dtype=np.float32), "shares": np.ones(2)}, "orthonormal"),
    ],
)
def test_arrays_that_are_no_projection(arrays: Any, message: str) -> None:
    with pytest.raises(VectorError, match=message):
        Projection.from_arrays(arrays)


def test_an_encoder_of_another_dimension() -> None:
    with pytest.raises(VectorError, match="takes 12 dimensions, the encoder gives 10"):
        ProjectedEncoder(FakeEncoder(dim=10), fit_projection(sample(), 2))
