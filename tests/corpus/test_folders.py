"""Which files of a folder are read, what is passed over, and what is refused."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from colstore.corpus import ReadReport, read_documents
from colstore.errors import ConfigError, CorpusError, DuplicateIdError

Write = Callable[[str, "str | bytes"], Path]


def rows(*ids: str) -> str:
    return "".join(json.dumps({"id": name, "text": f"text of {name}"}) + "\n" for name in ids)


def ids_of(folder: Path, **options: Any) -> list[str]:
    return [document.id for document in read_documents(folder, **options)]


def fill(write: Write, files: Iterable[str]) -> None:
    """Write files below ``c/``; each data file holds one document with its name as id."""
    for name in files:
        is_lines = name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json"))
        write(
            f"c/{name}", rows(name) if is_lines else "id\ttext\nt1\tone\n" if name.endswith(".tsv") else f"# {name}\n"
        )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["README.md", "data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl"], [1, 2]),
        (["docs00.jsonl", "docs01.jsonl.gz", "LICENSE.txt"], [0, 1]),
        (["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "README.md", "notes/a.md"], [0]),
        (["corpus/part-0.jsonl", "corpus/part-1.jsonl", "queries/part-0.jsonl", "default/test.jsonl"], [0, 1]),
        (["scifact/corpus.jsonl", "scifact/queries.jsonl"], [0]),
        (["data/train.jsonl", "data/queries-dev.jsonl", "topics.tsv", "dataset_infos.json"], [0]),
        (["train.json", "README.md"], [0]),
        (["a.md", "package.json", "b.markdown", "c.mdx", "README.md"], [4, 0, 2, 3]),
        (["a.md", "site.json"], [0]),
        (["a.rst", "b.txt", "c.text", "d.html", "e.htm", "f.xhtml"], [0, 1, 2, 3, 4, 5]),
        (["README.md"], [0]),
        (["README.md", "logo.png"], [0]),
    ],
)
def test_the_rules_choose_the_corpus(write: Write, tmp_path: Path, files: list[str], expected: list[int]) -> None:
    fill(write, files)
    assert sorted(ids_of(tmp_path / "c")) == sorted(files[number] for number in expected)


def test_lotte_is_its_collection(write: Write, tmp_path: Path) -> None:
    fill(write, ["collection.tsv", "questions.search.tsv", "qas.search.jsonl", "metadata.jsonl"])
    assert ids_of(tmp_path / "c") == ["t1"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["a.md", "b.md", "data.jsonl"],
            r"data files \(1 .jsonl\) and pages \(2 .md\): choose with include='\*.jsonl' or",
        ),
        (["a.jsonl", "b.tsv"], r"several formats .*include='\*.jsonl' or include='\*.tsv'"),
        (["a.jsonl", "a.jsonl.gz"], r"holds both a.jsonl and a.jsonl.gz.*include='a.jsonl'"),
        (["dev/corpus.jsonl", "test/corpus.jsonl"], r"several corpora, dev/corpus.jsonl, test/corpus.jsonl"),
        (["en-corpus/a.jsonl", "de-corpus/a.jsonl"], r"several corpora, de-corpus, en-corpus"),
        (["README.md", "data/train.jsonl.zst"], r"\.jsonl\.zst is not read: convert it"),
        (["README.md", "data.zip"], r"\.zip is not read"),
        (["README.md", "queries.jsonl"], r"not a corpus, but include='queries.jsonl'"),
        (["a.py", "b.py", ".git/c.md"], r"no documents .*2 .py, 1 hidden folder.*include='\*.py' reads such files"),
    ],
)
def test_what_is_not_clear_is_an_error_that_says_how_to_choose(
    write: Write, tmp_path: Path, files: list[str], message: str
) -> None:
    fill(write, files)
    with pytest.raises(CorpusError, match=message):
        read_documents(tmp_path / "c")


def test_the_advice_can_be_followed(write: Write, tmp_path: Path) -> None:
    fill(write, ["a.md", "b.md", "x/data.jsonl", "tool.py", "y/README.md"])
    assert ids_of(tmp_path / "c", include="*.jsonl") == ["x/data.jsonl"]
    assert ids_of(tmp_path / "c", include="*.md") == ["a.md", "b.md", "y/README.md"]
    assert ids_of(tmp_path / "c", include=["*.py", "y/*"]) == ["tool.py", "y/README.md"]
    assert ids_of(tmp_path / "c" / "tool.py", include="*.py") == ["tool.py"]
    with pytest.raises(CorpusError, match=r"matches '\*.pyx' \(it holds 3 .md"):
        read_documents(tmp_path / "c", include="*.pyx")
    with pytest.raises(ConfigError, match="include must be a glob"):
        read_documents(tmp_path / "c", include=[3])  # type: ignore[list-item]  # a mistake


def test_hidden_and_tool_folders_are_left_out_and_all_is_counted(write: Write, tmp_path: Path) -> None:
    fill(write, ["a.md", "x/b.png", "c.png", "LICENSE", ".trash/old.md", ".obsidian/p/README.md", ".hidden.md"])
    fill(write, ["node_modules/m/README.md", "x/__pycache__/z.txt", "tool.py", "a.md~"])
    write("c/my.colstore/manifest-000000000001.json", "{}")
    write("c/my.colstore/notes.txt", "of an index")
    report = ReadReport()
    assert [document.id for document in read_documents(tmp_path / "c", report=report)] == ["a.md"]
    assert report.passed_over == {
        ".png": 2,
        ".py": 1,
        "file without ending": 1,
        "hidden folder": 2,
        "hidden file": 1,
        "node_modules folder": 1,
        "__pycache__ folder": 1,
        "temporary file": 1,
        "colstore index": 1,
    }


def test_a_hidden_folder_that_is_named_is_read(write: Write, tmp_path: Path) -> None:
    write(".vault/a.md", "text")
    assert ids_of(tmp_path / ".vault") == ["a.md"]


def test_notes_beside_data_are_counted_and_the_files_that_were_read_are_named(write: Write, tmp_path: Path) -> None:
    fill(write, ["README.md", "data/train-0.jsonl", "data/train-1.jsonl", "queries.jsonl"])
    report = ReadReport()
    list(read_documents(tmp_path / "c", report=report))
    assert report.passed_over == {".md": 1, ".jsonl": 1}
    assert report.notes == ["read from the folder: data/train-0.jsonl, data/train-1.jsonl"]


def test_names_in_two_normal_forms_are_reported_and_one_when_asked_for(write: Write, tmp_path: Path) -> None:
    name = "café.md"
    composed, decomposed = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    write(f"c/{decomposed}", "from macOS")
    assert ids_of(tmp_path / "c") == [decomposed]
    assert ids_of(tmp_path / "c", normalize_ids=True) == [composed]
    write(f"c/{composed}", "from elsewhere")
    report = ReadReport()
    assert len(list(read_documents(tmp_path / "c", report=report))) == 2
    assert "two Unicode normal forms" in report.notes[0]
    with pytest.raises(DuplicateIdError):
        ids_of(tmp_path / "c", normalize_ids=True)


def test_shards_share_their_ids(write: Write, tmp_path: Path) -> None:
    write("c/a.jsonl", rows("d1"))
    write("c/b.jsonl", rows("d1", "d2"))
    with pytest.raises(DuplicateIdError, match=r"b\.jsonl:1"):
        ids_of(tmp_path / "c")
    assert ids_of(tmp_path / "c", on_duplicate="skip") == ["d1", "d2"]
