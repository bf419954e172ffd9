"""Imports between rooms point one way: from what people touch down to the nouns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "colstore"

# From the bottom up. A room imports from the levels below its own, never from a neighbour on the same level.
LEVELS = (
    {
        "errors",
        "extras",
        "values",
        "types",
        "notebook",
        "outputs",
        "config",
        "reports",
        "threads",
        "_neighbour",
        "_version",
    },
    {"kernels", "frozen", "lexical"},  # numeric loops, the frozen query encoder, BM25; they know no index
    {"store", "codec", "encode", "corpus"},
    {"rerank", "indexing"},
    {"snapshot"},  # one generation, open
    {"search"},  # queries -> hits
    {"updating"},  # changes, each one commit
    {"index"},
    {"api"},  # what people call by a path: build, open, verify, recover
    {"evaluate"},  # indexes are built, searched and compared
    {"colstore"},  # the public names, of everything below
    {"interchange", "distributed", "testing"},
    {"cli", "server", "integrations"},
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """``colstore.store.reader`` lies in ``store``; ``colstore`` itself is the room of the public names."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "colstore"


def module_of(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_rooms(tree: ast.AST) -> Iterator[str]:
    """Rooms of colstore that a module imports from anywhere in it, inside functions and for types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (room_of(name.name) for name in node.names if name.name.split(".")[0] == "colstore")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "colstore":
            yield from rooms_named(node)


def rooms_named(node: ast.ImportFrom) -> Iterator[str]:
    """``from colstore import store`` names a room, ``from colstore import Index`` a public name."""
    assert node.module is not None
    for name in node.names:
        names_a_room = node.module == "colstore" and name.name in LEVEL_OF and (PACKAGE / name.name).is_dir()
        yield name.name if names_a_room else room_of(node.module)


def is_allowed(importer: str, imported: str) -> bool:
    same_room = importer == imported
    both_at_the_bottom = LEVEL_OF[importer] == LEVEL_OF[imported] == 0
    return same_room or both_at_the_bottom or LEVEL_OF[imported] < LEVEL_OF[importer]


@pytest.mark.parametrize("source", SOURCES, ids=[module_of(source) for source in SOURCES])
def test_imports_point_down(source: Path) -> None:
    room = room_of(module_of(source))
    assert room in LEVEL_OF, f"{room} has no level yet: give it one in LEVELS"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    wrong = {target for target in imported_rooms(tree) if not is_allowed(room, target)}
    assert not wrong, f"{module_of(source)} must not import from {sorted(wrong)}"


@pytest.mark.parametrize("source", SOURCES, ids=[module_of(source) for source in SOURCES])
def test_imports_are_absolute(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]
    assert not relative, f"relative imports at lines {relative}: write them out, so that the test above sees them"


def test_the_check_sees_every_way_of_importing() -> None:
    tree = ast.parse(
        "import colstore.cli.build\n"
        "from colstore.store.reader import Reader\n"
        "from colstore import search, Index\n"
        "def inside():\n    import colstore\n"
    )
    assert set(imported_rooms(tree)) == {"cli", "store", "search", "colstore"}


def test_the_rule_allows_down_and_refuses_up_and_sideways() -> None:
    assert is_allowed("cli", "index")
    assert is_allowed("search", "codec")
    assert is_allowed("types", "errors")
    assert not is_allowed("store", "codec")
    assert not is_allowed("search", "index")
    for lower, upper in pairwise(LEVELS):
        assert not any(is_allowed(low, high) for low in lower for high in upper)
