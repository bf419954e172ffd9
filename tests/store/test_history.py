"""Manifests: what is committed is read back, what is damaged is named, and of two writers one wins."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colstore.errors import (
    ColstoreError,
    ConfigError,
    CorruptIndexError,
    FormatVersionError,
    IndexLockedError,
    IndexNotFoundError,
    MissingFileError,
    NotAnIndexError,
    TruncatedFileError,
)
from colstore.store import (
    FileEntry,
    Manifest,
    Part,
    building_folder,
    commit,
    generations,
    latest,
    load,
    read_state,
    write_state,
)
from colstore.store.checksums import checksum
from colstore.store.strict_json import canonical

NAME = "manifest-000000000001.json"


def reforged(path: Path, **changes: Any) -> None:
    """Change fields of a manifest, with a right checksum, as somebody could on purpose."""
    body = json.loads(path.read_text("utf-8"))
    del body["checksum"]
    body.update(changes)
    body = {key: value for key, value in body.items() if value != "REMOVED"}
    path.write_bytes(canonical({**body, "checksum": checksum(canonical(body))}))


def test_what_is_committed_is_read_back(tmp_path: Path, make_index: Any) -> None:
    first = make_index(tmp_path / "x")
    assert latest(tmp_path / "x") == first
    assert (first.documents, first.tokens) == (3, 6)
    second = replace(first, generation=2, parent=first.checksum, tuned={"probe": 4, "cut": 0.5})
    commit(tmp_path / "x", second)
    assert latest(tmp_path / "x") == second
    assert load(tmp_path / "x", 1) == first
    assert generations(tmp_path / "x") == [1, 2]
    assert latest(tmp_path / "x").parent == load(tmp_path / "x", 1).checksum


def test_paths_that_are_no_index_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="no such path"):
        latest(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotAnIndexError, match="a file"):
        latest(tmp_path / "file")
    (tmp_path / "manifest-1.json").write_text("{}")
    with pytest.raises(NotAnIndexError, match="not a colstore index"):
        latest(tmp_path)
    building_folder(tmp_path).mkdir()
    with pytest.raises(NotAnIndexError, match=r"unfinished build.*resume=True"):
        latest(tmp_path)


def test_every_flipped_byte_of_a_manifest_is_found(index: Path, flip: Any) -> None:
    before = latest(index)
    size = (index / NAME).stat().st_size
    for position in range(size - 1):  # the line feed at the end is no content
        flip(index / NAME, position)
        with pytest.raises((CorruptIndexError, FormatVersionError), match=r"manifest|version"):
            latest(index)
        flip(index / NAME, position)
    assert latest(index) == before


def test_every_truncation_of_a_manifest_is_found(index: Path) -> None:
    data = (index / NAME).read_bytes()
    for size in range(0, len(data) - 1, 53):
        (index / NAME).write_bytes(data[:size])
        with pytest.raises(CorruptIndexError, match=r"manifest-000000000001\.json.*colstore.history"):
            latest(index)


def test_a_damaged_newest_generation_is_an_error_not_a_step_back(index: Path) -> None:
    (index / "manifest-000000000002.json").write_bytes(b"")
    with pytest.raises(CorruptIndexError, match=r"colstore\.history"):
        latest(index)
    assert load(index, 1).generation == 1


def test_a_newer_version_is_named_before_anything_else_is_read(index: Path) -> None:
    (index / NAME).write_text('{"format": "colstore", "format_version": 2, "writer": "colstore 9.1", "new": [0]}')
    with pytest.raises(FormatVersionError, match=r"version 2, written by colstore 9\.1;.*up to version 1.*pip install"):
        latest(index)


def good_file(**changes: Any) -> dict[str, Any]:
    return {"path": "encoder/x", "bytes": 1, "checksum": "0" * 32, "arrays": {}, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a colstore manifest"),
        ({"format_version": True}, "True is not a valid format version"),
        ({"format_version": 0}, "0 is not a valid format version"),
        ({"generation": 7}, "generation 7"),
        ({"generation": 0}, "at least 1"),
        ({"documents": 4}, "its segments have 3"),
        ({"tokens": 5}, "6"),
        ({"dim": 0}, "at least 1"),
        ({"dim": 2**40}, "at most"),
        ({"dim": "REMOVED"}, "missing"),
        ({"deletes": []}, "unknown field 'deletes'"),
        ({"created": "yesterday"}, "created"),
        ({"parent": "x"}, "parent"),
        ({"segments": {}}, "must be a list"),
        ({"segments": [1]}, "must be an object"),
        ({"config": [1]}, "must be an object"),
        ({"encoder": {"settings": {}, "files": [good_file(path="encoder/../../x")]}}, "not a file name"),
        ({"encoder": {"settings": {}, "files": [good_file(path="/etc/passwd")]}}, "not a file name"),
        ({"encoder": {"settings": {}, "files": [good_file(path="notes.txt")]}}, "not a file name"),
        ({"encoder": {"settings": {}, "files": [good_file(path="codec-000002.h5")]}}, "not a file of the part"),
        ({"encoder": {"settings": {}, "files": [good_file(), good_file()]}}, "named twice"),
        ({"encoder": {"settings": {}, "files": [good_file(checksum="0" * 31)]}}, "checksum"),
        ({"centroids": good_file()}, "not a file of the part"),
        ({"codec": None}, "must be an object"),
    ],
)
def test_a_forged_manifest_is_refused(index: Path, changes: dict[str, Any], message: str) -> None:
    reforged(index / NAME, **changes)
    with pytest.raises(CorruptIndexError, match=message):
        latest(index)


def test_a_forged_segment_is_refused(index: Path) -> None:
    body = json.loads((index / NAME).read_text("utf-8"))
    segment = body["segments"][0]
    for changed in (
        [segment, segment],
        [{**segment, "id": "../../secret"}],
        [{**segment, "id": "x" * 65}],
        [{**segment, "documents": -3}],
    ):
        reforged(index / NAME, segments=changed)
        with pytest.raises(CorruptIndexError):
            latest(index)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_a_manifest_is_refused_by_name(data: st.DataObject) -> None:
    entry = FileEntry("codec-000001.h5", 10, "0" * 32)
    manifest = Manifest(1, "2026-01-31T12:00:00Z", "w", 8, {}, Part({}, (entry,)), ())
    raw = bytearray(manifest.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 2))] = data.draw(st.integers(0, 255))
    with suppress(ColstoreError):
        assert Manifest.from_bytes(bytes(raw)) == manifest


def test_a_manifest_that_could_not_be_read_again_is_not_committed(index: Path) -> None:
    good = latest(index)
    for changes in (
        {"config": {"x": float("nan")}},
        {"created": "now"},
        {"config": {"x": {1, 2}}},
        {"dim": -1},
    ):
        with pytest.raises(ConfigError, match="could not be read again"):
            commit(index, replace(good, generation=2, **changes))
    assert generations(index) == [1]


def test_a_manifest_is_not_committed_before_its_files_are_there(index: Path) -> None:
    good = replace(latest(index), generation=2)
    path = index / "segments/000001.h5"
    path.rename(index / "elsewhere")
    with pytest.raises(MissingFileError):
        commit(index, good)
    path.write_bytes(b"short")
    with pytest.raises(TruncatedFileError):
        commit(index, good)
    assert generations(index) == [1]


def test_a_generation_is_committed_once(index: Path) -> None:
    good = latest(index)
    for generation in (1, 2):
        commit(index, replace(good, generation=3)) if generation == 2 else None
        with pytest.raises(IndexLockedError, match="in the meantime"):
            commit(index, replace(good, generation=generation, writer="late"))
    assert latest(index) == replace(good, generation=3)


def test_of_many_commits_of_one_generation_one_wins(index: Path) -> None:
    good = latest(index)
    barrier, outcomes = threading.Barrier(8), []

    def attempt(number: int) -> None:
        barrier.wait()
        try:
            commit(index, replace(good, generation=2, writer=f"writer {number}"))
            outcomes.append(number)
        except IndexLockedError:
            outcomes.append(-1)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number in outcomes if number >= 0]
    assert len(outcomes) == 8
    assert [f"writer {number}" for number in winners] == [latest(index).writer]
    assert not [path for path in index.iterdir() if path.name.startswith(".tmp-")]


def test_a_link_that_loses_the_race_at_the_last_moment_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = latest(index)
    commit(index, replace(good, generation=2))
    monkeypatch.setattr("colstore.store.history.generations", lambda _: [1])
    with pytest.raises(IndexLockedError, match="generation 2 in the meantime"):
        commit(index, replace(good, generation=2, writer="late"))


def test_the_state_of_a_build_is_kept_and_checked(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    write_state(tmp_path, {"done": 3})
    write_state(tmp_path, {"done": 4, "parts": ["a"]})
    assert read_state(tmp_path) == {"done": 4, "parts": ["a"]}
    path = building_folder(tmp_path) / "state.json"
    text = path.read_text()
    path.write_text(text.replace('"done":4', '"done":5'))
    with pytest.raises(CorruptIndexError, match=r"unfinished build is damaged.*overwrite=True"):
        read_state(tmp_path)
    path.write_text(text.replace('"format_version":1', '"format_version":2'))
    with pytest.raises(FormatVersionError, match="newer"):
        read_state(tmp_path)
