"""Every way in which a segment can be damaged has its error, and no changed byte is handed out."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.errors import ChecksumError, CorruptIndexError, MissingFileError, TruncatedFileError
from colstore.store import ArraySpec, Segment, SegmentEntry, text_blocks
from colstore.store.format import BLOCK_BYTES

IDS = [f"document-{i:05d}" for i in range(4000)]


@pytest.fixture
def damaged(tmp_path: Path, make_segment: Any, flip: Any) -> Callable[[str], Segment]:
    """Return a function that flips the middle byte of an array on disk and opens the segment."""
    entry: SegmentEntry = make_segment(tmp_path, ids=IDS, counts=[9] * len(IDS), batch=1000)

    def damage(name: str) -> Segment:
        spec = entry.arrays[name]
        flip(tmp_path / "000001.h5", spec.offset + spec.nbytes // 2)
        return Segment.open(tmp_path, entry)

    return damage


def test_a_changed_token_is_found_when_it_is_first_read_and_not_before(damaged: Any) -> None:
    segment = damaged("vectors")
    middle = segment.tokens // 2
    segment.ensure("vectors", 0, 10)
    with pytest.raises(ChecksumError, match=r"000001\.h5: .*colstore.verify"):
        segment.ensure("vectors", middle, middle + 1)
    with pytest.raises(ChecksumError):
        segment.ensure_rows("vectors", np.array([0, middle]), np.array([1, middle + 1]))
    with pytest.raises(ChecksumError):
        segment.ensure_all()
    with pytest.raises(ChecksumError):
        segment.rows("vectors")
    assert len(segment.bad_blocks()) == 1


@pytest.mark.parametrize("name", ["id_bytes", "id_offsets"])
def test_a_changed_id_is_never_returned(damaged: Any, name: str) -> None:
    segment = damaged(name)
    with pytest.raises(ChecksumError):
        segment.ids.all()


@pytest.mark.parametrize("name", ["id_hashes", "id_hash_order"])
def test_a_changed_lookup_table_is_found(damaged: Any, name: str) -> None:
    with pytest.raises(ChecksumError):
        damaged(name).ids.find(IDS[7])


@pytest.mark.parametrize("name", ["texts", "texts_blocks", "texts_sizes", "texts_documents"])
def test_a_changed_text_is_found(damaged: Any, name: str) -> None:
    segment = damaged(name)
    with pytest.raises(ChecksumError):
        [segment.title_and_text(i) for i in range(len(IDS))]


@pytest.mark.parametrize("name", ["metadata", "metadata_blocks", "metadata_sizes", "metadata_documents"])
def test_changed_metadata_is_found(damaged: Any, name: str) -> None:
    with pytest.raises(ChecksumError):
        list(damaged(name).iter_metadata())


def test_each_flipped_byte_of_a_segment_is_found(tmp_path: Path, make_segment: Any, flip: Any) -> None:
    entry = make_segment(tmp_path)
    path = tmp_path / "000001.h5"
    for position in range(0, entry.bytes, 97):
        flip(path, position)
        with pytest.raises(CorruptIndexError):  # some are seen at once, the others here
            Segment.open(tmp_path, entry).ensure_all()
        flip(path, position)
    Segment.open(tmp_path, entry).ensure_all()


def test_ranges_check_exactly_the_blocks_they_touch(tmp_path: Path, make_segment: Any, flip: Any) -> None:
    entry = make_segment(tmp_path, ids=IDS, counts=[9] * len(IDS), batch=1000)
    spec = entry.arrays["vectors"]
    bad = 2
    flip(tmp_path / "000001.h5", bad * BLOCK_BYTES)
    random = np.random.default_rng(3)
    for _ in range(60):
        segment = Segment.open(tmp_path, entry)
        starts = random.integers(0, segment.tokens, random.integers(0, 4))
        stops = np.minimum(starts + random.integers(0, 9000, len(starts)), segment.tokens)
        first = (spec.offset + starts * spec.row_bytes) // BLOCK_BYTES
        last = (spec.offset + stops * spec.row_bytes - 1) // BLOCK_BYTES
        touched = bool(((first <= bad) & (bad <= last) & (stops > starts)).any())
        for check in (
            lambda s=starts, e=stops, seg=segment: seg.ensure_rows("vectors", s, e),
            lambda s=starts, e=stops, seg=segment: [
                seg.ensure("vectors", int(a), int(b)) for a, b in zip(s, e, strict=True)
            ],
        ):
            if touched:
                with pytest.raises(ChecksumError):
                    check()
            else:
                check()


def test_rows_that_are_not_there_are_refused(tmp_path: Path, make_segment: Any) -> None:
    segment = Segment.open(tmp_path, make_segment(tmp_path))
    for start, stop in ((-1, 1), (2, 1), (0, segment.tokens + 1)):
        with pytest.raises(CorruptIndexError, match="rows"):
            segment.ensure("vectors", start, stop)
        with pytest.raises(CorruptIndexError, match="row"):
            segment.ensure_rows("vectors", np.array([start]), np.array([stop]))
        with pytest.raises(CorruptIndexError, match="rows"):
            segment.rows("vectors", start, stop)
    with pytest.raises(IndexError):
        segment.title_and_text(3)
    with pytest.raises(IndexError):
        segment.metadata(-1)


@pytest.mark.parametrize("name", ["000001.h5", "000001.sums"])
def test_a_missing_file_has_its_error(tmp_path: Path, make_segment: Any, name: str) -> None:
    entry = make_segment(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        Segment.open(tmp_path, entry)


@pytest.mark.parametrize("name", ["000001.h5", "000001.sums"])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_is_never_mapped(tmp_path: Path, make_segment: Any, name: str, change: int) -> None:
    entry = make_segment(tmp_path)
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size + change)
    with pytest.raises(TruncatedFileError, match=name):
        Segment.open(tmp_path, entry)


def test_a_pipe_in_place_of_a_segment_does_not_block(tmp_path: Path, make_segment: Any) -> None:
    entry = make_segment(tmp_path)
    (tmp_path / "000001.h5").unlink()
    os.mkfifo(tmp_path / "000001.h5")
    with pytest.raises(CorruptIndexError, match="not a regular file"):
        Segment.open(tmp_path, entry)


def test_changed_checksums_are_found(tmp_path: Path, make_segment: Any, flip: Any) -> None:
    entry = make_segment(tmp_path)
    flip(tmp_path / "000001.sums", 0)
    segment = Segment.open(tmp_path, entry)
    with pytest.raises(ChecksumError, match=r"000001\.sums"):
        segment.ensure_all()


def forged(entry: SegmentEntry, name: str, **changes: Any) -> SegmentEntry:
    return replace(entry, arrays={**entry.arrays, name: replace(entry.arrays[name], **changes)})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vectors", {"dtype": "|O8"}, "not allowed"),
        ("vectors", {"dtype": ">f2"}, "not allowed"),
        ("vectors", {"offset": 7}, "cannot start"),
        ("vectors", {"shape": ()}, "1 to 4 axes"),
        ("vectors", {"shape": (2**61, 4)}, "too large"),
        ("vectors", {"shape": (2**40, 4)}, "overlaps|past the file"),
        ("vectors", {"offset": 0}, "overlaps"),
        ("id_bytes", {"offset": 2**40}, "past the file"),
    ],
)
def test_arrays_that_cannot_be_are_refused(
    tmp_path: Path, make_segment: Any, name: str, changes: dict[str, Any], message: str
) -> None:
    entry = make_segment(tmp_path)
    if name == "vectors" and changes.get("offset") == 0:
        changes = {"offset": entry.arrays["doc_offsets"].offset}
    with pytest.raises(CorruptIndexError, match=message):
        forged(entry, name, **changes)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("doc_offsets", {"dtype": "<i4"}),
        ("doc_offsets", {"shape": (3,)}),
        ("id_order", {"dtype": "<f4"}),
        ("id_hashes", {"shape": (2,)}),
        ("id_bytes", {"shape": (3,)}),
        ("texts_blocks", {"shape": (1,)}),
        ("texts_sizes", {"dtype": "<i4"}),
        ("texts_sizes", {"shape": (0,), "offset": 0}),
        ("texts_documents", {"shape": (1,)}),
        ("texts_documents", {"dtype": "<f4"}),
        ("metadata_documents", {"shape": (3,)}),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, make_segment: Any, name: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(CorruptIndexError, match=name.split("_")[0]):
        Segment.open(tmp_path, forged(make_segment(tmp_path), name, **changes))


@pytest.mark.parametrize("name", ["doc_offsets", "id_bytes", "id_hashes", "texts_blocks", "texts_documents"])
def test_a_segment_without_an_array_that_all_have_is_refused(tmp_path: Path, make_segment: Any, name: str) -> None:
    entry = make_segment(tmp_path)
    arrays = {key: spec for key, spec in entry.arrays.items() if key != name}
    with pytest.raises(CorruptIndexError, match=name):
        Segment.open(tmp_path, replace(entry, arrays=arrays))


def test_offsets_are_given_out_only_if_they_rise(tmp_path: Path, make_segment: Any) -> None:
    segment = Segment.open(tmp_path, make_segment(tmp_path))
    assert segment.doc_offsets().tolist() == [0, 1, 3, 6]
    assert segment.doc_offsets() is segment.doc_offsets()


def test_changed_offsets_are_found(damaged: Any) -> None:
    with pytest.raises(ChecksumError):
        damaged("doc_offsets").doc_offsets()


def test_expect_names_what_it_wants(tmp_path: Path, make_segment: Any) -> None:
    segment = Segment.open(tmp_path, make_segment(tmp_path))
    assert segment.expect("vectors", "<f2", (segment.tokens, None)).shape == (segment.tokens, 4)
    wrong: list[tuple[str, tuple[int | None, ...]]] = [
        ("<f4", (None, 4)),
        ("<f2", (None, 5)),
        ("<f2", (None,)),
    ]
    for dtype, shape in wrong:
        with pytest.raises(CorruptIndexError, match=r"'vectors' is <f2 \(6, 4\), not"):
            segment.expect("vectors", dtype, shape)
    with pytest.raises(CorruptIndexError, match="no array 'codes'"):
        segment.expect("codes", "<u2", (None,))


BLOCK = b'[["t", "x"], ["t", "y"]]'


@pytest.mark.parametrize(
    ("packed", "size", "message"),
    [
        (zlib.compress(BLOCK), len(BLOCK) - 1, "size differs"),
        (zlib.compress(BLOCK), len(BLOCK) + 1, "size differs"),
        (zlib.compress(BLOCK)[:-3], len(BLOCK), "size differs"),
        (zlib.compress(BLOCK) + b"x", len(BLOCK), "size differs"),
        (b"not zlib", 20, "header"),
        (zlib.compress(b"[" * 24), 24, "damaged"),
        (zlib.compress(b"[1]"), 3, "list of 2"),
        (zlib.compress(b"12"), 2, "list of 2"),
        (zlib.compress(b"\xff\xff"), 2, "damaged"),
        (zlib.compress(b"0" * 100_000), 2**32 - 1, "impossible"),
        (zlib.compress(b"0" * 100_000), 2**30, "impossible"),
    ],
)
def test_a_forged_text_block_is_refused(packed: bytes, size: int, message: str) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "texts": np.frombuffer(packed, np.uint8),
        "texts_blocks": np.array([0, len(packed)], np.uint64),
        "texts_sizes": np.array([size], np.uint32),
        "texts_documents": np.array([0, 2], np.uint32),
    }
    reader = text_blocks.BlockReader(lambda name, start, stop: arrays[name][start:stop], "texts", 2, "f.h5")
    with pytest.raises(CorruptIndexError, match=message):
        reader.get(0)


@pytest.mark.parametrize("first", [[0, 1, 1, 3], [0, 2, 1, 3], [1, 2, 2, 3], [0, 1, 2, 2], [0, 1, 2, 4], [0, 3, 2, 3]])
def test_a_forged_table_of_first_documents_is_refused(first: list[int]) -> None:
    """Each block holds one of three documents; the forgery would lead a look-up elsewhere."""
    packed = zlib.compress(b'[["t", "x"]]')
    arrays: dict[str, NDArray[Any]] = {
        "texts": np.frombuffer(packed * 3, np.uint8),
        "texts_blocks": np.arange(4, dtype=np.uint64) * len(packed),
        "texts_sizes": np.full(3, 12, np.uint32),
        "texts_documents": np.array([0, 1, 2, 3], np.uint32),
    }
    reader = text_blocks.BlockReader(lambda name, start, stop: arrays[name][start:stop], "texts", 3, "f.h5")
    assert [reader.get(document) for document in range(3)] == [["t", "x"]] * 3
    arrays["texts_documents"] = np.array(first, np.uint32)
    forged_reader = text_blocks.BlockReader(lambda name, start, stop: arrays[name][start:stop], "texts", 3, "f.h5")
    message = r"f\.h5: 'texts_documents' does not rise from 0 to 3"
    with pytest.raises(CorruptIndexError, match=message):
        forged_reader.get(0)
    with pytest.raises(CorruptIndexError, match=message):
        list(forged_reader.all())


def test_a_record_of_another_shape_is_refused(
    tmp_path: Path, make_segment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = Segment.open(tmp_path, make_segment(tmp_path))
    monkeypatch.setattr(text_blocks.BlockReader, "get", lambda *_: ["only a title"])
    with pytest.raises(CorruptIndexError, match="not a title and a text"):
        segment.title_and_text(0)
    with pytest.raises(CorruptIndexError, match="not an object"):
        segment.metadata(0)


def test_the_cache_of_texts_is_bounded(tmp_path: Path, make_segment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "_CACHE_BYTES", 20_000)
    segment = Segment.open(tmp_path, make_segment(tmp_path, ids=IDS))
    assert [segment.title_and_text(i) for i in range(0, 4000, 5)] == [(f"title {x}", f"text of {x}") for x in IDS[::5]]
    reader = segment._texts
    assert reader is not None
    assert 0 < reader._cached_bytes <= 20_000
    assert reader._cached_bytes == sum(size for _, size in reader._cache.values())


def test_records_are_read_strictly(tmp_path: Path, make_segment: Any) -> None:
    good = make_segment(tmp_path).to_json()
    assert SegmentEntry.from_json(good).to_json() == good
    wrong: list[tuple[str, Any]] = [
        ("id", "../x"),
        ("documents", -1),
        ("documents", True),
        ("documents", 1.0),
        ("bytes", 2**63),
        ("checksum", "xyz"),
        ("arrays", {"a/b": {"offset": 0, "dtype": "|u1", "shape": [1]}}),
        ("arrays", {"a": {"offset": 0, "dtype": "|u1", "shape": [True]}}),
        ("arrays", {"a": {"offset": -8, "dtype": "|u1", "shape": [1]}}),
        ("arrays", {"a": {"offset": 0, "dtype": "|u1", "shape": [1], "more": 1}}),
        ("arrays", []),
        ("more", 1),
    ]
    for key, value in wrong:
        with pytest.raises(CorruptIndexError):
            SegmentEntry.from_json({**good, key: value})
    for key in good:
        with pytest.raises(CorruptIndexError, match="missing"):
            SegmentEntry.from_json({k: v for k, v in good.items() if k != key})


def test_an_array_spec_knows_its_bytes() -> None:
    spec = ArraySpec(64, "<f4", (3, 5))
    assert (spec.itemsize, spec.row_bytes, spec.nbytes) == (4, 20, 60)
