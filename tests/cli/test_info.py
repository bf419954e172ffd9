"""``colstore info``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

import colstore

Cli = Callable[..., Result]


def test_it_names_what_the_index_holds(cli: Cli, index: Path) -> None:
    result = cli("info", index)
    assert result.exit_code == 0, result.stderr
    shown = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if len(line.split()) > 1)
    assert shown["documents"] == "4"
    assert shown["dim"] == "32"


def test_json_is_what_python_gives(cli: Cli, index: Path) -> None:
    result = cli("info", index, "--json")
    with colstore.open(index) as opened:
        assert json.loads(result.stdout) == opened.info().to_json()


def test_the_model_and_every_setting_are_shown(cli: Cli, index: Path) -> None:
    shown = cli("info", index).stdout
    for word in ("fake", "bits", "pool factor", "seed"):
        assert word in shown
