"""What the command line says where the surroundings are not as usual: one line, with a remedy."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from click.testing import Result

import colstore
from colstore.errors import KernelCacheWarning, StorageError
from tests.updating.test_verify_all import damage, only_in_older

Cli = Callable[..., Result]


def test_a_warning_of_ours_is_one_line(cli: Cli, index: Path) -> None:
    def search(*_: object, **__: object) -> list[colstore.Hit]:
        warnings.warn("kernels are kept in /tmp/x;\nset COLSTORE_CACHE", KernelCacheWarning, stacklevel=1)
        return []

    with warnings.catch_warnings(), mock.patch.object(colstore.Index, "search", search):
        warnings.simplefilter("always")
        result = cli("search", index, "bees")
    assert result.exit_code == 0
    lines = [line for line in result.stderr.splitlines() if "COLSTORE_CACHE" in line]
    assert len(lines) == 1
    assert lines[0].startswith("colstore: warning: kernels are kept in /tmp/x;")
    assert "warnings.warn" not in result.stderr


@pytest.mark.parametrize("command", ["build", "add", "create", "search", "rerank", "tune", "compare"])
def test_pickled_weights_can_be_allowed_wherever_code_can(cli: Cli, command: str) -> None:
    text = cli(command, "--help").stdout
    assert ("--allow-pickle" in text) == ("--trust-remote-code" in text) is True


def test_pickled_weights_are_refused_with_advice_for_the_command_line(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "old"
    model.mkdir()
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (model / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    (model / "pytorch_model.bin").write_bytes(b"PK")
    result = cli("build", corpus, "-o", tmp_path / "x", "--model", model)
    assert result.exit_code == 1
    assert "allow them with --allow-pickle" in " ".join(result.stderr.split())
    result = cli("build", corpus, "-o", tmp_path / "x", "--model", model, "--allow-pickle")
    assert result.exit_code == 1
    assert "--allow-pickle" not in result.stderr
    assert not (tmp_path / "x").exists()


def test_an_interrupt_after_the_commit_says_so(cli: Cli, index: Path) -> None:
    with mock.patch.object(colstore.Index, "refresh", side_effect=KeyboardInterrupt):
        result = cli("delete", index, "bees")
    assert result.exit_code == 130
    assert "committed as generation 2, so do not repeat it" in " ".join(result.stderr.split())


def test_a_change_with_a_note_succeeds(cli: Cli, index: Path) -> None:
    with mock.patch("colstore.updating.change.clean_up", side_effect=StorageError("no permission")):
        result = cli("delete", index, "bees")
    assert result.exit_code == 0
    assert "note: old files could not be removed" in result.stdout
    assert "no permission" in " ".join(result.stdout.split())


def test_a_read_only_index_is_named(cli: Cli, index: Path) -> None:
    def read_only(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    with mock.patch("os.open", read_only):
        result = cli("delete", index, "bees")
    assert result.exit_code == 1
    assert str(index) in result.stderr.replace("\n  ", "")
    assert "read-only" in result.stderr.lower()


def test_verifying_all_generations(cli: Cli, index: Path) -> None:
    assert cli("delete", index, "bees").exit_code == 0
    assert cli("compact", index).exit_code == 0
    assert cli("verify", index, "--all").exit_code == 0
    _, name = only_in_older(index)
    damage(index, name)
    assert cli("verify", index).exit_code == 0
    result = cli("verify", index, "--all")
    assert result.exit_code == 3
    assert "DAMAGED" in result.stdout
    assert "sound (full): generation 3" in " ".join(result.stdout.split())
