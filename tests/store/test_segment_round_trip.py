"""What goes into a segment comes out of it."""

from __future__ import annotations

import json
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colstore.errors import (
    ColstoreError,
    ConfigError,
    CorpusError,
    DuplicateIdError,
    StorageError,
    VectorError,
)
from colstore.store import Segment, SegmentEntry, SegmentWriter, hdf5
from colstore.store.format import TEXT_BLOCK_BYTES

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
documents = st.lists(
    st.tuples(
        texts | st.sampled_from(["", " ", "🦋", "a" * 3000, "\x00", "\x00\x00", "ﬁ", "../x"]),
        st.integers(0, 5),
        texts,
        texts,
        st.dictionaries(texts, json_values, max_size=3),
    ),
    max_size=80,
    unique_by=lambda document: document[0],
)


@settings(max_examples=60, deadline=None)
@given(documents, st.integers(1, 40))
def test_everything_comes_back(make_segment: Any, rows: list[Any], batch: int) -> None:
    ids, counts = [row[0] for row in rows], [row[1] for row in rows]
    records = [(title, text, metadata) for _, _, title, text, metadata in rows]
    with tempfile.TemporaryDirectory() as folder:
        entry = make_segment(Path(folder), "x-1", ids, counts, records, batch=batch)
        segment = Segment.open(Path(folder), SegmentEntry.from_json(entry.to_json()))
        assert segment.ids.all() == ids
        assert [segment.ids[i] for i in range(len(ids))] == ids
        assert segment.ids.find_many(ids).tolist() == list(range(len(ids)))
        assert [ids[i] for i in segment.rows("id_order")] == sorted(ids, key=str.encode)
        assert np.diff(segment.rows("doc_offsets").astype(int)).tolist() == counts
        assert [segment.title_and_text(i) for i in range(len(ids))] == [(title, text) for title, text, _ in records]
        assert [segment.metadata(i) for i in range(len(ids))] == [metadata for _, _, metadata in records]
        assert list(segment.iter_metadata()) == [metadata for _, _, metadata in records]
        assert ("metadata" in segment.names) == any(metadata for _, _, metadata in records)
        segment.close()


def test_payload_comes_back_bit_for_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    counts = random.integers(0, 90, 3000)
    tokens = int(counts.sum())
    arrays: dict[str, NDArray[Any]] = {
        "residuals": random.integers(0, 256, (tokens, 33), dtype=np.uint8),
        "codes": random.integers(0, 2**16, tokens, dtype=np.uint16),
        "scales": random.random((tokens, 2)).astype(np.float16),
    }
    kinds = {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}
    ends = np.cumsum(counts)
    with SegmentWriter(tmp_path, "000001", kinds, store_texts=False) as writer:
        for i in range(0, 3000, 500):
            part = slice(ends[i] - counts[i], ends[i + 499])
            ids = [f"d{j}" for j in range(i, i + 500)]
            writer.append(ids, counts[i : i + 500], {name: array[part] for name, array in arrays.items()})
        assert (writer.documents, writer.tokens) == (3000, tokens)
        entry = writer.seal({"postings": np.arange(7, dtype=np.uint16), "odd": np.zeros((0, 3), np.float32)})
    segment = Segment.open(tmp_path, entry)
    for name, array in arrays.items():
        np.testing.assert_array_equal(segment.rows(name), array)
        assert not segment.array(name).flags.writeable
    assert segment.rows("postings").tolist() == list(range(7))
    assert segment.rows("odd").shape == (0, 3)
    assert not segment.has_texts
    assert segment.title_and_text(5) is None
    assert segment.metadata(5) == {}
    assert list(segment.iter_metadata()) == [{}] * 3000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.h5", "000001.sums"]


def test_equal_input_gives_equal_bytes_however_it_is_cut(tmp_path: Path, make_segment: Any) -> None:
    ids = [f"d{i}" for i in range(100)]
    one = make_segment(tmp_path / "one", ids=ids, batch=100)
    two = make_segment(tmp_path / "two", ids=ids, batch=1)
    assert one == two
    assert (tmp_path / "one/000001.h5").read_bytes() == (tmp_path / "two/000001.h5").read_bytes()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0, 10, 500, 4000, 8170, 8192, 9000, 30_000]), min_size=1, max_size=40))
def test_blocks_of_texts_are_filled_up_to_their_size(make_segment: Any, sizes: list[int]) -> None:
    """Each block is within the limit, or holds one document; and none could have taken the next document, too."""
    ids = [str(number) for number in range(len(sizes))]
    records = [("", "é" * (size // 2), {"note": "x" * size}) for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment.open(Path(folder), make_segment(Path(folder), "x", ids=ids, records=records))
        for name in ("texts", "metadata"):
            first, packed = segment.rows(f"{name}_documents"), segment.rows(f"{name}_sizes")
            assert segment.rows(f"{name}_blocks").dtype.str == "<u8"
            for block, (start, stop) in enumerate(pairwise(first.tolist())):
                assert packed[block] <= TEXT_BLOCK_BYTES or stop - start == 1
                if stop < len(ids):
                    value = ["", records[stop][1]] if name == "texts" else records[stop][2]
                    more = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) + 1
                    assert packed[block] + more > TEXT_BLOCK_BYTES
        assert [segment.title_and_text(i) for i in reversed(range(len(ids)))] == [
            (t, x) for t, x, _ in reversed(records)
        ]
        segment.close()


def test_a_long_document_is_read_without_its_neighbours(tmp_path: Path, make_segment: Any) -> None:
    records: list[tuple[str, str, dict[str, Any]]] = [("", f"{number} " * 100_000, {}) for number in range(40)]
    segment = Segment.open(tmp_path, make_segment(tmp_path, ids=[str(n) for n in range(40)], records=records))
    reader = segment._texts
    assert reader is not None
    assert segment.title_and_text(20) == records[20][:2]
    assert list(reader._cache) == [20]
    assert reader._cached_bytes < 310_000


def test_a_document_is_found_by_its_id_and_others_are_not(tmp_path: Path, make_segment: Any) -> None:
    ids = [f"doc-{i}" for i in range(1000)]
    segment = Segment.open(tmp_path, make_segment(tmp_path, ids=ids))
    assert segment.ids.find("doc-777") == 777
    assert segment.ids.find("doc-7777") is None
    assert segment.ids.find("\ud800") is None
    assert segment.ids.find_many(["no", "doc-3", "", "doc-0", "doc-3"]).tolist() == [-1, 3, -1, 0, 3]
    assert segment.ids.many([2, 0]) == ["doc-2", "doc-0"]
    assert len(segment.ids) == 1000
    with pytest.raises(IndexError, match="of 1000"):
        segment.ids[1000]


def test_equal_hashes_do_not_confuse_ids(tmp_path: Path, make_segment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "colstore.store.ids.id_hashes", lambda ids: np.array([len(x) % 2 for x in ids], dtype=np.uint64)
    )
    ids = ["a", "bb", "c", "dd", "e"]
    segment = Segment.open(tmp_path, make_segment(tmp_path, ids=ids))
    assert segment.ids.find_many([*ids, "f", "ff"]).tolist() == [0, 1, 2, 3, 4, -1, -1]


def test_the_file_is_plain_hdf5(tmp_path: Path, make_segment: Any) -> None:
    import h5py

    entry = make_segment(tmp_path, ids=["a", "b"], counts=[2, 1])
    segment = Segment.open(tmp_path, entry)
    with h5py.File(tmp_path / "000001.h5", "r") as file:
        assert set(file) == segment.names
        assert file.attrs["colstore_format"] == "segment 1"
        for name in file:
            np.testing.assert_array_equal(file[name][...], segment.rows(name))


def test_arrays_outlive_the_segment_but_the_segment_says_that_it_is_closed(tmp_path: Path, make_segment: Any) -> None:
    segment = Segment.open(tmp_path, make_segment(tmp_path))
    view, before = segment.rows("vectors"), segment.rows("vectors").copy()
    segment.close()
    segment.close()
    np.testing.assert_array_equal(view, before)
    with pytest.raises(ColstoreError, match="closed"):
        segment.array("vectors")
    with pytest.raises(ColstoreError, match="closed"):
        segment.ids[0]


def test_threads_may_share_a_segment(tmp_path: Path, make_segment: Any) -> None:
    ids = [f"d{i}" for i in range(500)]
    segment = Segment.open(tmp_path, make_segment(tmp_path, ids=ids))
    wrong: list[int] = []

    def read() -> None:
        wrong.extend(i for i in range(500) if segment.title_and_text(i) != (f"title d{i}", f"text of d{i}"))
        segment.ensure_all()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"ids": ["a", "a"], "counts": [1, 1]}, DuplicateIdError, "'a' occurs twice"),
        ({"ids": ["\ud800"], "counts": [1]}, CorpusError, "UTF-8"),
        ({"ids": ["a"], "counts": [1], "records": [("", "\udfff", {})]}, CorpusError, "'a' cannot be stored"),
        (
            {"ids": ["a"], "counts": [1], "records": [("", "", {"x": float("nan")})]},
            CorpusError,
            "cannot be stored",
        ),
        ({"ids": ["a"], "counts": [1], "records": [("", None, {})]}, CorpusError, "must be strings"),
        ({"ids": ["a"], "counts": [1], "records": []}, CorpusError, "each document needs"),
        ({"ids": ["a", "b"], "counts": [2, -1]}, VectorError, "at least 0"),
        ({"segment_id": "../x"}, ConfigError, "not a valid segment id"),
        ({"extra": {"vectors": np.zeros(3)}}, ConfigError, "already"),
        ({"extra": {"doc_offsets": np.zeros(3)}}, ConfigError, "not a valid array name"),
        ({"extra": {"a/b": np.zeros(3)}}, ConfigError, "not a valid array name"),
        ({"extra": {"objects": np.array([None])}}, ConfigError, "use 1 to 4 axes"),
        ({"extra": {"scalar": np.array(1.0)}}, ConfigError, "0 axes"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_nothing(
    tmp_path: Path, make_segment: Any, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_segment(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_wrong_token_arrays_are_refused_and_the_writer_goes_on(tmp_path: Path) -> None:
    good = {"vectors": np.ones((3, 4), np.float16)}
    with SegmentWriter(tmp_path, "000001", {"vectors": ("<f2", (4,))}, store_texts=False) as writer:
        for bad in (
            {},
            {"x": good["vectors"]},
            {"vectors": np.ones((2, 4), np.float16)},
            {"vectors": np.ones((3, 4))},
        ):
            with pytest.raises(VectorError):
                writer.append(["bad"], [3], bad)
        writer.append(["good"], [3], good)
        entry = writer.seal()
    assert Segment.open(tmp_path, entry).ids.all() == ["good"]


def test_a_writer_seals_once(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, "000001", {}, store_texts=False) as writer:
        assert writer.seal().documents == 0
        with pytest.raises(StorageError, match="sealed"):
            writer.seal()


def test_a_batch_that_failed_half_way_is_never_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"one": ("<f2", ()), "two": ("<f2", ())}
    with SegmentWriter(tmp_path, "000001", kinds, store_texts=False) as writer:
        rows = {"one": np.ones(1, np.float16), "two": np.ones(1, np.float16)}
        with monkeypatch.context() as patch:
            patch.setattr("os.pwrite", _failing_second_call())
            with pytest.raises(StorageError, match="disk is full"):
                writer.append(["a"], [1], rows)
        with pytest.raises(StorageError, match="abandoned"):
            writer.append(["a"], [1], rows)
        with pytest.raises(StorageError, match="abandoned"):
            writer.seal()
    assert list(tmp_path.iterdir()) == []


def test_a_layout_that_moved_is_noticed(tmp_path: Path, make_segment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "first_offset", lambda *_: 64)
    with pytest.raises(StorageError, match="libhdf5 moved"):
        make_segment(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _failing_second_call() -> Any:
    import errno
    import os

    calls, real = [], os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data, offset)

    return pwrite
