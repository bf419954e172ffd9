"""Compaction and merging: the same documents in fewer segments, compared before anybody sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Index
from colstore.errors import StorageError
from colstore.store import latest
from colstore.updating import merge as merging
from colstore.updating.merge_policy import FANOUT, FLOOR_TOKENS, Size, merges_due, tier


def everything(index: Index) -> dict[str, tuple[Any, ...]]:
    """Return all that an index says of its documents."""
    query = np.random.default_rng(5).standard_normal((3, index.dim)).astype(np.float32)
    hits = index.search(query, k=10_000) if len(index) else []
    return {
        hit.id: (hit.score, hit.title, hit.text, dict(hit.metadata), index.vectors([hit.id])[0].tobytes())
        for hit in hits
    }


def grown(path: Path, document: Any, bits: Any = 4) -> Index:
    """Return an index that was built, added to and deleted from, in several segments."""
    first = [document(i) for i in range(40)]
    index = colstore.build_from_vectors(
        path, [x.id for x in first], [x.vectors for x in first], bits=bits, texts=[f"text {i}" for i in range(40)]
    )
    index.add([document(i, tokens=3) for i in range(40, 45)])
    index.replace([document(2, seed=500), document(41, seed=501)])
    index.delete(["d5", "d43"])
    return index


@pytest.mark.usefixtures("unmerged")
@pytest.mark.parametrize("bits", [16, 8, 4, 2, 1])
def test_compacting_changes_nothing_but_the_segments(tmp_path: Path, document: Any, bits: Any) -> None:
    index = grown(tmp_path / "x", document, bits)
    before = everything(index)
    assert index.info().segments == 3
    report = index.compact()
    assert (report.merged, report.segments, report.documents) == (3, 1, 43)
    assert everything(index) == before
    info = index.info()
    assert (info.segments, info.deleted, info.deleted_share) == (1, 0, 0.0)
    assert index.verify("deep").ok
    assert not index.compact().committed


@pytest.mark.usefixtures("unmerged")
def test_retraining_keeps_documents_and_renews_centroids(tmp_path: Path, document: Any) -> None:
    index = grown(tmp_path / "x", document, 16)
    before, old = everything(index), latest(index.path)
    report = index.compact(retrain=True)
    assert report.loss == pytest.approx(0, abs=1e-6)
    assert everything(index) == before  # at 16 bits, nothing is lost
    new = latest(index.path)
    assert new.codec.files != old.codec.files
    assert new.centroids != old.centroids
    assert index.info().drift is None
    assert index.verify("deep").ok
    index.add([document(77)])
    assert index.search(document(77).vectors, k=1)[0].id == "d77"


@pytest.mark.usefixtures("unmerged")
def test_retraining_tells_what_it_loses(tmp_path: Path, document: Any) -> None:
    index = grown(tmp_path / "x", document, 4)
    before = everything(index)
    report = index.compact(retrain=True)
    assert report.loss is not None
    assert 0 < report.loss < 0.01
    after = everything(index)
    assert after.keys() == before.keys()
    assert all(after[name][1:4] == before[name][1:4] for name in before)
    assert index.verify("deep").ok


@pytest.mark.usefixtures("unmerged")
def test_tuned_parameters_survive_changes_but_not_new_centroids(tmp_path: Path, document: Any) -> None:
    index = grown(tmp_path / "x", document)
    index.tune(k=3)
    tuned = index.info().tuned
    assert tuned is not None
    index.add([document(60)])
    index.compact()
    assert index.info().tuned == tuned
    index.compact(retrain=True)
    assert index.info().tuned is None


@pytest.mark.usefixtures("unmerged")
def test_a_copy_that_differs_is_never_committed(
    tmp_path: Path, document: Any, files_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug or a bad disk that changes one byte on the way into the merged segment."""
    index = grown(tmp_path / "x", document)
    before, expected = files_of(index.path), everything(index)
    original = merging.live_batches

    def one_bit_off(source: Any, codec: Any) -> Any:
        for batch in original(source, codec):
            if source.segment.id.startswith("000005"):
                batch.arrays["residuals"][0, 0] ^= 1
            yield batch

    monkeypatch.setattr("colstore.updating.change.live_batches", one_bit_off)
    with pytest.raises(StorageError, match=r"read back differently.*residuals.*nothing was committed"):
        index.compact()
    assert files_of(index.path) == before
    assert everything(colstore.open(index.path)) == expected


@pytest.mark.usefixtures("unmerged")
def test_a_copy_that_lacks_documents_is_never_committed(
    tmp_path: Path, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = grown(tmp_path / "x", document)
    original = merging.live_batches
    monkeypatch.setattr("colstore.updating.change.live_batches", lambda *args: list(original(*args))[1:])
    with pytest.raises(StorageError, match="counts"):
        index.compact()
    assert len(colstore.open(index.path)) == 43


@pytest.mark.usefixtures("unmerged")
def test_a_damaged_source_is_not_copied(tmp_path: Path, document: Any) -> None:
    index = grown(tmp_path / "x", document)
    record = latest(index.path).segments[0]
    spec = record.arrays["residuals"]
    file = index.path / record.files[0].path
    data = bytearray(file.read_bytes())
    data[spec.offset + spec.nbytes // 2] ^= 1
    index.close()
    file.write_bytes(data)
    with colstore.open(index.path) as opened, pytest.raises(colstore.ColstoreError, match="bytes changed"):
        opened.compact()
    assert latest(index.path).generation == 4


@pytest.mark.usefixtures("unmerged")
def test_a_bad_faiss_file_is_made_anew(tmp_path: Path, document: Any) -> None:
    index = grown(tmp_path / "x", document)
    record = latest(index.path).centroids
    assert record is not None
    good = (index.path / record.path).read_bytes()
    (index.path / record.path).write_bytes(b"x" * len(good))
    assert index.search(document(1).vectors, k=1)[0].id == "d1"  # search does not need it
    index.compact()
    renewed = latest(index.path).centroids
    assert renewed is not None
    assert renewed.path != record.path
    assert (index.path / renewed.path).read_bytes() == good
    assert index.verify().ok


# --- when segments are merged -------------------------------------------------------------------------------------


def test_tiers_hold_fewer_than_fanout_segments() -> None:
    sizes: list[Size] = []
    for step in range(3_000):
        sizes.append(Size(10, 100 + (step * 7919) % 5_000))
        for group in merges_due(sizes, 65_536, 8_388_608):
            together = Size(sum(sizes[i].documents for i in group), sum(sizes[i].tokens for i in group))
            sizes = [size for i, size in enumerate(sizes) if i not in group] + [together]
        tiers = [tier(size.tokens) for size in sizes]
        assert max(tiers.count(level) for level in tiers) < FANOUT
    assert sum(size.documents for size in sizes) == 30_000
    assert len(sizes) <= (FANOUT - 1) * (1 + tier(sum(size.tokens for size in sizes)))


def test_segments_never_grow_beyond_their_limits() -> None:
    half = Size(40_000, 400_000)
    assert merges_due([half] * 8, 65_536, 8_388_608) == []
    assert merges_due([Size(10, 3_000_000)] * 3, 65_536, 8_388_608) == [[0, 1]]
    assert merges_due([Size(30_000, 300_000)] * 3, 65_536, 8_388_608) == [[0, 1]]


def test_a_segment_with_many_deletions_is_rewritten() -> None:
    assert merges_due([Size(60_000, FLOOR_TOKENS * 4, deleted=0.34)], 65_536, 8_388_608) == [[0]]
    assert merges_due([Size(60_000, FLOOR_TOKENS * 4, deleted=0.33)], 65_536, 8_388_608) == []


def test_many_small_adds_leave_few_segments(index: Index, document: Any) -> None:
    for i in range(100, 140):
        report = index.add([document(i)])
        assert report.segments < FANOUT
    assert len(index) == 60
    assert index.search(document(117).vectors, k=1)[0].id == "d117"
    assert index.verify("deep").ok
