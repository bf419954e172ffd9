"""Nearest centroids by way of cells: nearly always those that comparing with all of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.codec import nearest
from colstore.codec.nearest import FEWEST, Nearest, cell_count
from colstore.kernels import calls
from colstore.types import FloatMatrix

DIM = 32


def centroids(number: int, seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    around = generator.standard_normal((200, DIM))[generator.integers(0, 200, number)]
    return (np.clip(around * 14 + 6 * generator.standard_normal((number, DIM)), -63, 63) + 63).astype(np.uint8)


def tokens_near(values: NDArray[np.uint8], count: int) -> FloatMatrix:
    generator = np.random.default_rng(1)
    rows = values[generator.integers(0, len(values), count)].astype(np.float32) - 63
    return (rows + 4 * generator.standard_normal(rows.shape)).astype(np.float32)


def test_few_centroids_are_all_compared() -> None:
    values = centroids(FEWEST - 1)
    tokens = tokens_near(values, 100)
    codes, products = Nearest(values).with_products(tokens)
    wanted, best = calls.assign(tokens, values)
    np.testing.assert_array_equal(codes, wanted)
    np.testing.assert_array_equal(products, best)


@pytest.mark.parametrize("number", [FEWEST, 3 * FEWEST])
def test_many_centroids_miss_few_and_by_little(number: int) -> None:
    values = centroids(number)
    tokens = tokens_near(values, 3000)
    codes, products = Nearest(values).with_products(tokens)
    wanted, best = calls.assign(tokens, values)
    assert np.mean(codes == wanted) > 0.93
    np.testing.assert_array_equal(products[codes == wanted], best[codes == wanted])
    assert (products <= best).all()
    assert (best - products).mean() < 0.01 * best.mean()


def test_what_is_found_for_a_token_does_not_depend_on_the_others() -> None:
    values = centroids(FEWEST)
    tokens = tokens_near(values, 300)
    search = Nearest(values)
    together = search(tokens)
    apart = np.concatenate([search(tokens[i : i + 7]) for i in range(0, 300, 7)])
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(together, Nearest(values)(tokens))


def test_no_tokens_and_equal_centroids() -> None:
    assert len(Nearest(centroids(FEWEST))(np.zeros((0, DIM), np.float32))) == 0
    same = np.repeat(centroids(1), FEWEST, axis=0)
    assert (Nearest(same)(tokens_near(same, 50)) < FEWEST).all()


@pytest.mark.parametrize("number", [FEWEST, 5000])
def test_a_cell_lists_its_nearest_centroids_each_once_and_ascending(number: int) -> None:
    values = centroids(number)
    cells, listed = nearest._lists(values)
    assert len(cells) == cell_count(number)
    assert listed.shape == (len(cells), nearest.NEAR * len(cells))
    assert (np.diff(listed, axis=1) > 0).all()
    assert listed.min() >= 0
    assert listed.max() < number
    for cell, some in zip(cells[:5].astype(np.float64) - 63, listed, strict=False):
        directions = values - 63.0
        similarities = directions @ cell / np.linalg.norm(directions, axis=1)
        expected = np.argsort(-similarities)[: len(some)]
        assert len(set(expected.tolist()) & set(some.tolist())) > 0.95 * len(some)  # cells are rounded to bytes
