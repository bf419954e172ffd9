"""``colstore tune``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import colstore

Cli = Callable[..., Result]


def test_what_was_found_is_printed_and_stored(cli: Cli, index: Path, queries: Path) -> None:
    result = cli("tune", index, "--queries", queries, "-k", 2)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("3 queries, k = 2")
    assert "stored" in result.stdout.splitlines()[-1]
    with colstore.open(index) as opened:
        assert opened.info().tuned is not None
    assert cli("search", index, "yeast").exit_code == 0


def test_json_is_the_report(cli: Cli, index: Path, queries: Path) -> None:
    result = cli("tune", index, "--queries", queries, "--max-queries", 2, "--json")
    assert result.exit_code == 0, result.exception
    report = json.loads(result.stdout)
    assert report["queries"] == 2
    assert report["recall"] == pytest.approx(1.0)


def test_without_questions_pseudo_queries_stand_in(cli: Cli, index: Path) -> None:
    """An index of fewer documents than the hits that are asked for, too."""
    result = cli("tune", index)
    assert result.exit_code == 0, result.exception
    assert "pseudo-queries" in result.stdout.splitlines()[0]


def test_a_recall_that_cannot_be(cli: Cli, index: Path) -> None:
    assert cli("tune", index, "--recall", 1.5).exit_code == 2
