"""A writer that is killed at any moment leaves the old index or the new one, and never half of one."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colstore.errors import NotAnIndexError
from colstore.store import (
    Segment,
    WriterLock,
    commit,
    generations,
    latest,
    load,
    remove_unreferenced,
    segments_folder,
    verify,
)

# Adds one segment a generation, for ever, and says so after each commit.
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from colstore.store import *

directory = Path(sys.argv[1])
with WriterLock(directory) as lock:
    number = max(generations(directory), default=0)
    manifest = latest(directory) if number else Manifest(
        generation=1, created="2026-01-31T12:00:00Z", writer="t", dim=4,
        config={}, codec=Part({}), segments=(),
    )
    remove_unreferenced(directory, [manifest] if number else [])
    while True:
        number += 1
        name = f"{number:06d}"
        kinds = {"vectors": ("<f2", (4,))}
        with SegmentWriter(segments_folder(directory), name, kinds, store_texts=True) as writer:
            for i in range(20):
                rows = {"vectors": np.full((50, 4), number, np.float16)}
                writer.append([f"{number}-{i}"], [50], rows, [("", "text " * 50, {})])
            record = writer.seal()
        parent = manifest.checksum if number > 1 else None
        manifest = replace(manifest, generation=number, parent=parent, segments=(*manifest.segments, record))
        commit(directory, manifest)
        print(number, flush=True)
"""


def run_and_kill(directory: Path, seconds: float) -> int:
    """Run the writer, kill it after its first commit, and return the last one that it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(seconds)
        process.kill()
        lines += process.stdout.readlines()
    return max(int(line) for line in lines if line.endswith("\n"))


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    directory = tmp_path / "x.colstore"
    clock = random.Random(5)
    for _ in range(6):
        acknowledged = run_and_kill(directory, clock.uniform(0, 0.2))
        manifest = latest(directory)
        assert manifest.generation in (acknowledged, acknowledged + 1)
        assert len(manifest.segments) == manifest.generation
        assert verify(directory, "full") == []
        for number, entry in enumerate(manifest.segments, start=1):
            segment = Segment.open(segments_folder(directory), entry)
            assert segment.ids.all() == [f"{number}-{i}" for i in range(20)]
            assert (segment.rows("vectors") == number).all()
    assert verify(directory, "deep") == []
    with WriterLock(directory):  # the killed writers' locks are no obstacle
        remove_unreferenced(directory, [load(directory, n) for n in generations(directory)])
    assert not [path for path in directory.rglob("*") if path.name.startswith(".tmp-")]


class Killed(BaseException):
    """Stands for the end of the process."""


STEPS = ("pwrite", "ftruncate", "fsync", "link", "open")


@pytest.mark.parametrize("call", STEPS)
def test_a_commit_that_stops_at_any_call_leaves_the_old_or_the_new_index(
    tmp_path: Path, make_index: Any, make_segment: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    import os

    directory = tmp_path / "x.colstore"
    old = make_index(directory)
    real = getattr(os, call)
    for stop_at in range(1, 100):
        calls: list[int] = []

        def stopping(*arguments: Any, stop: int = stop_at, seen: list[int] = calls, **named: Any) -> Any:
            seen.append(1)
            if len(seen) >= stop:  # a dead process makes no further calls
                raise Killed
            return real(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, stopping)
            try:
                entry = make_segment(segments_folder(directory), f"n{stop_at}", ids=[f"n{stop_at}"])
                commit(directory, replace(old, generation=old.generation + 1, segments=(entry,)))
            except Killed:
                completed = False
            else:
                completed = True
        found = latest(directory)
        assert found.generation in (old.generation, old.generation + 1)
        assert not completed or found.generation == old.generation + 1
        assert verify(directory, "full") == []
        old = found
        if completed:
            return
    pytest.fail("a commit never came to its end")


def test_without_a_first_commit_there_is_no_index(tmp_path: Path, make_segment: Any) -> None:
    make_segment(segments_folder(tmp_path))
    with pytest.raises(NotAnIndexError):
        latest(tmp_path)
