"""``colstore create``: an empty index that ``colstore add`` fills."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import colstore

Cli = Callable[..., Result]


@pytest.mark.usefixtures("fake_model")
def test_an_index_is_created_filled_and_searched(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.colstore"
    created = cli("create", path, "--model", "embedded", "--bits", "2", "--json")
    assert created.exit_code == 0, created.stderr
    assert json.loads(created.stdout)["index"] == str(path)
    assert cli("search", path, "moon").stdout == ""
    assert cli("add", path, corpus).exit_code == 0
    assert cli("search", path, "moon").stdout
    info = json.loads(cli("info", path, "--json").stdout)
    assert (info["bits"], info["trained"], info["config"]["bits"]) == (16, False, 2)


def test_an_index_of_vectors(cli: Cli, tmp_path: Path) -> None:
    result = cli("create", tmp_path / "x", "--dim", "8", "--no-texts")
    assert result.stdout == f"{tmp_path / 'x'}: an empty index of 8 dimensions\n"
    with colstore.open(tmp_path / "x") as index:
        assert index.info().config["store_texts"] is False
    assert cli("create", tmp_path / "x", "--dim", "8").exit_code == 1


@pytest.mark.parametrize("options", [(), ("--model", "embedded", "--dim", "8")])
def test_either_a_model_or_a_dimension(cli: Cli, tmp_path: Path, options: tuple[str, ...]) -> None:
    result = cli("create", tmp_path / "x", *options)
    assert result.exit_code == 2
    assert "either --model or --dim" in " ".join(result.stderr.split())
    assert not (tmp_path / "x").exists()
