"""What reranking reads: candidates' ranges, ahead and merged, and nothing unchecked."""

from __future__ import annotations

import mmap
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import colstore
from colstore.errors import CorruptIndexError
from colstore.search import segment_view as engine
from colstore.store import prefetch

RANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), min_size=1, max_size=20)


@given(RANGES, st.integers(0, 10**5))
def test_merged_ranges_cover_every_byte_once_on_whole_pages(ranges: list[tuple[int, int]], near: int) -> None:
    starts = np.array([start for start, _ in ranges], np.int64)
    stops = starts + np.array([size for _, size in ranges], np.int64)
    low, high = prefetch.merged(starts, stops, near)
    assert (low % mmap.PAGESIZE == 0).all()
    assert (low[1:] > high[:-1] + near).all()
    for start, stop in zip(starts, stops, strict=True):
        assert ((low <= start) & (stop <= high)).any()


def test_what_is_in_memory_is_not_asked_for_and_what_may_not_be_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1 << 20))
        file.flush()
        data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        starts, stops = np.array([0, 600_000]), np.array([10, 600_100])
        assert int(data.max()) == 0  # every page read
        monkeypatch.setattr(prefetch, "_in_memory", lambda *_: False)
        assert prefetch.prefetch_ranges(data, starts, stops) == 2
        monkeypatch.setattr(prefetch, "_in_memory", lambda *_: True)
        assert prefetch.prefetch_ranges(data, starts, stops) == 0
        assert prefetch.prefetch_ranges(data, starts[:0], stops[:0]) == 0
        assert prefetch.prefetch_ranges(np.zeros(10, np.uint8), starts, stops) == 0  # not a mapped file
        del data


def test_ranking_asks_for_the_candidates_rows_alone(index: colstore.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def note(_: object, low: NDArray[np.int64], high: NDArray[np.int64]) -> int:
        asked.append((low, high))
        return len(low)

    monkeypatch.setattr("colstore.store.segment_reader.prefetch_ranges", note)
    index.rerank("bees", ["d3"])
    (view,) = index._live().views
    ((low, high),) = asked
    assert len(low) == len(view.codec.token_arrays)
    rows = int(view.offsets[4] - view.offsets[3])
    assert ((high - low) <= rows * 1024).all() or not view.segment._checks.complete


def test_codes_of_a_few_candidates_are_checked_by_themselves(
    index: colstore.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = index.rerank("bees dance", ["d1", "d30", "d7"])
    monkeypatch.setattr(engine, "CHECKED_WHOLE", 0)
    with colstore.open(index.path, encoder=index.encoder) as again:
        assert again.rerank("bees dance", ["d1", "d30", "d7"]) == expected
        (view,) = again._live().views
        assert "codes" not in view.__dict__
        forged = view.segment.array("codes").copy()
        forged[int(view.offsets[8])] = np.iinfo(forged.dtype).max
        arrays = {**view.segment._arrays, "codes": forged}
        monkeypatch.setattr(view.segment, "_arrays", arrays)
        again.rerank("bees dance", ["d1", "d30"])
        with pytest.raises(CorruptIndexError, match="centroid"):
            again.rerank("bees dance", ["d1", "d8", "d7"])
