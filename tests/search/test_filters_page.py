"""What docs/filters.md shows is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from colstore.search.filter_grammar import OPERATORS, parse_where, where_from_texts
from colstore.search.predicates import predicate

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
STORED: tuple[dict[str, Any], ...] = ({}, {"a": None}, {"a": True}, {"a": 1}, {"a": "1"}, {"a": [1, 2]})


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables of a section, without the heads."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in cells if row[0].strip() != "---"][1:]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_operator_is_in_the_table() -> None:
    assert {name for row in rows("Grammar") for name in code(row[0])} == set(OPERATORS)


def test_the_examples_are_filters() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    examples = block.splitlines()
    assert len(examples) >= 5
    for example in examples:
        parse_where(json.loads(example))


@pytest.mark.parametrize("row", [row for row in rows("Meaning") if "a" in row[0]], ids=lambda row: row[0])
def test_the_table_of_meanings_holds(row: list[str]) -> None:
    for text in code(row[0]):
        holds = predicate(parse_where(json.loads(text)))
        assert ["yes" if holds(metadata) else "no" for metadata in STORED] == row[1:]


@pytest.mark.parametrize("row", rows("Short form"), ids=lambda row: row[0])
def test_the_short_forms_stand_for_these_filters(row: list[str]) -> None:
    (expected,) = code(row[1])
    assert parse_where(where_from_texts(code(row[0]))) == parse_where(json.loads(expected))
