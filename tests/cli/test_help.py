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


def options_of(name: str) -> list[click.Option]:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return [option for option in command.params if isinstance(option, click.Option)]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_texts_are_sentences_in_plain_english(name: str) -> None:
    for option in options_of(name):
        text = option.help or ""
        assert not text.startswith(("Of ", "That ", "As ")), f"{name} {option.opts[-1]}: {text}"
        assert re.match(r"[A-Z]", text), f"{name} {option.opts[-1]}: {text}"
        assert re.search(r"[.\])]$", text), f"{name} {option.opts[-1]}: {text}"
        assert "question" not in text.lower(), f"{name} {option.opts[-1]}: {text}"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_an_option_takes_is_named_in_one_way(name: str) -> None:
    for option in options_of(name):
        if option.is_flag or isinstance(option.type, click.Choice):
            continue
        assert option.metavar, f"{name} {option.opts[-1]} shows click's own name for what it takes"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_fits_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with click.Context(main, **main.context_settings) as context:
        (line,) = re.findall(rf"^  {name} .*$", main.get_help(context), re.MULTILINE)
    assert len(line) <= 80
    assert line.endswith(".")
    assert not line.endswith("...")


SHARED = (
    *("-k", "--json", "--wait", "--on-error", "--on-duplicate", "--on-unknown-query", "--ids", "--where", "--model"),
    *("--device", "--backend", "--trust-remote-code", "--threads", "--queries", "--qrels", "--seed", "--overwrite"),
    *("--first-stage", "--reranker", "--rerank-depth", "--policy", "--keep", "--exact", "--probes", "--run", "--texts"),
)
DROPPED = (
    "--ids-from",
    "--skip-duplicates",
    "--skip-unknown-queries",
    "--rerank",
    "--read",
    "--cross-encoder",
    "--limit",
)


def test_one_option_has_one_name_and_one_kind_of_value_everywhere() -> None:
    kinds: dict[str, set[tuple[str, bool, str | None]]] = {}
    for name in COMMANDS:
        for option in options_of(name):
            for spelling in option.opts:
                takes_choice = isinstance(option.type, click.Choice)
                kind = ("choice" if takes_choice else option.type.name, option.is_flag, option.metavar)
                kinds.setdefault(spelling, set()).add(kind)
    assert set(SHARED) <= kinds.keys()
    different = {spelling: found for spelling, found in kinds.items() if len(found) > 1 and spelling in SHARED}
    assert not different


@pytest.mark.parametrize("name", COMMANDS)
def test_names_that_were_given_up_are_not_shown(cli: Cli, name: str) -> None:
    assert not set(re.findall(r"--[a-z-]+", cli(name, "--help").stdout)) & set(DROPPED)


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
