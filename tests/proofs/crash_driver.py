"""Fails an operation at each of its mutating calls in a separate process, and checks what is left on disk.

Run as ``python -m tests.proofs.crash_driver FOLDER SCENES COUNT``: names of scenes joined by ``;``, and how many faults
to try in each, 0 for all. Prints one JSON object per scene. The process is separate because it forks at each fault, and
the process of the tests may have threads by then.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import colstore
from colstore.errors import ColstoreError, CorruptIndexError, IndexExistsError, ResumeError
from colstore.store import latest, referenced_files
from colstore.updating.add import add
from colstore.updating.compact import compact
from tests.proofs.crash_calls import Before, Call, Calls, Fault, failing
from tests.proofs.crash_scenes import BY_NAME, Scene, State, build, descriptors, document, small_parts, state_or_none

OTHER_FAULTS: tuple[Fault, ...] = ("ENOSPC", "EIO", "short", "short-kill")


@dataclass
class Trial:
    """One scene, with its calls and outcome."""

    scene: Scene
    folder: Path
    before: State | None = None
    after: State | None = None
    calls: list[Call] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Path of the index that the operation changes."""
        return self.folder / "x.colstore"

    def restore(self) -> None:
        """Restore the state before the operation."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.scene.prepare is not None:
            shutil.copytree(self.folder / "pristine", self.path)

    def rehearse(self) -> None:
        """Run the operation twice without failure, to warm up and to record its calls and its outcome."""
        if self.scene.prepare is not None:
            self.scene.prepare(self.folder / "pristine")
        for _ in range(2):
            self.restore()
            self.before = state_or_none(self.path)
            with Calls(self.path).watching() as calls:
                self.scene.act(self.path)
            self.calls = calls.seen
            self.after = state_or_none(self.path)
        if self.after is None:
            raise AssertionError(f"{self.scene.name}: no index came of it")


def die_at(trial: Trial, before: Before) -> bool:
    """Run the operation in a child process that may die; tell whether the operation returned."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with Calls(trial.path, before).watching():
                trial.scene.act(trial.path)
            os.write(write, b"done")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    message = os.read(read, 10)
    os.close(read)
    os.waitpid(child, 0)
    return message == b"done"


def fail_at(trial: Trial, before: Before) -> bool:
    """Run the operation in this process; tell whether it returned, and require a named error if it did not."""
    gc.collect()
    files = descriptors()
    try:
        with Calls(trial.path, before).watching():
            trial.scene.act(trial.path)
        returned = True
    except ColstoreError:
        returned = False
    gc.collect()
    if descriptors() != files:
        raise AssertionError(f"{descriptors() - files} files stay open after the error")
    return returned


def check_litter(trial: Trial, more: set[str]) -> None:
    """Require that a failed change leaves no segment, and that a build that wrote nothing leaves no file."""
    if more == {"LOCK"}:
        raise AssertionError("a build of which nothing came leaves its lock")
    if trial.before is None and not more and trial.path.is_dir() and trial.scene.prepare is None:
        raise AssertionError("a build of which nothing came leaves its folder")
    if not trial.scene.builds and state_or_none(trial.path) == trial.before != trial.after:
        left = [name for name in more if re.fullmatch(r"segments/[^.]+\.h5", name)]
        if left:
            raise AssertionError(f"nothing was changed, but {left} stay")


def names(path: Path) -> set[str]:
    """Return the files of an index."""
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def check(trial: Trial, *, returned: bool) -> str:
    """Return which of the promised states is left; raise if it is none of them."""
    left = state_or_none(trial.path)
    if left is None and (trial.before is not None or returned):
        raise AssertionError("the index is gone")
    if left not in (trial.before, trial.after) or (returned and left != trial.after):
        raise AssertionError(f"neither of the states that were acknowledged (returned: {returned}): {left}")
    kind = "none" if left is None else "after" if left == trial.after else "before"
    if left is not None:
        _check_sound(trial)
    return kind


def check_life_goes_on(trial: Trial, left: str, *, thorough: bool) -> None:
    """Start the build again, or make the next change; ``left`` is what :func:`check` returned."""
    if trial.scene.builds and left != "after":
        _build_again(trial, thorough=thorough)
        left = "after"
    _check_next_change(trial, trial.after if left == "after" else trial.before, thorough=thorough)


def _check_sound(trial: Trial) -> None:
    report = colstore.verify(trial.path, "deep")
    if not (report.ok or (trial.scene.name == "repair" and report.nothing_lost)):
        raise AssertionError(f"verify: {report.problems}")


def _build_again(trial: Trial, *, thorough: bool) -> None:
    """Start or resume the build, and require the index that it would have made without the fault."""
    first = 300 if trial.scene.name in ("build, again", "build, overwriting") else 0
    if trial.scene.name == "create":
        trial.scene.act(trial.path)
    elif first == 0 and not (trial.path / "building").is_dir():
        build(trial.path)
    elif thorough:
        build(trial.path, first, overwrite=True)
    else:
        _resume(trial, first)
    if state_or_none(trial.path) != trial.after:
        raise AssertionError("building again made something else")


def _resume(trial: Trial, first: int) -> None:
    """Resume a build; only one that begins over another index may be refused with a named error."""
    begun = (trial.path / "building" / "state.json").exists()
    try:
        build(trial.path, first, resume=True)
    except (IndexExistsError, ResumeError, CorruptIndexError):
        if trial.scene.name != "build, again" and (begun or trial.scene.name != "build, overwriting"):
            raise
        build(trial.path, first, overwrite=True)


def _check_next_change(trial: Trial, held: State | None, *, thorough: bool) -> None:
    """Make a change and, if ``thorough``, a clean-up, after which no unneeded file may be left."""
    add(trial.path, [document(999)])
    if thorough:
        compact(trial.path, clean=True)
        _check_sound(trial)
        _check_tidy(trial.path)
    with colstore.open(trial.path) as index:
        if held is None or len(index) != len(held.ids) + 1 or not all(name in index for name in (*held.ids, "d999")):
            raise AssertionError("the next change lost something")


def _check_tidy(path: Path) -> None:
    needless = names(path) - referenced_files(latest(path)) - {"LOCK", "NEWEST"}
    needless = {name for name in needless if not name.startswith("building/")}  # until it is built again
    if needless:
        raise AssertionError(f"a clean-up left {sorted(needless)}")


@dataclass(frozen=True, slots=True)
class Point:
    """A fault at a call, counted from 1. A number beyond the last call stands for no fault."""

    fault: Fault
    at: int
    call: Call | None


def fault_points(calls: Sequence[Call]) -> list[Point]:
    """Return every fault at every call where it can occur."""
    points = [Point("kill", at, call) for at, call in enumerate([*calls, None], start=1)]
    for at, call in enumerate(calls, start=1):
        faults = [fault for fault in OTHER_FAULTS if len(call.data) > 1 or not fault.startswith("short")]
        points += [Point(fault, at, call) for fault in faults]
    return points


def selected(points: list[Point], count: int) -> list[Point]:
    """Return about ``count`` of the points, the same ones each time: each fault at each kind of call, then any."""
    random.Random(5).shuffle(points)
    kinds: dict[tuple[str, str], Point] = {}
    for point in points:
        kinds.setdefault((point.fault, "" if point.call is None else point.call.name), point)
    chosen = set(kinds.values())
    rest = [point for point in points if point not in chosen]
    return [*kinds.values(), *rest[: max(0, count - len(kinds))]]


def torture(trial: Trial, points: Sequence[Point]) -> None:
    """Try some faults."""
    for number, point in enumerate(points):
        trial.restore()
        there = names(trial.path)
        try:
            act: Callable[[Trial, Before], bool] = die_at if "kill" in point.fault else fail_at
            returned = act(trial, failing(point.fault, point.at))
            if not returned and "kill" not in point.fault and point.call is not None and point.call.name != "fsync":
                check_litter(trial, names(trial.path) - there)
            left = check(trial, returned=returned)
            check_life_goes_on(trial, left, thorough=number % 6 == 0)
            trial.found[left] += 1
        except Exception as error:
            where = f"{point.fault} at call {point.at} of {len(trial.calls)}"
            if point.call is not None:
                where += f", {point.call.name} {point.call.path} {point.call.target}"
            trial.failures.append(f"{where}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
        trial.points[point.fault] += 1


def run(name: str, folder: Path, count: int) -> dict[str, Any]:
    """Run one scene and return the result as JSON data."""
    start = time.perf_counter()
    folder.mkdir()
    trial = Trial(BY_NAME[name], folder)
    with small_parts():
        trial.rehearse()
        gc.freeze()  # what is loaded by now need not be looked through at each point
        points = fault_points(trial.calls)
        torture(trial, selected(points, count) if count else points)
    shutil.rmtree(folder)
    return {
        "scene": name,
        "calls": Counter(call.name for call in trial.calls),
        "points": trial.points,
        "left": trial.found,
        "failures": trial.failures,
        "seconds": round(time.perf_counter() - start, 2),
    }


def no_sync(descriptor: int) -> None:
    """Stand for ``os.fsync``."""


def main(folder: str, scenes: str, count: str) -> None:
    """Do some scenes, one after another."""
    with mock.patch.object(os, "fsync", no_sync):  # only processes die here; see the proofs of power loss
        for number, name in enumerate(scenes.split(";")):
            print(json.dumps(run(name, Path(folder) / str(number), int(count))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
