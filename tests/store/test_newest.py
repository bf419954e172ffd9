"""The note of the newest generation: an index that lost its newest manifest is not taken for the one before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import colstore
from colstore.encode import FakeEncoder
from colstore.errors import CorruptIndexError, MissingFileError
from colstore.store import commit, highest, history, latest, newest
from colstore.store.generation_note import read_generation_note, write_generation_note


@pytest.fixture
def robbed(tmp_path: Path) -> Path:
    """Return an index of three generations whose newest manifest is missing: ``c`` was added, then ``a`` deleted."""
    path = tmp_path / "x.colstore"
    encoder = FakeEncoder(dim=8)
    with colstore.build(path, [colstore.Document("a", "bees"), colstore.Document("b", "moon")], model=encoder) as index:
        index.add([colstore.Document("c", "rivers")])
        index.delete(["a"])
    (path / "manifest-000000000003.json").unlink()
    return path


def test_each_commit_is_noted(tmp_path: Path, make_index: Any) -> None:
    first = make_index(tmp_path)
    assert (read_generation_note(tmp_path), newest(tmp_path), highest(tmp_path)) == (1, 1, 1)
    commit(tmp_path, replace(first, generation=2, parent=first.checksum))
    assert (read_generation_note(tmp_path), newest(tmp_path), highest(tmp_path)) == (2, 2, 2)


def test_a_lost_manifest_is_an_error_and_not_the_generation_before(robbed: Path) -> None:
    with pytest.raises(MissingFileError, match=r"generation 3 was committed here.*colstore.recover"):
        colstore.open(robbed)
    with pytest.raises(MissingFileError):
        latest(robbed)
    report = colstore.verify(robbed, "quick")
    assert not report.ok
    assert [problem.file for problem in report.problems] == ["manifest-000000000003.json"]


def test_recovery_lists_what_is_lost_and_goes_on_behind_it(robbed: Path) -> None:
    listed = colstore.history(robbed)
    assert [(generation.number, generation.ok) for generation in listed] == [(3, False), (2, True), (1, True)]
    assert "missing" in listed[0].problems[0]
    assert colstore.recover(robbed, 2).generation == 4
    with colstore.open(robbed, encoder=FakeEncoder(dim=8)) as index:
        assert sorted(hit.id for hit in index.search("bees", k=9)) == ["a", "b", "c"]
        index.delete(["b"])
    assert newest(robbed) == 5
    assert colstore.verify(robbed, "deep").ok


def test_a_build_in_its_place_counts_on(robbed: Path) -> None:
    colstore.build(robbed, [colstore.Document("z", "sea")], model=FakeEncoder(dim=8), overwrite=True).close()
    assert latest(robbed).generation == 4
    assert read_generation_note(robbed) == 4


def test_an_open_index_that_is_robbed_says_so_when_it_looks_again(robbed: Path) -> None:
    colstore.recover(robbed, 2)
    with colstore.open(robbed, encoder=FakeEncoder(dim=8)) as index:
        (robbed / "manifest-000000000004.json").unlink()
        assert len(index.search("bees", k=9)) == 3
        for change in (index.refresh, lambda: index.delete(["a"]), index.compact):
            with pytest.raises(MissingFileError):
                change()


@given(at=st.integers(0, 29), byte=st.integers(0, 255), length=st.integers(0, 60))
def test_a_damaged_note_says_nothing(tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, length: int) -> None:
    folder = tmp_path_factory.mktemp("note")
    write_generation_note(folder, 41)
    data = bytearray((folder / "NEWEST").read_bytes())
    assert len(data) == 30
    data[at] = byte
    changed = bytes(data[:length]) + bytes(max(0, length - len(data)))
    (folder / "NEWEST").write_bytes(changed)
    assert read_generation_note(folder) in (0, 41)
    write_generation_note(folder, 42)
    assert read_generation_note(folder) == (42 if length <= 30 else 0)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_folder, os.mkfifo, lambda path: path.write_bytes(b"9" * 70)])
def test_a_note_that_is_not_a_file_is_ignored(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "NEWEST")
    write_generation_note(tmp_path, 3)
    assert read_generation_note(tmp_path) == 0


def test_a_writer_between_two_looks_is_no_loss(
    tmp_path: Path, make_index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader reads the note first, so a later commit is in its list of manifests."""
    first = make_index(tmp_path)

    def with_a_commit_before(directory: Path) -> int:
        monkeypatch.setattr(history, "read_generation_note", read_generation_note)
        commit(tmp_path, replace(first, generation=2, parent=first.checksum))
        return read_generation_note(directory)

    monkeypatch.setattr(history, "read_generation_note", with_a_commit_before)
    assert newest(tmp_path) == 2


def test_the_note_is_written_only_when_the_manifest_is_durable(
    tmp_path: Path, make_index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_index(tmp_path)

    def failing(folder: Path) -> None:
        raise CorruptIndexError(str(folder))

    monkeypatch.setattr("colstore.store.files.fsync_folder", failing)
    with pytest.raises(CorruptIndexError):
        commit(tmp_path, replace(first, generation=2, parent=first.checksum))
    assert read_generation_note(tmp_path) == 1
