"""Records the writes of operations, and checks every state that a power loss during them could leave.

Run as ``python -m tests.proofs.crash_power FOLDER SCENES COUNT``: names of scenes joined by ``;``, and how many states
to make of each. Prints one JSON object per scene.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import re
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tests.proofs.crash_calls import Call, Calls
from tests.proofs.crash_disk import Disk, Tree, tree_of, write_tree
from tests.proofs.crash_driver import Trial, check, check_life_goes_on, no_sync
from tests.proofs.crash_scenes import BY_NAME, Scene, build, small_parts, state_or_none

TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{32}-")


CRASHED, UNSYNCED = " after a crash", " without syncing"
"""What a scene's name may end with: a process died in the middle before; all fsyncs are left out (and harm is done)."""


class Killed(BaseException):
    """Stands for the end of a process, where its writes must be recorded."""


class Recording:
    """A scene, recorded: what was there, each call with what it wrote, and what came of it."""

    def __init__(self, scene: Scene, folder: Path, luck: random.Random) -> None:
        self.trial = Trial(scene, folder)
        self.trial.rehearse()
        self.trial.restore()
        self.start = tree_of(folder)
        self.starts = {path: content for path, content in self.start.items() if path.split("/")[0] == "x.colstore"}
        self.luck = luck

    def whole(self) -> list[list[Call]]:
        """Return the calls of the operation."""
        return [self._record(None)]

    def after_a_crash(self) -> list[list[Call]]:
        """Return the calls of the operation in a process that died in the middle, and in one that did it again."""
        count = len(self._record(None)[:-1])
        self.trial.restore()
        first = self._record(self.luck.randrange(1, count))
        return [first, self._record(None, again=True)]

    def _record(self, stop_at: int | None, *, again: bool = False) -> list[Call]:
        made: list[Call] = []

        def before(call: Call) -> None:
            if stop_at is not None and len(made) >= stop_at:  # the dead make no calls
                raise Killed
            made.append(call)

        try:
            with Calls(self.trial.folder, before).watching():
                if again and self.trial.scene.builds:
                    build(self.trial.path, resume=True)
                else:
                    self.trial.scene.act(self.trial.path)
        except Killed:
            pass
        return made


def moments(recordings: Sequence[Sequence[Call]], luck: random.Random) -> tuple[list[Call], int]:
    """Return the calls up to a power loss during the last recording, and where that begins in them."""
    earlier = sum(len(calls) for calls in recordings[:-1])
    last = recordings[-1]
    at = luck.randrange(len(last) + 1)
    if luck.random() < 0.6:  # what happens between two writes of a file is much alike
        turns = [i for i, call in enumerate(last) if call.name != "pwrite"]
        at = luck.choice([*turns, len(last)])
    return [*(call for calls in recordings[:-1] for call in calls), *last[:at]], earlier


def survivors(start: Tree, recordings: Sequence[Sequence[Call]], luck: random.Random) -> Iterator[tuple[Tree, int]]:
    """Yield, without end, trees that a power loss could leave, each with the number of calls done of the last."""
    while True:
        calls, earlier = moments(recordings, luck)
        disk = Disk(start)
        for number, call in enumerate(calls):
            if number == earlier:
                disk.begin()
            disk.do(call)
        yield disk.survivor(luck), len(calls) - earlier


def fingerprints(tree: Tree) -> tuple[str, str]:
    """Return a digest of a tree, and one that leaves out what is in temporary files, which nobody reads."""
    whole, shown = hashlib.sha256(), hashlib.sha256()
    for path, content in sorted((TEMPORARY.sub(".tmp-", path), content) for path, content in tree.items()):
        whole.update(repr((path, content)).encode())
        shown.update(repr((path, None if ".tmp-" in path else content)).encode())
    return whole.hexdigest(), shown.hexdigest()


def try_states(recording: Recording, recordings: Sequence[Sequence[Call]], count: int) -> dict[str, Any]:
    """Make different states and check each; those that differ only inside temporary files are checked once."""
    trial, luck = recording.trial, recording.luck
    seen: set[str] = set()
    checked: set[tuple[str, bool]] = set()
    left: Counter[str] = Counter()
    failures: list[str] = []
    for attempt, (tree, done) in enumerate(survivors(recording.starts, recordings, luck)):
        if len(seen) >= count or attempt > 20 * count:
            break
        whole, shown = fingerprints(tree)
        returned = done == len(recordings[-1])
        if (shown, returned) not in checked:
            shutil.rmtree(trial.folder)
            write_tree(trial.folder, tree)
            try:
                found = check(trial, returned=returned)
                if len(checked) % 5 == 0:
                    check_life_goes_on(trial, found, thorough=len(checked) % 10 == 0)
                left[found] += 1
            except Exception as error:
                failures.append(f"after {done} calls: {type(error).__name__}: {error}\n{traceback.format_exc()}")
        seen.add(whole)
        checked.add((shown, returned))
    return {"states": len(seen), "checked": len(checked), "left": left, "failures": failures}


def run(name: str, folder: Path, count: int) -> dict[str, Any]:
    """Run one scene and return the result as JSON data."""
    start = time.perf_counter()
    scene = name.removesuffix(CRASHED).removesuffix(UNSYNCED)
    folder.mkdir()
    with small_parts():
        recording = Recording(BY_NAME[scene], folder, random.Random(name))
        calls = recording.after_a_crash() if name.endswith(CRASHED) else recording.whole()
        if state_or_none(recording.trial.path) != recording.trial.after:
            raise AssertionError(f"{name}: the recorded run came to something else")
        if name.endswith(UNSYNCED):
            calls = [[call for call in part if call.name != "fsync"] for part in calls]
            count //= 5
        gc.freeze()
        found = try_states(recording, calls, count)
    shutil.rmtree(folder)
    return {
        "scene": name,
        "calls": sum(len(part) for part in calls),
        **found,
        "seconds": round(time.perf_counter() - start, 2),
    }


def main(folder: str, scenes: str, count: str) -> None:
    """Run several scenes, one after the other."""
    with mock.patch.object(os, "fsync", no_sync):  # the disk is a model
        for number, name in enumerate(scenes.split(";")):
            print(json.dumps(run(name, Path(folder) / str(number), int(count))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
