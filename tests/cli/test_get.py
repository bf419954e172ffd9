"""``colstore get``, and filters on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import colstore
from colstore.encode import FakeEncoder
from tests.cli.conftest import DOCUMENTS

Cli = Callable[..., Result]


def records(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def ids(result: Result) -> list[str]:
    return [record["id"] for record in records(result)]


def test_documents_by_id_are_lines_of_json(cli: Cli, index: Path) -> None:
    (rost, bees) = records(cli("get", index, "rost", "bees"))
    assert rost == {
        "id": "rost",
        "title": "Rost",
        "text": "Eisen rostet an feuchter Luft.",
        "metadata": {"year": 2021, "lang": "de"},
    }
    assert bees["id"] == "bees"
    assert ids(cli("get", index, "--ids", "-", "bees", input="tides\n\nrost\n")) == ["bees", "tides", "rost"]


def test_unknown_ids_stop_or_are_left_out(cli: Cli, index: Path) -> None:
    result = cli("get", index, "bees", "nobody")
    assert (result.exit_code, result.stdout, "nobody" in result.stderr) == (1, "", True)
    assert ids(cli("get", index, "bees", "nobody", "--missing", "skip")) == ["bees"]


def test_all_and_those_that_match(cli: Cli, index: Path) -> None:
    assert ids(cli("get", index, "--all")) == [document["id"] for document in DOCUMENTS]
    assert ids(cli("get", index, "--where", "lang=en", "--where", "year>2020")) == ["bread"]
    assert cli("get", index, "--count").stdout == "4\n"
    assert cli("get", index, "--count", "--where", "lang!=de").stdout == "3\n"
    counted = json.loads(cli("get", index, "--count", "--json").stdout)
    assert counted == {"index": str(index), "documents": 4}


@pytest.mark.parametrize(
    "arguments", [[], ["bees", "--all"], ["bees", "--where", "lang=en"], ["--all", "--where", "a=1"], ["a", "--count"]]
)
def test_exactly_one_choice_of_documents(cli: Cli, index: Path, arguments: list[str]) -> None:
    assert cli("get", index, *arguments).exit_code == 2


def test_people_read_it_on_a_terminal(cli: Cli, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.cli.get._at_terminal", lambda: True)
    lines = cli("get", index, "bees", "bread", "--vectors").stdout.splitlines()
    assert lines[:3] == ["id: bees", "title: Bees", "year: 2020"]
    assert "vectors: 9 of 32 components" in lines
    assert "A scout returns and dances on the comb." in lines
    assert "" in lines
    assert len(records(cli("get", index, "bees", "--json"))) == 1


def stored(path: Path) -> dict[str, Any]:
    """Return everything that an index stores of its documents, arrays included."""
    with colstore.open(path) as opened:
        (view,) = opened._live().views
        arrays = {name: view.segment.rows(name).tobytes() for name in sorted(view.segment.names)}
        documents = [(one.id, one.title, one.text, dict(one.metadata)) for one in opened]
        return {"documents": documents, "arrays": arrays, "codec": view.codec.centroids.values.tobytes()}


CORPUS: list[dict[str, Any]] = [
    *DOCUMENTS,
    {
        "id": "nested",
        "text": "line\nbreak \u2028 and \u0085 üñ 😀",
        "metadata": {"metadata": {"id": [1, None, 2.5, True]}},
    },
    {"id": " spaced id ", "title": "", "text": '"quotes" and \\ backslash', "n": 10**30, "f": 1e-300},
    {"id": "title only", "title": "Only a title", "text": ""},
    *({"id": f"d{i}", "text": f"document number {i}", "i": i} for i in range(70)),
]


@pytest.mark.parametrize("bits", [2, 16])
def test_what_get_prints_builds_the_same_index_again(cli: Cli, tmp_path: Path, bits: Any) -> None:
    colstore.build(tmp_path / "one", CORPUS, model=FakeEncoder(), bits=bits).close()
    printed = cli("get", tmp_path / "one", "--all")
    assert [record["id"] for record in records(printed)] == [record["id"] for record in CORPUS]
    (tmp_path / "again.jsonl").write_text(printed.stdout, encoding="utf-8")
    colstore.build(tmp_path / "two", str(tmp_path / "again.jsonl"), model=FakeEncoder(), bits=bits).close()
    assert stored(tmp_path / "one") == stored(tmp_path / "two")


def test_with_vectors_it_builds_again_also_without_texts(cli: Cli, tmp_path: Path) -> None:
    colstore.build(tmp_path / "one", CORPUS, model=FakeEncoder(), bits=16, store_texts=False).close()
    printed = cli("get", tmp_path / "one", "--all", "--vectors")
    assert all(set(record) == {"id", "title", "text", "vectors"} for record in records(printed))
    assert all(record["text"] == "" for record in records(printed))
    (tmp_path / "again.jsonl").write_text(printed.stdout, encoding="utf-8")
    colstore.build(
        tmp_path / "two", str(tmp_path / "again.jsonl"), model=FakeEncoder(), bits=16, store_texts=False
    ).close()
    with colstore.open(tmp_path / "one") as one, colstore.open(tmp_path / "two") as two:
        pairs = zip(one.iter_vectors(), two.iter_vectors(), strict=True)
        assert all(name == other and np.array_equal(x, y) for (name, x), (other, y) in pairs)
    by_filter = cli("get", tmp_path / "one", "d3", "--vectors")
    assert records(by_filter)[0] in records(printed)


# --- filters on the command line ----------------------------------------------------------------------------------


def searched(result: Result) -> set[str]:
    assert result.exit_code == 0, result.stderr
    return {line.split("\t")[2] for line in result.stdout.splitlines()}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["year>=2021"], {"bread", "rost"}),
        (["year<2021", "lang=en"], {"bees", "tides"}),
        (["lang!=en"], {"rost"}),
        (['{"or": [{"lang": "de"}, {"year": 2020}]}'], {"bees", "tides", "rost"}),
        (['{"not": {"year": 2020}}', "lang=en"], {"bread"}),
        (['{"author": {"exists": false}}', "year=2021"], {"bread", "rost"}),
    ],
)
def test_every_form_of_a_filter(cli: Cli, index: Path, filters: list[str], expected: set[str]) -> None:
    options = [option for text in filters for option in ("--where", text)]
    assert searched(cli("search", index, "gas", *options)) == expected
    assert set(ids(cli("get", index, *options))) == expected
    report = json.loads(cli("delete", index, *options, "--json").stdout)
    assert (report["deleted"], report["documents"]) == (len(expected), 4 - len(expected))


@pytest.mark.parametrize("text", ['{"year": {"above": 1}}', '{"year"', "[1]", '{"or": []}', '{"year": NaN}', "year"])
@pytest.mark.parametrize("command", [("search", "gas"), ("get",), ("delete",)])
def test_a_filter_that_cannot_be_read_is_a_usage_error(
    cli: Cli, index: Path, command: tuple[str, ...], text: str
) -> None:
    name, *arguments = command
    result = cli(name, index, *arguments, "--where", text)
    assert (result.exit_code, "--where" in result.stderr) == (2, True)


def test_numbers_match_the_texts_of_a_csv_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "papers.csv").write_text(
        "id,text,year,version\na,ponds,2020,1.10\nb,rivers,2021,1.2\nc,marshes,2020,1.10\n", encoding="utf-8"
    )
    path = tmp_path / "x"
    colstore.build(path, str(tmp_path / "papers.csv"), model=FakeEncoder()).close()
    assert ids(cli("get", path, "--where", "year=2020")) == ["a", "c"]
    assert ids(cli("get", path, "--where", "version=1.10")) == ["a", "c"]
    assert ids(cli("get", path, "--where", 'year>="2021"')) == ["b"]
    result = cli("get", path, "--where", "year>=2021")
    assert (result.exit_code, "put the value in quotes" in result.stderr) == (1, True)


def test_delete_takes_ids_and_filters_but_no_empty_ones(cli: Cli, index: Path) -> None:
    result = cli("delete", index, "--where", "{}")
    assert (result.exit_code, "without a condition" in result.stderr) == (1, True)
    report = json.loads(cli("delete", index, "bees", "rost", "--where", "lang=en", "--json").stdout)
    assert (report["deleted"], report["documents"]) == (1, 3)
    assert not json.loads(cli("delete", index, "--ids", "-", "--json", input="\n").stdout)["committed"]
    assert ids(cli("get", index, "--all")) == ["bread", "tides", "rost"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_of_ids_in_other_encodings(cli: Cli, index: Path, tmp_path: Path, encoding: str, line_end: str) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes(f"tides{line_end}{line_end}rost{line_end}".encode(encoding))
    assert ids(cli("get", index, "--ids", file)) == ["tides", "rost"]
    assert cli("delete", index, "--ids-from", file).exit_code == 0
    assert "--ids-from" not in cli("delete", "--help").stdout


def test_ids_in_an_unknown_encoding_say_which_it_looks_like(cli: Cli, index: Path, tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes("tides\nBär\n".encode("latin-1"))
    result = cli("get", index, "--ids", file)
    assert (result.exit_code, "ids.txt:2: not UTF-8" in result.stderr) == (1, True)
    assert "--encoding latin-1" in " ".join(result.stderr.split())
    assert "Bär" in cli("get", index, "--ids", file, "--encoding", "latin-1").stderr
