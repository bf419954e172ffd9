"""The power goes at any moment; what was not synced is lost, torn or out of order; what was acknowledged is there."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.crash_calls import Call
from tests.proofs.crash_disk import Disk
from tests.proofs.crash_scenes import SCENES

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS = ["build", "add", "delete", "replace", "compact", "clean-up"]
CRASHED = ["build after a crash", "add after a crash"]
UNSYNCED = ["add without syncing", "clean-up without syncing"]
STATES = 200
PROCESSES = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
Report = dict[str, Any]


def drive(folder: Path, scenes: list[str], count: int) -> dict[str, Report]:
    """Make states of all scenes, in two processes, and return their reports."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = []
    for number in range(PROCESSES):
        (folder / str(number)).mkdir()
        names = ";".join(scenes[number::PROCESSES])
        command = [sys.executable, "-m", "tests.proofs.crash_power", str(folder / str(number)), names, str(count)]
        running.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True))
    lines = [line for process in running for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in running] == [0] * PROCESSES
    return {report["scene"]: report for report in map(json.loads, lines)}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return drive(tmp_path_factory.mktemp("power"), OPERATIONS + CRASHED + UNSYNCED, STATES)


@pytest.mark.parametrize("scene", OPERATIONS + CRASHED)
def test_what_was_acknowledged_survives_a_power_loss(reports: dict[str, Report], scene: str) -> None:
    report = reports[scene]
    print(f"{report['states']} states, {report['checked']} of them different outside temporary files")
    assert report["failures"] == []
    assert report["states"] >= STATES
    assert report["left"].get("after", 0) > 0
    assert set(report["left"]) & {"before", "none"} or scene in ("compact", "clean-up")  # these change no answer


@pytest.mark.parametrize("scene", UNSYNCED)
def test_without_fsync_the_same_proof_finds_harm(reports: dict[str, Report], scene: str) -> None:
    assert reports[scene]["failures"] != []


@pytest.mark.slow
def test_many_more_states_of_every_operation(tmp_path: Path) -> None:
    names = [scene.name for scene in SCENES if scene.name not in ("compact", "repair")]
    again = [f"{name} after a crash" for name in ("build", "add, merging", "delete", "replace", "compact, retraining")]
    reports = drive(tmp_path, [*names, *again], 1_500)
    print({name: report["states"] for name, report in reports.items()})
    assert [report["failures"] for report in reports.values() if report["failures"]] == []
    assert sum(report["states"] for report in reports.values()) > 15_000


# --- the model itself: it must be able to lose what is not synced ----------------------------------------------


def write(path: str, data: bytes) -> list[Call]:
    return [Call("open", path, handle=1), Call("pwrite", path, data=data, handle=1)]


SYNC, SYNC_FOLDER = Call("fsync", "a.tmp", handle=1), Call("fsync", ".", handle=9)
RENAME = Call("replace", "a.tmp", "a")


def outcomes(calls: list[Call]) -> set[bytes | None]:
    """Return what a power loss after these calls can leave under the name ``a``, over a file that was there."""
    found: set[bytes | None] = set()
    for seed in range(300):
        disk = Disk({"a": b"old"})
        for call in calls:
            disk.do(call)
        found.add(disk.survivor(random.Random(seed)).get("a"))
    return found


def test_the_model_keeps_what_was_synced_and_may_lose_the_rest() -> None:
    new = b"n" * 5_000
    unsynced = outcomes([*write("a.tmp", new), RENAME])
    assert {b"old", new, b"", bytes(5_000)} <= unsynced
    assert any(found is not None and 0 < found.count(b"n") < 5_000 for found in unsynced)
    assert outcomes([*write("a.tmp", new), SYNC, RENAME]) == {b"old", new}
    assert outcomes([*write("a.tmp", new), SYNC, RENAME, SYNC_FOLDER]) == {new}
    assert outcomes([Call("unlink", "a")]) == {b"old", None}
    assert outcomes([Call("unlink", "a"), SYNC_FOLDER]) == {None}
