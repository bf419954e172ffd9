"""A writer that dies, or whose disk fails or fills up, at any call: what was acknowledged is there, whole."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore.errors import IndexLockedError
from tests.proofs.crash_scenes import SCENES, changed_index, document, matrix

REPOSITORY = Path(__file__).resolve().parents[2]
USUAL = 20
PROCESSES = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
USUAL_SCENES = [
    "build",
    "build, overwriting",
    "add",
    "add, merging",
    "add, training",
    "create",
    "delete",
    "replace",
    "compact",
    "compact, retraining",
    "clean-up",
    "recover",
]
Report = dict[str, Any]


def drive(folder: Path, scenes: list[str], count: int) -> dict[str, Report]:
    """Run scenes, in two processes, and return their reports."""
    command = [sys.executable, "-m", "tests.proofs.crash_driver"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # a fork does not take other threads along
    running = []
    for number in range(PROCESSES):
        (folder / str(number)).mkdir()
        names = ";".join(scenes[number::PROCESSES])
        arguments = [*command, str(folder / str(number)), names, str(count)]
        running.append(subprocess.Popen(arguments, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True))
    lines = [line for process in running for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in running] == [0] * PROCESSES
    return {report["scene"]: report for report in map(json.loads, lines)}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return drive(tmp_path_factory.mktemp("crash"), USUAL_SCENES, USUAL)


@pytest.mark.parametrize("scene", USUAL_SCENES)
def test_whatever_fails_what_was_acknowledged_is_there(reports: dict[str, Report], scene: str) -> None:
    report = reports[scene]
    assert report["failures"] == []
    assert sum(report["points"].values()) >= USUAL
    assert report["left"].get("after", 0) > 0


def test_there_were_enough_fault_points(reports: dict[str, Report]) -> None:
    faults = sum((Counter(report["points"]) for report in reports.values()), Counter[str]())
    print(f"{faults.total()} fault points: {dict(faults)}")
    assert faults.total() >= 250
    assert all(faults[fault] >= 10 for fault in ("kill", "ENOSPC", "EIO", "short", "short-kill"))
    assert {scene for scene, report in reports.items() if report["left"].get("before")} >= {"add", "delete", "replace"}


@pytest.mark.slow
def test_every_fault_at_every_call(tmp_path: Path) -> None:
    reports = drive(tmp_path, [scene.name for scene in SCENES], 0)
    faults = sum((Counter(report["points"]) for report in reports.values()), Counter[str]())
    print(f"{faults.total()} fault points in {len(reports)} operations: {dict(faults)}")
    assert [report["failures"] for report in reports.values() if report["failures"]] == []
    assert faults.total() > 5_000


# --- is the layer complete? -----------------------------------------------------------------------------------

COUNTED = {"pwrite64": "pwrite", "write": "write", "openat": "open", "rename": "replace", "ftruncate": "ftruncate"}
NAMES = (
    "pwrite64",
    "write",
    "ftruncate",
    "truncate",
    "fsync",
    "fdatasync",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "symlink",
    "flock",
    "openat",
    "open",
    "creat",
    "pwritev",
    "writev",
    "fallocate",
    "copy_file_range",
    "sendfile",
    "mknod",
    "mknodat",
)

SEEN = """
import json, os, sys
from collections import Counter
from pathlib import Path
from tests.proofs.crash_calls import Calls
from tests.proofs.crash_scenes import BY_NAME, small_parts

path = Path(sys.argv[1])
seen = Counter()
with small_parts():
    for name in ("build", "add", "delete", "replace", "compact, retraining", "clean-up"):
        scene, place = BY_NAME[name], path / name
        if scene.prepare is not None:
            scene.prepare(place)
        os.path.exists(f"/begin/{name}")
        with Calls(place, real_sync=True).watching() as calls:
            scene.act(place)
        os.path.exists(f"/end/{name}")
        seen.update(call.name for call in calls.seen)
print(json.dumps(seen))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="NEEDS strace, to hear the kernel's side")
def test_the_layer_sees_what_the_kernel_sees(tmp_path: Path) -> None:
    log = tmp_path / "strace.txt"
    traced = ",".join((*NAMES, "stat", "newfstatat"))
    command = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={traced}", sys.executable, "-c", SEEN, str(tmp_path)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if "ptrace" in run.stderr:
        pytest.skip(f"NEEDS strace with the right to trace: {run.stderr[:200]}")
    assert run.returncode == 0, run.stderr
    assert kernel_calls(log.read_text(), f"{tmp_path}/") == Counter(json.loads(run.stdout))


def kernel_calls(log: str, root: str) -> Counter[str]:
    """Return the mutating calls below ``root`` between the marks, by the names that the layer gives them."""
    found: Counter[str] = Counter()
    inside = False
    for line in log.splitlines():
        if '"/begin/' in line or '"/end/' in line:
            inside = '"/begin/' in line
            continue
        match = re.match(r"\d+\s+(\w+)\(", line)
        if not inside or match is None or root not in line or match[1] not in NAMES:
            continue
        if match[1] in ("openat", "open") and "O_CREAT" not in line and "O_TRUNC" not in line:
            assert "O_WRONLY" not in line
            assert "O_RDWR" not in line, line
            continue
        found[COUNTED.get(match[1], match[1])] += 1
    return found


# --- real processes, really killed -----------------------------------------------------------------------------

WRITER = """
import sys
import colstore
from tests.proofs.crash_scenes import document

index, step = colstore.open(sys.argv[1]), int(sys.argv[2])
while True:
    step += 1
    number = 1000 + step % 7
    kind = step % 6
    if kind == 5:
        index.compact(retrain=step % 4 == 1, clean=step % 3 == 0)
        print("compact", step, flush=True)
    elif kind == 4:
        index.delete([f"d{number}"], missing="skip")
        print("delete", number, flush=True)
    else:
        index.replace([document(number, 5000 + step), document(2000 + step)])
        print("replace", number, 5000 + step, 2000 + step, flush=True)
"""


def kill_one(path: Path, step: int, seconds: float) -> list[list[str]]:
    """Let a writer work for some seconds after its first change, kill it, and return what it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path), str(step)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(seconds)
        process.kill()
        lines += process.stdout.readlines()
    return [line.split() for line in lines if line.endswith("\n")]


def note(truth: dict[str, int], words: list[str]) -> None:
    """Bring a dict of id to seed up to date with an acknowledged change."""
    if words[0] == "delete":
        truth.pop(f"d{words[1]}", None)
    elif words[0] == "replace":
        truth[f"d{words[1]}"] = int(words[2])
        truth[f"d{words[3]}"] = int(words[3])


def check_killed(path: Path, truth: dict[str, int], step: int) -> dict[str, int]:
    """Compare an index with what was acknowledged, or with one change more; return what it holds."""
    with colstore.open(path) as index:
        hits = index.search(matrix(900), k=10_000)
        held = {hit.id: int(str(hit.metadata["n"])) for hit in hits}
        assert len(held) == len(hits) == len(index)
    one_more = dict(truth)
    number = 1000 + (step + 1) % 7
    if (step + 1) % 6 == 4:
        note(one_more, ["delete", str(number)])
    elif (step + 1) % 6 != 5:
        note(one_more, ["replace", str(number), str(5001 + step), str(2001 + step)])
    assert held in (truth, one_more)
    assert colstore.verify(path, "deep").ok
    return held


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "x.colstore"
    changed_index(path)
    with colstore.open(path) as index:
        index.replace([document(n) for n in range(60)])
        truth = {f"d{n}": n for n in range(60)}
    clock, step = random.Random(7), 0
    for _ in range(40):
        acknowledged = kill_one(path, step, clock.uniform(0, 0.4))
        for words in acknowledged:
            note(truth, words)
        step += len(acknowledged)
        truth = check_killed(path, truth, step)
        step += 12  # whether the last change counts, the next writer begins with others


def test_a_writer_whose_lock_cannot_be_noted_still_writes_and_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the note in the lock is only for messages."""
    path = tmp_path / "x.colstore"
    changed_index(path)
    real = os.ftruncate

    def full(descriptor: int, size: int) -> None:
        if size == 0:
            raise OSError(28, "No space left on device")
        real(descriptor, size)

    with monkeypatch.context() as patch, colstore.open(path) as index:
        patch.setattr(os, "ftruncate", full)
        index.delete(["d5"])
    try:
        colstore.open(path).delete(["d6"])
    except IndexLockedError:  # pragma: no cover - the bug that this test is about
        pytest.fail("the lock was never released")
