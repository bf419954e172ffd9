"""No damage on disk goes unnoticed: verify finds what changes a result, and nothing changed is ever answered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from colstore.store import latest
from colstore.store.block_checks import BlockChecks
from tests.proofs import mutation
from tests.proofs.damages import KINDS, Damage, repair
from tests.proofs.mutation import Tally, Whole, damageable, judge, prepare, run

COUNT = 2_000


def check(tally: Tally, count: int) -> None:
    assert not tally.complaints, "\n".join(tally.complaints[:20])
    assert tally.outcomes.total() == count
    assert set(tally.kinds) == set(KINDS)
    # Each damage was met by something: few are in what the newest generation does not need.
    assert tally.outcomes["found"] > 0.8 * count


def test_no_damage_changes_an_answer_unnoticed(tmp_path: Path) -> None:
    check(run(tmp_path, COUNT), COUNT)


@pytest.mark.slow
def test_ten_thousand_damages_change_no_answer_unnoticed(tmp_path: Path) -> None:
    check(run(tmp_path, 10_000, seed=1), 10_000)


# --- that the proof would see it --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutation") / "x.colstore"
    damageable(folder)
    return folder


@pytest.fixture(scope="module")
def whole(index: Path) -> Whole:
    return prepare(index)


@pytest.fixture
def vectors_changed(index: Path, whole: Whole) -> Iterator[Damage]:
    """Invert half of the stored vectors of the first segment, and nothing else of it."""
    name, record = "segments/000001-0001.h5", latest(index).segments[0]
    start, stop = record.arrays["residuals"].offset, record.arrays["residuals"].nbytes // 2
    data = bytearray(whole.tree[name])
    data[start : start + stop] = bytes(byte ^ 255 for byte in data[start : start + stop])
    (index / name).write_bytes(data)
    damage = Damage(1, "vectors changed", (name,))
    yield damage
    repair(index, whole.tree, damage)


def test_it_sees_changed_answers(index: Path, whole: Whole, vectors_changed: Damage) -> None:
    assert judge(index, whole, vectors_changed) == "found"
    with ExitStack() as unchecked:
        for name in ("ensure", "ensure_spans"):
            unchecked.enter_context(patch.object(BlockChecks, name, lambda *_: None))
        assert judge(index, whole, vectors_changed).startswith("!changed silently")


def test_it_sees_what_verify_overlooks(index: Path, whole: Whole, vectors_changed: Damage) -> None:
    with patch("colstore.store.verification.check_checksum", lambda *_: None):
        assert judge(index, whole, vectors_changed).startswith("!verify found nothing")


def test_a_lost_manifest_is_not_the_generation_before(index: Path, whole: Whole) -> None:
    damage = Damage(1, "delete", (whole.newest,))
    (index / whole.newest).unlink()
    assert judge(index, whole, damage) == "found"
    (index / "NEWEST").unlink()  # with nothing to tell it by, it would be
    assert judge(index, whole, damage).startswith("!")
    repair(index, whole.tree, Damage(1, "delete", (whole.newest, "NEWEST")))


WORKER = """
import json, os, signal, sys, time
print(json.dumps({"damage": "damage 0", "kind": "noise"}), flush=True)
if sys.argv[1] == "dies":
    os.kill(os.getpid(), signal.SIGBUS)
time.sleep(60)
"""


@pytest.mark.parametrize(("how", "said"), [("dies", "the process died (exit -7)"), ("hangs", "no answer within")])
def test_it_sees_a_death_and_a_hang(monkeypatch: pytest.MonkeyPatch, how: str, said: str) -> None:
    monkeypatch.setattr(mutation, "HANG_SECONDS", 10.0 if how == "dies" else 0.3)
    tally = Tally()
    command = [sys.executable, "-c", WORKER, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert mutation.follow(worker, tally, 5) == 1
    assert len(tally.complaints) == 1
    assert said in tally.complaints[0]
