"""``colstore build``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

import colstore
from colstore.cli.build import _summary, command
from colstore.cli.options import passages_of
from colstore.errors import CorpusError, IndexNotFoundError, NotAnIndexError
from colstore.reports import BuildReport

Cli = Callable[..., Result]


@pytest.mark.usefixtures("fake_model")
def test_an_index_appears_and_the_summary_says_what_is_in_it(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.colstore"
    result = cli("build", corpus, "-o", output)
    assert result.exit_code == 0, result.stderr
    assert str(output) in result.stdout
    assert "4 documents" in result.stdout
    with colstore.open(output) as index:
        assert len(index) == 4


@pytest.mark.usefixtures("fake_model")
def test_json_is_the_report(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    result = cli("build", corpus, "-o", tmp_path / "x.colstore", "--json")
    report = json.loads(result.stdout)
    assert report["index"] == str(tmp_path / "x.colstore")
    assert report["documents"] == 4
    assert report["tokens"] > 4


@pytest.mark.usefixtures("fake_model")
def test_nothing_is_drawn_where_nobody_looks(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    assert cli("build", corpus, "-o", tmp_path / "x.colstore").stderr == ""


def test_every_option_reaches_build(cli: Cli, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}

    def record(path: Path, documents: str, **settings: Any) -> None:
        called.update(settings, path=path, corpus=documents)
        raise CorpusError("enough")

    monkeypatch.setattr(colstore, "build", record)
    options = (
        "--model m --dim 64 --bits 2 --pool-factor 1.5 --pooling neighbours --max-tokens 100 "
        "--query-length 32 --no-texts --overwrite --resume --on-error skip --on-duplicate skip "
        "--trust-remote-code --allow-pickle --revision main --device cpu --dtype bfloat16 --backend onnx "
        "--frozen-dtype float16 --seed 7 --text-field summary --encoding latin-1 --quoting none --include *.md "
        "--include *.rst --normalize-ids --passage-tokens 64 --passage-overlap 8"
    )
    result = cli("build", corpus, "-o", tmp_path / "x", *options.split())
    assert result.exit_code == 1
    assert callable(called.pop("progress"))
    assert called == {
        "path": tmp_path / "x",
        "corpus": str(corpus),
        "model": "m",
        "dim": 64,
        "bits": 2,
        "pool_factor": 1.5,
        "pooling": "neighbours",
        "max_tokens": 100,
        "query_length": 32,
        "store_texts": False,
        "overwrite": True,
        "resume": True,
        "on_error": "skip",
        "on_duplicate": "skip",
        "trust_remote_code": True,
        "allow_pickle": True,
        "revision": "main",
        "device": "cpu",
        "dtype": "bfloat16",
        "backend": "onnx",
        "frozen_dtype": "float16",
        "first_stage": None,
        "seed": 7,
        "fields": colstore.FieldNames(text="summary"),
        "encoding": "latin-1",
        "quoting": "none",
        "include": ("*.md", "*.rst"),
        "normalize_ids": True,
        "passages": colstore.PassageConfig(64, 8),
    }


def test_options_have_the_names_and_defaults_of_the_python_function() -> None:
    arguments = inspect.signature(colstore.build).parameters
    defaults = command.make_context("build", ["corpus", "-o", "x"]).params
    apart = {
        "id_field",
        "text_field",
        "title_field",
        "include",
        "passages",
        "passage_tokens",
        "passage_overlap",
    }  # several options for one argument, and one many times
    for name in defaults.keys() - {"corpus", "output", "as_json", "no_texts"} - apart:
        assert name in arguments, f"colstore.build has no {name}"
        default = arguments[name].default
        assert defaults[name] == (getattr(colstore.BuildConfig(), name, None) if default is None else default), name


def test_passages_are_one_argument() -> None:
    def argument(*options: str) -> object:
        return passages_of(dict(command.make_context("build", ["corpus", "-o", "x", *options]).params))

    assert argument() is None
    assert argument("--passages") is True
    assert argument("--no-passages") is False
    assert argument("--passage-overlap", "9") == colstore.PassageConfig(overlap=9)
    with pytest.raises(click.UsageError, match="leave out --no-passages"):
        argument("--no-passages", "--passage-tokens", "9")


@pytest.mark.usefixtures("fake_model")
def test_skipped_documents_are_counted_in_the_summary(cli: Cli, tmp_path: Path) -> None:
    corpus = tmp_path / "c.jsonl"
    lines = [
        '{"id": "a", "text": "one"}',
        "{broken",
        '{"id": "a", "text": "two"}',
        '{"id": "b", "text": "three"}',
    ]
    corpus.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = cli("build", corpus, "-o", tmp_path / "x", "--on-error", "skip", "--on-duplicate", "skip")
    assert result.exit_code == 0, result.stderr
    assert "2 documents" in result.stdout
    assert "skipped: 1 " in result.stdout
    assert "c.jsonl:2" in result.stdout


def test_the_summary_leaves_nothing_unsaid() -> None:
    report = BuildReport(documents=1200, tokens=90_000, truncated=7, skipped={"broken": 2, "empty": 0})
    report.incomplete = True
    report.examples = ["c.jsonl:2:\nbroken"]
    report.notes = ["no query\nencoder: use overwrite=True"]
    report.seconds = {"encode": 1.5, "commit": 0.5}
    report.encoded_tokens, report.peak_memory_bytes = 180_000, 2_000_000
    assert list(_summary(Path("x"), report.to_json(), 300)) == [
        "x: 1,200 documents, 90,000 vectors, 0 bytes (of which query encoder 300 bytes), in 2.0 s",
        "encode 1.5 s (120,000 tokens/s), commit 0.5 s; peak memory 2.0 MB",
        "truncated: 7 documents are longer than the model reads, and a search does not see their ends; "
        "an index built with --passages splits them",
        "skipped: 2 broken",
        "incomplete: a source could not be read to its end",
        "note: no query encoder: use --overwrite",
        "  c.jsonl:2: broken",
    ]


@pytest.mark.usefixtures("fake_model")
def test_a_corpus_on_standard_input(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    result = cli("build", "-", "-o", tmp_path / "x", input=corpus.read_text(encoding="utf-8"))
    assert result.exit_code == 0, result.stderr
    assert "4 documents" in result.stdout


@pytest.mark.usefixtures("fake_model")
def test_a_bad_line_is_one_line_with_its_number(cli: Cli, tmp_path: Path) -> None:
    corpus = tmp_path / "c.jsonl"
    corpus.write_text('{"id": "a", "text": "one"}\n{broken\n', encoding="utf-8")
    result = cli("build", corpus, "-o", tmp_path / "x")
    assert result.exit_code == 1
    assert result.stderr.startswith("colstore: error: ")
    assert result.stderr.count("\n") == 1
    assert "c.jsonl:2" in result.stderr
    with pytest.raises((IndexNotFoundError, NotAnIndexError)):
        colstore.open(tmp_path / "x")


@pytest.mark.usefixtures("fake_model")
def test_an_output_path_that_is_taken(cli: Cli, corpus: Path, index: Path) -> None:
    result = cli("build", corpus, "-o", index)
    assert result.exit_code == 1
    assert "overwrite" in result.stderr
    assert cli("build", corpus, "-o", index, "--overwrite").exit_code == 0


@pytest.mark.parametrize("options", [["--bits", "3"], ["--pool-factor", "0.5"], ["--dim", "0"], ["--pooling", "x"], []])
def test_a_command_line_that_cannot_be_understood(cli: Cli, corpus: Path, tmp_path: Path, options: list[str]) -> None:
    output = ["-o", str(tmp_path / "x")] if options else []
    assert cli("build", corpus, *output, *options).exit_code == 2


def interrupt(*_arguments: object, **_settings: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_that_no_index_was_written(
    cli: Cli, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colstore, "build", interrupt)
    result = cli("build", corpus, "-o", tmp_path / "x")
    assert result.exit_code == 130
    assert result.stderr.startswith("colstore: interrupted: no index was written")


def test_ctrl_c_says_that_an_older_index_is_as_before(
    cli: Cli, corpus: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colstore, "build", interrupt)
    result = cli("build", corpus, "-o", index, "--overwrite")
    assert result.exit_code == 130
    assert "the index at" in result.stderr
    assert "is unchanged" in result.stderr


@pytest.mark.usefixtures("fake_model")
def test_ctrl_c_after_the_commit_says_that_the_index_is_complete(
    cli: Cli, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = colstore.build

    def build_then_interrupt(*arguments: Any, **settings: Any) -> None:
        build(*arguments, **settings).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(colstore, "build", build_then_interrupt)
    result = cli("build", corpus, "-o", tmp_path / "x")
    assert result.exit_code == 130
    assert "complete" in result.stderr
