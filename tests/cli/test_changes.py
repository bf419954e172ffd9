"""``colstore add``, ``delete``, ``compact``, ``verify`` and ``recover``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import colstore
from colstore.store import WriterLock, latest
from colstore.store.format import manifest_name

Cli = Callable[..., Result]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return a JSONL file of a new document and one that the index holds."""
    path = tmp_path / "new.jsonl"
    rows = [{"id": "moon", "text": "Its shadow turns red."}, {"id": "bees", "text": "Bees hum."}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def test_adding_refuses_known_ids_and_says_what_to_do(cli: Cli, index: Path, new: Path) -> None:
    result = cli("add", index, new)
    assert result.exit_code == 1
    assert "'bees'" in result.stderr
    assert "nothing was added" in result.stderr
    assert latest(index).generation == 1


@pytest.mark.parametrize(("way", "words"), [("replace", "1 added, 1 replaced"), ("skip", "skipped: 1 duplicate")])
def test_adding_tells_what_became_of_each_document(cli: Cli, index: Path, new: Path, way: str, words: str) -> None:
    result = cli("add", index, new, "--on-duplicate", way)
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout
    assert "generation 2, 5 documents in 2 segments" in result.stdout
    assert "moon" in cli("search", index, "its shadow turns red").stdout


def test_adding_from_standard_input(cli: Cli, index: Path) -> None:
    result = cli("add", index, "-", "--json", input='{"id": "moon", "text": "Its shadow."}\n')
    report = json.loads(result.stdout)
    assert (report["added"], report["documents"], report["index"]) == (1, 5, str(index))


def test_deleting(cli: Cli, index: Path) -> None:
    assert "2 deleted" in cli("delete", index, "bees", "rost").stdout
    result = cli("delete", index, "bees")
    assert (result.exit_code, "nothing was deleted" in result.stderr) == (1, True)
    result = cli("delete", index, "--ids", "-", "--missing", "skip", "--json", input="bees\ntides\n\n")
    report = json.loads(result.stdout)
    assert (report["deleted"], report["unknown"], report["documents"]) == (1, 1, 1)


def test_deleting_nothing_is_a_mistake_on_the_command_line(cli: Cli, index: Path) -> None:
    assert cli("delete", index).exit_code == 2


def test_ids_in_another_encoding_are_named(cli: Cli, index: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes("Bär\n".encode("latin-1"))
    result = cli("delete", index, "--ids", tmp_path / "ids.txt")
    assert (result.exit_code, "ids.txt" in result.stderr) == (1, True)


def test_compacting(cli: Cli, index: Path, new: Path) -> None:
    cli("add", index, new, "--on-duplicate", "replace")
    result = cli("compact", index)
    assert "2 segments merged" in result.stdout
    assert "nothing to do" in cli("compact", index).stdout
    report = json.loads(cli("compact", index, "--retrain", "--clean", "--json").stdout)
    assert (report["documents"], report["loss"], report["segments"]) == (5, pytest.approx(0, abs=1e-6), 1)
    assert report["removed_files"] > 0


def test_a_busy_index_is_an_error_that_names_the_writer(cli: Cli, index: Path) -> None:
    with WriterLock(index):
        for arguments in (["delete", index, "bees"], ["compact", index, "--wait", "0.1"]):
            result = cli(*arguments)
            assert (result.exit_code, "is writing to this index" in result.stderr) == (1, True)


def test_info_shows_what_changed(cli: Cli, index: Path, new: Path) -> None:
    cli("add", index, new, "--on-duplicate", "replace")
    info = json.loads(cli("info", index, "--json").stdout)
    assert (info["documents"], info["deleted"], info["segments"], info["generation"]) == (5, 1, 2, 2)
    assert info["drift"] > 0
    assert 0 < info["deleted_share"] < 1
    for word in ("deleted share", "drift", "generation", "advice"):
        assert word in cli("info", index).stdout


# --- verify -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["quick", "full", "deep"])
def test_a_sound_index_exits_with_0(cli: Cli, index: Path, level: str) -> None:
    result = cli("verify", index, f"--{level}")
    assert (result.exit_code, f"sound ({level})" in result.stdout) == (0, True)


def test_the_checksums_are_checked_by_default(cli: Cli, index: Path) -> None:
    flip(index / latest(index).segments[0].files[0].path)
    assert cli("verify", index, "--quick").exit_code == 0
    result = cli("verify", index)
    assert (result.exit_code, "DAMAGED" in result.stdout, "segments/" in result.stdout) == (3, True, True)
    report = json.loads(cli("verify", index, "--json").stdout)
    assert (report["ok"], report["nothing_lost"], len(report["problems"])) == (False, False, 1)


def test_what_cannot_be_checked_exits_with_1(cli: Cli, tmp_path: Path, index: Path) -> None:
    assert cli("verify", tmp_path / "nothing").exit_code == 1
    assert cli("verify", tmp_path).exit_code == 1
    assert cli("verify").exit_code == 2
    with WriterLock(index):
        centroids: Any = latest(index).centroids
        flip(index / centroids.path)
        assert cli("verify", index, "--repair").exit_code == 1


def test_derived_files_are_made_anew_on_request(cli: Cli, index: Path) -> None:
    centroids: Any = latest(index).centroids
    flip(index / centroids.path)
    result = cli("verify", index)
    assert (result.exit_code, "--repair rebuilds them" in result.stdout) == (3, True)
    result = cli("verify", index, "--repair")
    assert (result.exit_code, "rebuilt: centroids-" in result.stdout) == (0, True)
    assert cli("verify", index, "--deep").exit_code == 0


# --- recover ----------------------------------------------------------------------------------------------------


def test_recovering_shows_and_does(cli: Cli, index: Path) -> None:
    cli("delete", index, "bees")
    cli("add", index, "-", input='{"id": "moon", "text": "Its shadow."}\n')
    lines = cli("recover", index).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["generation 3", "generation 2", "generation 1"]
    assert "4 documents, would lose 1 (such as moon), bring back 1 deleted" in lines[2]
    assert "generation 4 has the content of generation 1" in cli("recover", index, "--generation", "1").stdout
    with colstore.open(index) as opened:
        assert ("bees" in opened, "moon" in opened) == (True, False)
    assert cli("recover", index, "--generation", "9").exit_code == 1


def test_recovering_when_nothing_can_be_opened(cli: Cli, index: Path) -> None:
    cli("delete", index, "bees")
    flip(index / manifest_name(2))
    assert cli("info", index).exit_code == 3
    result = cli("verify", index)
    assert (result.exit_code, "colstore recover" in result.stdout) == (3, True)
    shown = json.loads(cli("recover", index, "--json").stdout)["generations"]
    assert [(item["number"], item["ok"]) for item in shown] == [(2, False), (1, True)]
    assert "DAMAGED" in cli("recover", index).stdout
    result = cli("recover", index, "--generation", "1", "--json")
    assert json.loads(result.stdout) == {"index": str(index), "generation": 3, "like": 1}
    assert cli("search", index, "bees").exit_code == 0
