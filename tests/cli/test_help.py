"""Help texts: complete, current in the docs, and with examples that run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from colstore.cli import COMMANDS, main
from colstore.encode.fake import FakeEncoder

Cli = Callable[..., Result]

REPOSITORY = Path(__file__).resolve().parents[2]


def help_of(cli: Cli, name: str) -> str:
    result = cli(name, "--help")
    assert result.exit_code == 0
    return str(result.stdout)


def examples(text: str) -> list[str]:
    return re.findall(r"^ *\$ (colstore .*)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(cli: Cli, name: str) -> None:
    text = help_of(cli, name)
    assert examples(text), f"colstore {name} --help shows no example"
    assert all(shlex.split(example)[1] == name for example in examples(text))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does_and_every_command_speaks_json(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert all(option.help for option in options if option.name != "help")
    assert "--json" in {name for option in options for name in option.opts}


def test_the_group_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    text = cli("--help").stdout
    assert all(re.search(rf"^  {name} ", text, re.MULTILINE) for name in COMMANDS)
    assert "Exit codes" in text
    assert examples(text)


def test_every_command_module_is_registered() -> None:
    sources = (REPOSITORY / "colstore" / "cli").glob("*.py")
    modules = {source.stem for source in sources if "@click.command(" in source.read_text(encoding="utf-8")}
    assert modules == set(COMMANDS)


def test_the_reference_in_the_docs_is_current() -> None:
    script = REPOSITORY / "scripts" / "cli_reference.py"
    checked = subprocess.run(
        [sys.executable, str(script), "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from colstore.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'numba', 'faiss', 'h5py', 'scipy', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.usefixtures("fake_model")
def test_the_examples_run(
    cli: Cli, tmp_path: Path, corpus: Path, queries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the commands, in a folder with a collection named as they name it."""
    (tmp_path / "work" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    shutil.copy(corpus, "data/corpus.jsonl")
    Path("new.jsonl").write_text('{"id": "moon", "text": "Its shadow turns red."}\n', encoding="utf-8")
    shutil.copy(queries, "data/queries.jsonl")
    Path("data/qrels").mkdir()
    Path("bm25.trec").write_text("0 Q0 bees 1 2.5 bm25\n0 Q0 tides 2 1.5 bm25\n", encoding="utf-8")
    judged = "query-id\tcorpus-id\tscore\n0\tbees\t1\n1\tbread\t1\n2\ttides\t1\n"
    Path("data/qrels/test.tsv").write_text(judged, encoding="utf-8")
    monkeypatch.setattr("colstore.evaluate.inputs.load_encoder", lambda *_, **__: FakeEncoder())
    for name in COMMANDS:
        for example in examples(help_of(cli, name)):
            result = cli(*shlex.split(example)[1:])
            assert result.exit_code == 0, f"{example}: {result.stderr}"
            assert result.stdout
