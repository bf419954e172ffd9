"""Verifying finds what is wrong, at each level; recovering shows what each older generation would lose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Index
from colstore.errors import CorruptIndexError, IndexNotFoundError, NotAnIndexError, UnknownGenerationError
from colstore.store import Manifest, SegmentEntry, commit, generations, latest
from colstore.store.checksums import checksum, file_sums
from colstore.store.format import manifest_name


@pytest.fixture
def changed(index: Index, document: Any, unmerged: None) -> Index:
    """Return an index with a second segment and deleted documents: generation 3."""
    index.add([document(100)])
    index.delete(["d1", "d2"])
    return index


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


@pytest.mark.parametrize("level", ["quick", "full", "deep"])
def test_a_sound_index_is_sound(changed: Index, level: Any, files_of: Any) -> None:
    before = files_of(changed.path)
    report = colstore.verify(changed.path, level)
    assert (report.ok, report.generation, report.documents, report.problems) == (True, 3, 19, ())
    assert report.files == len({record.path for record in latest(changed.path).files}) + 1
    assert files_of(changed.path) == before


def test_every_file_is_checked(changed: Index, files_of: Any) -> None:
    """One changed byte in any file of the newest generation is found; a missing or longer one by the quick check."""
    named = [*(record.path for record in latest(changed.path).files), manifest_name(3)]
    assert any(path.startswith("deletes/") for path in named)
    for path in named:
        file = changed.path / path
        content = file.read_bytes()
        flip(file, len(content) // 2)
        report = colstore.verify(changed.path)
        assert [problem.file for problem in report.problems] == [path]
        assert report.nothing_lost == path.endswith(".faiss")
        file.write_bytes(content + b"x")
        assert not colstore.verify(changed.path, "quick").ok
        file.unlink()
        assert not colstore.verify(changed.path, "quick").ok
        file.write_bytes(content)
        assert colstore.verify(changed.path, "deep").ok


def test_a_damaged_manifest_is_a_problem_and_not_an_exception(changed: Index) -> None:
    flip(changed.path / manifest_name(3), 50)
    report = changed.verify()
    assert (report.ok, report.generation, report.nothing_lost) == (False, None, False)
    assert "colstore recover" in report.problems[0].message


def test_what_is_no_index_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError):
        colstore.verify(tmp_path / "nothing")
    with pytest.raises(NotAnIndexError):
        colstore.verify(tmp_path)


def forge(index: Index, name: str, change: Callable[[Any], None]) -> None:
    """Change an array of the first segment and make all checksums right again: a bug's or an enemy's work."""
    manifest = latest(index.path)
    record = manifest.segments[0]
    spec = record.arrays[name]
    path = index.path / record.files[0].path
    index.close()
    data = bytearray(path.read_bytes())
    array = np.frombuffer(data, spec.dtype, spec.nbytes // spec.itemsize, spec.offset).reshape(spec.shape).copy()
    change(array)
    data[spec.offset : spec.offset + spec.nbytes] = array.tobytes()
    path.write_bytes(data)
    commit(index.path, _with(manifest, _resummed(path, record)))


def _resummed(path: Path, record: SegmentEntry) -> SegmentEntry:
    whole, sums = file_sums(path)
    path.with_suffix(".sums").write_bytes(sums.tobytes())
    return replace(record, checksum=whole, sums_checksum=checksum(sums.tobytes()))


def _with(manifest: Manifest, record: SegmentEntry) -> Manifest:
    return replace(manifest, generation=manifest.generation + 1, segments=(record, *manifest.segments[1:]))


FORGERIES: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "a vector that is not finite": ("vectors", lambda a: a.__setitem__((3, 2), np.nan), "NaN or infinite"),
    "a vector of nothing": ("vectors", lambda a: a.__setitem__(3, 0), "length 0"),
    "a code without a centroid": ("codes", lambda a: a.__setitem__(3, 250), "centroid that is not there"),
    "a posting of another document": ("postings", lambda a: a.__setitem__(3, (a[3] + 1) % 20), "'postings'"),
    "postings that end early": ("postings_offsets", lambda a: a.__setitem__(5, a[4]), "'postings_offsets'"),
    "a document without tokens": ("doc_offsets", lambda a: a.__setitem__(5, a[4]), "no tokens"),
    "offsets that run backwards": ("doc_offsets", lambda a: a.__setitem__(5, 0), "backwards"),
    "an id of another segment": ("id_bytes", lambda a: a.__setitem__(slice(0, 2), list(b"dx")), "id_"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_deep_finds_what_checksums_cannot(changed: Index, what: str) -> None:
    name, change, message = FORGERIES[what]
    forge(changed, name, change)
    assert colstore.verify(changed.path).ok
    report = colstore.verify(changed.path, "deep")
    assert any(message in problem.message for problem in report.problems), report.problems
    assert not report.nothing_lost


def test_deep_finds_an_id_that_lives_twice(changed: Index, document: Any) -> None:
    """The old document was replaced, but the list of deleted ones was lost on the way."""
    changed.replace([document(5, seed=9)])
    manifest = latest(changed.path)
    forgotten = replace(manifest.segments[0], deleted=None)
    commit(changed.path, _with(manifest, forgotten))
    report = colstore.verify(changed.path, "deep")
    assert ["'d5'" in problem.message for problem in report.problems] == [True]


def test_deep_finds_settings_that_cannot_be(changed: Index) -> None:
    manifest = latest(changed.path)
    commit(changed.path, replace(manifest, generation=4, config={**manifest.config, "bits": 3}))
    messages = " ".join(problem.message for problem in colstore.verify(changed.path, "deep").problems)
    assert "bits must be one of" in messages
    assert "it says 3 bits" in messages


def test_repairing_makes_derived_files_anew(changed: Index) -> None:
    record = latest(changed.path).centroids
    assert record is not None
    (changed.path / record.path).unlink()
    report = colstore.verify(changed.path, repair=True)
    assert report.ok
    assert len(report.repaired) == 1
    again = colstore.verify(changed.path, "deep", repair=True)
    assert (again.ok, again.repaired, again.generation) == (True, (), 4)


def test_repairing_invents_nothing(changed: Index) -> None:
    file = changed.path / latest(changed.path).segments[0].files[0].path
    flip(file, 5000)
    report = colstore.verify(changed.path, repair=True)
    assert (report.ok, report.repaired) == (False, ())


# --- going back -------------------------------------------------------------------------------------------------


def test_history_shows_what_each_generation_would_lose(changed: Index) -> None:
    shown = [(g.number, g.documents, g.lost, g.returned, g.examples, g.ok) for g in colstore.history(changed.path)]
    assert shown == [
        (3, 19, 0, 0, (), True),
        (2, 21, 0, 2, (), True),
        (1, 20, 1, 2, ("d100",), True),
    ]


def test_history_counts_what_was_replaced(changed: Index, document: Any) -> None:
    def shown() -> list[int | None]:
        return [generation.changed for generation in colstore.history(changed.path)]

    changed.replace([document(3), document(4)])  # with texts now
    changed.replace([document(3), document(4, seed=400)])  # one the same again, one with other vectors
    assert shown() == [0, 1, 2, 2, 2]
    changed.compact()  # moves them all
    assert shown() == [0, 0, 1, 2, 2, 2]
    changed.compact(retrain=True)  # vectors of two codecs are not compared, texts are
    assert shown() == [0, 0, 0, 0, 2, 2, 2]


def test_recovering_brings_a_generation_back_as_a_new_one(changed: Index, document: Any, files_of: Any) -> None:
    before = files_of(changed.path)
    assert changed.recover(1).generation == 4
    assert (changed.generation, len(changed), "d1" in changed, "d100" in changed) == (4, 20, True, False)
    before.pop("NEWEST")
    assert files_of(changed.path).items() >= before.items()  # nothing was deleted
    assert changed.verify("deep").ok
    changed.add([document(200)])
    assert len(changed) == 21


def test_recovering_from_a_damaged_newest_generation(changed: Index) -> None:
    flip(changed.path / manifest_name(3), 50)
    with pytest.raises(CorruptIndexError, match="colstore recover"):
        colstore.open(changed.path)
    newest, before, first = colstore.history(changed.path)
    assert (newest.ok, newest.documents, newest.lost) == (False, None, None)
    assert (before.ok, before.lost, first.lost) == (True, 0, 1)
    assert colstore.recover(changed.path, 2).generation == 4
    with colstore.open(changed.path) as opened:
        assert len(opened) == 21
        opened.delete(["d7"])
    assert 3 in generations(changed.path)  # the damaged one stays until somebody says otherwise


def test_a_damaged_generation_is_not_brought_back(changed: Index, document: Any) -> None:
    changed.compact()
    file = changed.path / "segments" / "000001-0001.h5"
    flip(file, 5000)
    assert [generation.ok for generation in colstore.history(changed.path)] == [True, False, False, False]
    with pytest.raises(CorruptIndexError, match="generation 2 is damaged"):
        colstore.recover(changed.path, 2)
    with pytest.raises(UnknownGenerationError, match=r"no generation 9; there are 1, 2, 3, 4"):
        colstore.recover(changed.path, 9)
    assert generations(changed.path) == [1, 2, 3, 4]


def test_a_path_without_an_index_has_no_history(tmp_path: Path) -> None:
    for ask in (lambda: colstore.history(tmp_path), lambda: colstore.recover(tmp_path, 1)):
        with pytest.raises(NotAnIndexError):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_what_info_returns_is_the_callers_own(changed: Index, document: Any) -> None:
    info = changed.info()
    info.config["bits"] = 3  # type: ignore[index]  # a caller who does not look at types
    assert changed.info().config["bits"] == 16
    changed.add([document(300)])
    assert colstore.verify(changed.path, "deep").ok
