"""Clean-up removes what colstore wrote and nobody needs, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colstore.errors import ConfigError
from colstore.store import (
    Part,
    building_folder,
    commit,
    encoder_name,
    latest,
    referenced_files,
    remove_unreferenced,
    segments_folder,
    verify,
    write_state,
    write_whole,
)
from colstore.store.format import temporary_name

FOREIGN = [
    "notes.txt",
    "manifest-1.json",
    "manifest-000000000001.json.bak",
    "codec-1.h5",
    ".tmp-mine",
    "segments/README",
    "segments/UPPER.h5",
    "segments/sub/000009.h5",
    "encoder/my-notes.json",
    "encoder/deep/er/x.json",
    "building/thesis.docx",
    "building/sub/000001.h5",
    "other/000001.h5",
]


def tree(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def litter(directory: Path) -> set[str]:
    """Write what crashed writers leave behind, and return the names."""
    temporary = temporary_name("000003.h5")
    names = {
        temporary,
        f"segments/{temporary}",
        f"encoder/{temporary}",
        f"building/{temporary}",
        "segments/000002.h5",
        "segments/000002.sums",
        "codec-000007.h5",
        "centroids-000007.faiss",
        "building/000001.h5",
        "building/codec-000001.h5",
    }
    building_folder(directory).mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_bytes(b"left over")
    write_state(directory, {})
    return names | {"building/state.json"}


def test_left_overs_go_and_everything_else_stays(index: Path) -> None:
    for name in FOREIGN:
        (index / name).parent.mkdir(parents=True, exist_ok=True)
        (index / name).write_text("mine")
    before = tree(index)
    left = litter(index)
    removed = remove_unreferenced(index, [latest(index)])
    assert set(removed) == left
    assert tree(index) == before
    assert verify(index, "deep") == []
    assert remove_unreferenced(index, [latest(index)]) == []


def test_an_unfinished_build_stays_unless_asked(index: Path) -> None:
    left = litter(index)
    remove_unreferenced(index, [latest(index)], building=False)
    assert {name for name in left if name.startswith("building/")} <= tree(index)
    remove_unreferenced(index, [latest(index)])
    assert not building_folder(index).exists()


def test_old_generations_go_with_what_only_they_needed(index: Path, make_segment: Any) -> None:
    first = latest(index)
    segment = make_segment(segments_folder(index), "000002", ids=["new"])
    encoder = Part({}, (write_whole(index, encoder_name("2/tokenizer.json"), b"[]"),))
    second = replace(first, generation=2, parent=first.checksum, segments=(segment,), encoder=encoder)
    commit(index, second)
    (index / "encoder/mine.json").write_text("mine")
    assert remove_unreferenced(index, [first, second]) == []
    assert verify(index, "deep") == []
    removed = set(remove_unreferenced(index, [second]))
    assert removed == referenced_files(first) - referenced_files(second)
    assert removed == {
        "manifest-000000000001.json",
        "segments/000001.h5",
        "segments/000001.sums",
        "encoder/tokenizer.json",
    }
    assert verify(index, "deep") == []
    assert (index / "encoder/mine.json").exists()


def test_files_of_a_newer_generation_are_never_touched(index: Path, make_segment: Any) -> None:
    first = latest(index)
    segment = make_segment(segments_folder(index), "000002", ids=["new"])
    commit(index, replace(first, generation=2, segments=(segment,)))
    before = tree(index)
    assert remove_unreferenced(index, [first]) == []
    assert tree(index) == before


def test_the_only_generation_is_never_removed(index: Path) -> None:
    with pytest.raises(ConfigError, match="keep at least one"):
        remove_unreferenced(index, [])


def test_a_build_that_never_committed_can_be_cleared(tmp_path: Path, make_segment: Any) -> None:
    make_segment(segments_folder(tmp_path))
    (tmp_path / "mine").write_text("x")
    assert remove_unreferenced(tmp_path, []) == ["segments/000001.h5", "segments/000001.sums"]
    assert tree(tmp_path) == {"mine"}


def test_folders_that_are_links_are_not_followed(tmp_path: Path, make_segment: Any, make_index: Any) -> None:
    elsewhere = tmp_path / "elsewhere"
    make_segment(elsewhere, "000009")
    index = tmp_path / "x.colstore"
    make_index(index)
    building_folder(index).symlink_to(elsewhere)
    before = tree(elsewhere)
    remove_unreferenced(index, [latest(index)])
    assert tree(elsewhere) == before


def test_a_damaged_old_manifest_does_not_stop_the_cleaning(index: Path) -> None:
    first = latest(index)
    commit(index, replace(first, generation=2))
    (index / "manifest-000000000001.json").write_bytes(b"{")
    assert remove_unreferenced(index, [latest(index)]) == ["manifest-000000000001.json"]
