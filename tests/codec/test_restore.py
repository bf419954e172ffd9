"""Codecs from stored arrays: what does not fit together is a named error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.codec import Centroids, ResidualCodec, make, random_rotation, restore
from colstore.codec.base import to_arrays
from colstore.errors import ConfigError, CorruptIndexError
from colstore.types import Json

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def stored() -> tuple[Arrays, dict[str, Any]]:
    values = np.random.default_rng(0).integers(0, 127, (9, 32), dtype=np.uint8)
    arrays, attributes = to_arrays(make(4, Centroids(random_rotation(30, 32, seed=0), values, 0.01)))
    return arrays, dict(attributes)


@pytest.mark.parametrize("name", ["rotation", "centroids", "bits", "centroid_scale"])
def test_what_is_missing_is_named(stored: tuple[Arrays, dict[str, Any]], name: str) -> None:
    arrays, attributes = stored
    arrays.pop(name, None)
    attributes.pop(name, None)
    with pytest.raises(CorruptIndexError, match=name):
        restore(arrays, attributes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bits", 3),
        ("bits", 4.0),
        ("bits", True),
        ("bits", "4"),
        ("bits", None),
        ("bits", [4]),
        ("centroid_scale", 0.0),
        ("centroid_scale", -1.0),
        ("centroid_scale", float("nan")),
        ("centroid_scale", float("inf")),
        ("centroid_scale", 1),
        ("centroid_scale", None),
    ],
)
def test_forged_attributes_are_refused(stored: tuple[Arrays, dict[str, Any]], name: str, value: Json) -> None:
    arrays, attributes = stored
    with pytest.raises(CorruptIndexError):
        restore(arrays, {**attributes, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation", np.eye(32, dtype=np.float64)),
        ("rotation", np.full((32, 32), np.nan, np.float32)),
        ("rotation", np.eye(33, 32, dtype=np.float32)),
        ("rotation", np.eye(32, 40, dtype=np.float32)),
        ("rotation", np.zeros(32, np.float32)),
        ("centroids", np.zeros((9, 32), np.int8)),
        ("centroids", np.full((9, 32), 127, np.uint8)),
        ("centroids", np.zeros((9, 31), np.uint8)),
        ("centroids", np.zeros((0, 32), np.uint8)),
        ("centroids", np.zeros(32, np.uint8)),
    ],
)
def test_forged_arrays_are_refused(stored: tuple[Arrays, dict[str, Any]], name: str, value: NDArray[Any]) -> None:
    arrays, attributes = stored
    with pytest.raises(CorruptIndexError):
        restore({**arrays, name: value}, attributes)


def test_a_width_that_the_bits_do_not_fill_is_refused(stored: tuple[Arrays, dict[str, Any]]) -> None:
    """Kernels read whole groups of planes: a narrower row would be read past its end."""
    centroids = Centroids(random_rotation(40, 40, seed=0), np.zeros((2, 40), np.uint8), 0.1)
    with pytest.raises(ConfigError, match="64 wide, got 40"):
        ResidualCodec(1, centroids)
    arrays, attributes = to_arrays(make(4, centroids))
    with pytest.raises(CorruptIndexError, match="does not fit together"):
        restore(arrays, {**attributes, "bits": 1})


def test_arrays_need_not_be_contiguous(stored: tuple[Arrays, dict[str, Any]]) -> None:
    arrays, attributes = stored
    vectors = np.eye(3, 30, dtype=np.float32)
    expected = restore(arrays, attributes).encode(vectors)
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    for name, array in restore(turned, attributes).encode(vectors).items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(("dim", "padded"), [(1, 8), (50, 56), (128, 128), (100, 128)])
def test_rotations_are_orthonormal_and_belong_to_their_seed(dim: int, padded: int) -> None:
    rotation = random_rotation(dim, padded, seed=1)
    assert rotation.shape == (dim, padded)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(dim), atol=1e-5)
    np.testing.assert_array_equal(rotation, random_rotation(dim, padded, seed=1))
    assert not np.allclose(rotation, random_rotation(dim, padded, seed=2))


@pytest.mark.parametrize(("number", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")])
def test_codes_take_the_narrowest_type(number: int, dtype: str) -> None:
    centroids = Centroids(random_rotation(8, 8, seed=0), np.zeros((number, 8), np.uint8), 0.1)
    assert centroids.code_dtype == np.dtype(f"<{dtype}")
