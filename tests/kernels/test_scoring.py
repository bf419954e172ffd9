"""The kernels of the scoring path against their twins and against plain float64, for any codes and ranges."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from colstore.kernels import calls, twins
from tests.kernels.cases import FLAVOURED, FLAVOURS, SHAPES, SMALL, Collection, Shape, collections, few

flavoured = pytest.mark.parametrize(("shape", "flavour"), FLAVOURED, ids=lambda value: str(value))
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def scored(made: Collection, flavour: str) -> tuple[calls.QueryPass, calls.CentroidTable]:
    query = made.prepared(flavour)
    return query, calls.scan(query, made.centroids)


@flavoured
@given(data=st.data())
@few
def test_prepare_equals_its_twin(shape: Shape, flavour: str, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    fast = made.prepared(flavour)
    slow = twins.prepare(made.query, made.rotation, shape.bits, made.centroid_scale, flavour)
    assert (fast.tokens, fast.lanes) == (slow.tokens, slow.lanes)
    np.testing.assert_allclose(fast.rotated, slow.rotated, rtol=1e-5)
    assert np.abs(twins.query_bytes(fast) - twins.query_bytes(slow)).max() <= 1
    np.testing.assert_allclose(fast.factor, slow.factor, rtol=1e-5)
    np.testing.assert_allclose(fast.norms, slow.norms, rtol=1e-4)
    size = np.abs(made.query).sum(axis=1).max(initial=0) + 1e-30
    np.testing.assert_allclose(fast.sums, slow.sums, atol=1e-5 * size)
    assert not fast.layout.reshape(-1, fast.lanes, 4)[:, fast.tokens :].any()
    whole = twins.query_bytes(fast).sum(axis=1)
    middle = (2**shape.bits - 1) / 2
    np.testing.assert_allclose(fast.bias, -middle * fast.factor * whole, rtol=1e-5)
    np.testing.assert_allclose(fast.centroid_offset, -63 * fast.centroid_factor * whole, rtol=1e-5)


@flavoured
@given(data=st.data())
@few
def test_sums_of_sixteen_bits_never_overflow(shape: Shape, flavour: str, data: st.DataObject) -> None:
    query = data.draw(collections(shape)).prepared(flavour)
    rows = twins.query_bytes(query).astype(np.int8)
    assert query.flush == twins.longest_safe_run(rows, min(2**shape.bits - 1, 15))
    pairs = twins.query_bytes(query).reshape(query.lanes, -1, 2, 2) * min(2**shape.bits - 1, 15)
    for first in range(0, pairs.shape[1], query.flush):
        block = pairs[:, first : first + query.flush]
        assert np.maximum(block, 0).sum(axis=(1, 3)).max() <= 32767
        assert np.minimum(block, 0).sum(axis=(1, 3)).min() >= -32768


@flavoured
@given(data=st.data())
@few
def test_scan_equals_its_twin(shape: Shape, flavour: str, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    query, fast = scored(made, flavour)
    slow = twins.scan(query, made.centroids)
    scale = float(np.abs(query.centroid_offset).max(initial=0)) + float(np.abs(fast.similarities).max()) + 1e-30
    np.testing.assert_allclose(fast.similarities, slow.similarities, atol=1e-6 * scale)
    np.testing.assert_array_equal(
        fast.group_best, [fast.similarities[i : i + 16].max(axis=0) for i in range(0, len(made.centroids), 16)]
    )
    assert np.abs(fast.coarse.astype(int) - slow.coarse).max() <= 1
    assert np.isfinite(fast.similarities).all()


@flavoured
@given(data=st.data())
@few
def test_score_equals_its_twin(shape: Shape, flavour: str, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    query, table = scored(made, flavour)
    arguments = (shape.bits, made.payload, made.codes, made.scales, made.starts, made.stops)
    scores, tokens = calls.score(query, table, *arguments)
    assert scores.shape == (len(made.starts),)
    assert tokens.shape == (len(made.starts), query.lanes)
    exact, largest = made.similarities(query, table)
    tolerance = 1e-5 * largest
    np.testing.assert_allclose(scores, twins.score(query, table, *arguments)[0], atol=tolerance * query.tokens)
    for d, (start, stop) in enumerate(zip(made.starts, made.stops, strict=True)):
        matched = tokens[d, : query.tokens]
        assert (matched < stop - start).all()
        best = exact[start:stop].max(axis=0)
        np.testing.assert_allclose(exact[start + matched, np.arange(query.tokens)], best, atol=tolerance)
        assert scores[d] == pytest.approx(best.sum(), abs=tolerance * query.tokens)


@shapes
@given(data=st.data())
@few
def test_refine_equals_its_twin(shape: Shape, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    query, table = scored(made, FLAVOURS[0])
    _, tokens = calls.score(query, table, shape.bits, made.payload, made.codes, made.scales, made.starts, made.stops)
    order = np.array(data.draw(st.permutations(range(len(made.starts)))), np.int64)
    arguments = (
        shape.bits,
        made.payload,
        made.codes,
        made.scales,
        made.starts[order],
        order,
        tokens,
        made.centroids,
        made.centroid_scale,
    )
    fast = calls.refine(query, *arguments)
    size = np.abs(query.rotated).sum() * (2 * 63 * made.centroid_scale + 2 * 2**shape.bits) + 1e-30
    np.testing.assert_allclose(fast, twins.refine(query, *arguments), atol=1e-6 * size)


@shapes
@given(data=st.data())
@few
def test_interact_equals_its_twin(shape: Shape, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    query, table = scored(made, FLAVOURS[0])
    fast = calls.interact(query, table, made.codes, made.starts, made.stops)
    slow = twins.interact(query, table, made.codes, made.starts, made.stops)
    np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=1e-5 * (query.norms.sum() + 1e-30))


@pytest.mark.parametrize("dim", [7, 48, 100, 128, 384, 1024])
@given(data=st.data())
@few
def test_dense_equals_its_twin(dim: int, data: st.DataObject) -> None:
    vectors = {7: 1, 48: 2, 100: 3}.get(dim, 4)
    made = data.draw(collections(Shape(dim, 8, vectors, 1), ("normal", "equal", "sparse", "signs")))
    generator = np.random.default_rng(len(made.codes))
    payload = generator.standard_normal((len(made.codes), made.shape.padded)).astype(np.float16)
    query = np.pad(made.query, ((0, 0), (0, made.shape.padded - dim)))
    scores, tokens = calls.dense(query, payload, made.starts, made.stops)
    slow, _ = twins.dense(query, payload, made.starts, made.stops)
    np.testing.assert_allclose(scores, slow, atol=1e-3 * len(query))
    exact = payload.astype(np.float64) @ query.T
    for d, (start, stop) in enumerate(zip(made.starts, made.stops, strict=True)):
        chosen = exact[start + tokens[d, : len(query)], np.arange(len(query))]
        np.testing.assert_allclose(chosen, exact[start:stop].max(axis=0), atol=1e-3)


@pytest.mark.parametrize("shape", SMALL, ids=str)
@given(data=st.data())
@few
def test_flavours_agree_to_the_last_bit(shape: Shape, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    outcomes = []
    for flavour in FLAVOURS:
        query, table = scored(made, flavour)
        scores, tokens = calls.score(
            query, table, shape.bits, made.payload, made.codes, made.scales, made.starts, made.stops
        )
        used = slice(query.tokens)
        outcomes.append((scores, tokens[:, used], table.similarities[:, used], table.coarse[:, used]))
    for other in outcomes[1:]:
        for first, second in zip(outcomes[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("shape", [Shape(128, 4, 4, 2), Shape(50, 2, 3, 4), Shape(7, 1, 1, 2)], ids=str)
@given(data=st.data())
@few
def test_a_score_does_not_depend_on_its_neighbours(shape: Shape, data: st.DataObject) -> None:
    made = data.draw(collections(shape))
    query, table = scored(made, FLAVOURS[0])

    def some(which: slice) -> tuple[NDArray[Any], ...]:
        starts, stops = made.starts[which], made.stops[which]
        scores, tokens = calls.score(query, table, shape.bits, made.payload, made.codes, made.scales, starts, stops)
        return scores, tokens, calls.interact(query, table, made.codes, starts, stops)

    whole = some(slice(None))
    alone = [slice(d, d + 1) for d in range(len(made.starts))]
    with ThreadPoolExecutor(4) as pool:  # at once, with one table
        parts = list(pool.map(some, alone))
    for piece, part in zip(alone, parts, strict=True):
        for expected, got in zip(whole, part, strict=True):
            np.testing.assert_array_equal(expected[piece], got)


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_a_document_that_resembles_nothing_keeps_its_negative_score(bits: int) -> None:
    dim, tokens = 64, 5
    query = calls.prepare(np.ones((3, dim), np.float32), np.eye(dim, dtype=np.float32), bits, 0.01)
    table = calls.scan(query, np.full((2, dim), 10, np.uint8))
    assert (table.similarities[:, :3] < 0).all()
    payload = np.zeros((tokens, dim * bits // 8), np.uint8)  # the lowest codes stand for negative values
    scales = np.ones((tokens, 2), np.float16).view(np.uint16)
    codes = np.array([0, 1, 0, 1, 0], np.uint8)
    starts, stops = np.array([0, 4], np.int64), np.array([4, 5], np.int64)
    scores, _ = calls.score(query, table, bits, payload, codes, scales, starts, stops)
    expected = 3 * (dim * 0.01 * (10 - 63) - dim * (2**bits - 1) / 2)
    np.testing.assert_allclose(scores, [expected, expected], rtol=0.01)
    assert (calls.interact(query, table, codes, starts, stops) < 0).all()


def test_dense_keeps_negative_scores() -> None:
    vectors = -np.ones((3, 8), np.float16)
    starts, stops = np.array([0, 2], np.int64), np.array([2, 3], np.int64)
    scores, _ = calls.dense(np.ones((2, 8), np.float32), vectors, starts, stops)
    assert scores.tolist() == [-16.0, -16.0]


def test_no_documents_have_no_scores() -> None:
    none = np.empty(0, np.int64)
    query = calls.prepare(np.ones((3, 64), np.float32), np.eye(64, dtype=np.float32), 4, 0.01)
    table = calls.scan(query, np.full((2, 64), 10, np.uint8))
    payload, codes = np.zeros((1, 32), np.uint8), np.zeros(1, np.uint8)
    scores, tokens = calls.score(query, table, 4, payload, codes, np.zeros((1, 2), np.uint16), none, none)
    assert scores.shape == (0,)
    assert tokens.shape == (0, query.lanes)
    assert calls.interact(query, table, codes, none, none).shape == (0,)
    assert calls.dense(np.ones((2, 8), np.float32), np.ones((1, 8), np.float16), none, none)[0].shape == (0,)


def test_half_floats_are_read_exactly() -> None:
    """Subnormals, zeros of both signs, the largest: every finite half, as a vector's component and as a scale."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    vectors = np.zeros((len(halves), 8), np.float16)
    vectors[:, 0] = halves
    starts = np.arange(len(halves), dtype=np.int64)
    scores, _ = calls.dense(np.eye(1, 8, dtype=np.float32), vectors, starts, starts + 1)
    np.testing.assert_array_equal(scores, halves.astype(np.float32))

    query = calls.prepare(np.eye(1, 32, dtype=np.float32), np.eye(32, dtype=np.float32), 1, 1.0)
    table = calls.scan(query, np.full((1, 32), 64, np.uint8))
    table.similarities[:] = 1
    scales = np.stack([halves, np.zeros_like(halves)], axis=1).view(np.uint16)
    payload = np.zeros((len(halves), 4), np.uint8)
    scores, _ = calls.score(query, table, 1, payload, np.zeros(len(halves), np.uint8), scales, starts, starts + 1)
    np.testing.assert_array_equal(scores, halves.astype(np.float32))
