"""``verify(all_generations=True)``: damage in older generations, which only ``recover`` would meet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import colstore
from colstore.store import generations, load, referenced_files
from tests.proofs.crash_scenes import changed_index


@pytest.fixture
def path(tmp_path: Path) -> Path:
    changed_index(tmp_path / "x")
    return tmp_path / "x"


def damage(path: Path, name: str) -> None:
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 4
    (path / name).write_bytes(bytes(data))


def only_in_older(path: Path) -> tuple[int, str]:
    """Return a generation with a file that the newest one does not need, and that file."""
    newest = referenced_files(load(path, generations(path)[-1]))
    for generation in generations(path)[-2::-1]:
        for name in sorted(referenced_files(load(path, generation)) - newest):
            if not name.startswith("manifest"):
                return generation, name
    raise AssertionError("every file is shared")


@pytest.mark.parametrize("level", ["full", "deep"])
def test_damage_of_an_older_generation(path: Path, level: colstore.store.Level) -> None:
    older = generations(path)[:-1]
    assert colstore.verify(path, level, all_generations=True).ok
    generation, name = only_in_older(path)
    damage(path, name)
    assert colstore.verify(path, level).ok
    report = colstore.verify(path, level, all_generations=True)
    assert (report.ok, report.problems) == (False, ())
    assert [checked.generation for checked in report.older] == older[::-1]
    bad = next(checked for checked in report.older if checked.generation == generation)
    assert bad.problems[0].file == name
    assert False in [checked["ok"] for checked in json.loads(json.dumps(report.to_json()))["older"]]
    with colstore.open(path) as index:
        assert not index.verify(level, all_generations=True).ok


def test_sizes_and_unreadable_manifests(path: Path) -> None:
    first, *_, last = generations(path)
    generation, name = only_in_older(path)
    os.truncate(path / name, 3)
    damage(path, f"manifest-{first:012d}.json")
    report = colstore.verify(path, "quick", all_generations=True)
    assert not next(checked for checked in report.older if checked.generation == generation).ok
    assert report.older[-1].generation == first
    assert "manifest is damaged" in report.older[-1].problems[0].message
    (path / f"manifest-{last:012d}.json").unlink()
    report = colstore.verify(path, "quick", all_generations=True)
    assert report.generation is None
    assert [checked.generation for checked in report.older][-1] == first


def test_a_shared_file_that_is_damaged_is_named_for_each(path: Path) -> None:
    shared = next(file.path for file in load(path, generations(path)[-1]).codec.files)
    damage(path, shared)
    report = colstore.verify(path, all_generations=True)
    assert shared in {problem.file for problem in report.problems}
    assert all(shared in {problem.file for problem in older.problems} for older in report.older)
