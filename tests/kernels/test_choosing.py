"""The kernels that choose: centroids for a lane, documents for a query, the largest of many values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.kernels import calls, twins
from colstore.kernels.arrays import CentroidTable, Probes, QueryPass
from tests.kernels.cases import FLAVOURS, few

finite = st.floats(-100, 100, width=32)


def query_of(tokens: int) -> QueryPass:
    return calls.prepare(np.ones((tokens, 8), np.float32), np.eye(8, dtype=np.float32), 8, 0.01, FLAVOURS[0])


def table_of(similarities: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> CentroidTable:
    best = [similarities[i : i + 16].max(axis=0) for i in range(0, len(similarities), 16)]
    return CentroidTable(similarities, similarities.astype(np.int8), np.array(best, np.float32))


@pytest.mark.parametrize("tokens", [1, 9, 22, 32])
@given(data=st.data())
@few
def test_probe_equals_its_twin(tokens: int, data: st.DataObject) -> None:
    query = query_of(tokens)
    count = data.draw(st.sampled_from([1, 2, 15, 16, 17, 100, 1000]))
    levels = data.draw(st.sampled_from([1, 2, 5, 100_000]))  # few levels: many ties
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = (generator.integers(0, levels, (count, query.lanes)) - levels // 2).astype(np.float32)
    wanted = data.draw(st.sampled_from([1, 2, 7, 20, 64, 2000]))
    fast, slow = calls.probe(query, table_of(values), wanted), twins.probe(query, table_of(values), wanted)
    used = slice(tokens)
    np.testing.assert_array_equal(fast.counts, slow.counts)
    np.testing.assert_array_equal(fast.centroids[used], slow.centroids[used])
    np.testing.assert_array_equal(fast.values[used], slow.values[used])


def test_probe_breaks_ties_by_the_number_of_the_centroid() -> None:
    query = query_of(1)
    probes = calls.probe(query, table_of(np.zeros((50, query.lanes), np.float32)), 4)
    assert probes.centroids[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("posting_type", ["<u2", "<u4"])
@given(data=st.data())
@few
def test_gather_equals_its_twin(posting_type: str, data: st.DataObject) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    documents, centroids = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 30))
    lists = [np.flatnonzero(generator.random(documents) < 0.2) for _ in range(centroids)]
    offsets = np.cumsum([0, *(len(part) for part in lists)]).astype(np.uint32)
    postings = np.concatenate(lists).astype(posting_type)
    query = query_of(data.draw(st.integers(1, 32)))
    table = table_of(generator.integers(-5, 5, (centroids, query.lanes)).astype(np.float32))
    probes = calls.probe(query, table, data.draw(st.integers(1, centroids)))
    stamps, totals = np.zeros((2, documents), np.uint32), np.zeros((2, documents), np.float32)
    for base in (0, 32):  # a second query finds the stamps of the first
        fast = calls.gather(probes, query.tokens, offsets, postings, stamps[0], base, totals[0])
        slow = twins.gather(probes, query.tokens, offsets, postings, stamps[1], base, totals[1])
        np.testing.assert_array_equal(np.sort(fast), slow)
        np.testing.assert_array_equal(totals[0][slow], totals[1][slow])
        np.testing.assert_array_equal(stamps[0], stamps[1])


def test_gather_takes_the_best_centroid_of_each_lane() -> None:
    chosen = np.array([[1, 0], [0, 1]], np.int32)
    values = np.array([[5, 3], [4, 4]], np.float32)
    probes = Probes(chosen, values, np.array([2, 2], np.int32))
    offsets, postings = np.array([0, 2, 3], np.uint32), np.array([0, 1, 1], np.uint16)
    stamps, totals = np.zeros(3, np.uint32), np.zeros(3, np.float32)
    found = calls.gather(probes, 2, offsets, postings, stamps, 0, totals)
    assert sorted(found.tolist()) == [0, 1]
    assert totals.tolist() == [0, 2, 0]  # thresholds are 3 and 4: only document 1 gains, 5 - 3


@given(
    values=st.lists(finite, max_size=200) | st.integers(0, 200).map(lambda n: [1.5] * n),
    wanted=st.integers(1, 50),
)
@few
def test_select_keeps_the_largest(values: list[float], wanted: int) -> None:
    array = np.array(values, np.float32)
    kept = calls.select(array, wanted)
    assert len(kept) == min(wanted, len(array))
    assert (np.diff(kept) > 0).all()
    if len(array):
        bin_width = (array.max() - array.min()) / 1023
        exact = array[twins.select(array, wanted)].min()
        assert array[kept].min() >= exact - 1.01 * bin_width


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1e-45, 0.0, 3e-45],
        [1.0, np.nextafter(np.float32(1), np.float32(2)), 1.0, 1.0],
        [-3e38, 3e38, 0.0, 1.0],
        [-0.0, 0.0, -0.0, 0.0],
        [7.0] * 4,
    ],
)
def test_select_stays_in_bounds_for_extreme_values(values: list[float]) -> None:
    kept = calls.select(np.array(values, np.float32), 2)
    assert len(set(kept.tolist())) == 2
    assert set(kept.tolist()) <= {0, 1, 2, 3}


def test_select_sorts_out_well_separated_values_exactly() -> None:
    array = np.random.default_rng(0).permutation(1000).astype(np.float32)
    np.testing.assert_array_equal(calls.select(array, 100), twins.select(array, 100))
