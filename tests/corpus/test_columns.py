"""Fields and columns are found under their usual names, or named by the caller; what is missing is said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colstore.cli.translate import in_options
from colstore.corpus import FieldNames, Query, read_documents, read_queries
from colstore.corpus.columns import ID_KEYS, TEXT_KEYS, check_columns, columns_of
from colstore.corpus.jsonl import read_json, read_jsonl
from colstore.corpus.record import Record, to_document
from colstore.corpus.tabular import read_tabular
from colstore.errors import ConfigError, CorpusError
from colstore.types import Document

Write = Callable[[str, "str | bytes"], Path]


def rows(items: Any) -> list[Document]:
    return [to_document(item) for item in items]


@pytest.mark.parametrize("text", TEXT_KEYS)
@pytest.mark.parametrize("identifier", [*ID_KEYS, "ID", " DocID "])
def test_usual_names_in_lines_and_tables(write: Write, identifier: str, text: str) -> None:
    expected = [Document("d1", "Bees.", "Title", {"year": "2020"})]
    row = {identifier: "d1", "year": "2020", text: "Bees.", "Title": "Title"}
    assert rows(read_jsonl(write("c.jsonl", json.dumps(row)))) == expected
    table = "\t".join(row) + "\n" + "\t".join(row.values()) + "\n"
    assert rows(read_tabular(write("c.tsv", table), "\t")) == expected


def test_the_first_usual_name_counts_and_the_others_are_metadata() -> None:
    (document,) = read_documents([{"docid": 1, "body": "b", "id": "x", "contents": "c", "abstract": "a"}])
    assert document == Document("x", "c", "", {"docid": 1, "body": "b", "abstract": "a"})


def test_names_of_the_callers_own(write: Write) -> None:
    names = FieldNames(id="key", text="title", title="text")
    row = {"id": "other", "key": "k", "title": "the text", "text": "the title"}
    expected = [Document("k", "the text", "the title", {"id": "other"})]
    assert rows(read_jsonl(write("c.jsonl", json.dumps(row)), fields=names)) == expected
    table = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    assert rows(read_tabular(write("c.csv", table), ",", fields=names)) == expected
    query = write("q.jsonl", json.dumps(row))
    assert list(read_queries(query, fields=FieldNames(id="key", text="title"))) == [Query("k", "the text")]


def test_a_missing_text_names_what_is_there_and_what_to_do(write: Write) -> None:
    with pytest.raises(CorpusError) as caught:
        rows(read_tabular(write("c.csv", "docid,headline,summary\n"), ","))
    message = "no column text; found 'docid', 'headline', 'summary': name the one that holds the text with "
    assert message + "fields=FieldNames(text='headline')" in str(caught.value)
    assert "--text-field 'headline'" in in_options(str(caught.value), "build")
    with pytest.raises(CorpusError, match=r"the record has 'id', 'summary', so name .*FieldNames\(text='summary'\)"):
        list(read_documents([{"id": "x", "summary": "s"}]))
    with pytest.raises(CorpusError, match=r"no id: .* the record has 'name', 'text', so .*FieldNames\(id='name'\)"):
        list(read_documents([{"name": "x", "text": "s"}]))


def test_names_that_the_table_does_not_have_are_refused() -> None:
    for names in (FieldNames(id="key"), FieldNames(text="key"), FieldNames(title="key")):
        with pytest.raises(CorpusError, match=r"no column .*found 'id', 'text', 'title'"):
            check_columns(["id", "text", "title"], "c.csv", 1, names)
    with pytest.raises(CorpusError, match="separated by semicolons"):
        check_columns(["id;text"], "c.csv", 1)


def test_field_names_are_checked() -> None:
    bad: list[dict[str, Any]] = [{"id": ""}, {"text": 5}, {"id": "a", "title": "a"}]
    for arguments in bad:
        with pytest.raises(ConfigError):
            FieldNames(**arguments)


def test_a_document_has_the_slots_that_reading_sets() -> None:
    assert [field.name for field in dataclasses.fields(Document)] == ["id", "text", "title", "metadata", "vectors"]
    document = to_document(Record({"id": "a", "text": "b", "title": "c", "n": 1}, "x"))
    assert document == Document("a", "b", "c", {"n": 1}, None)
    assert hash(columns_of(("id", "text"))) == hash(columns_of(("id", "text")))


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": "a", "text": "one"},\n {"id": "b", "text": "two"}]',
        '[\n{"id": "a", "text": "one"},\n{"id": "b", "text": "two"}\n]\n',
        '{"a": {"text": "one"}, "b": {"text": "two"}}',
        '{\n  "a": {"text": "one"},\n  "b": {"text": "two"}\n}',
        '{"a": "one", "b": "two"}',
        '{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n',
    ],
)
def test_json_files_of_every_kind(write: Write, content: str) -> None:
    path = write("c.json", content)
    assert rows(read_jsonl(path)) == [Document("a", "one"), Document("b", "two")]
    assert list(read_queries(path)) == [Query("a", "one"), Query("b", "two")]


@pytest.mark.parametrize("content", ['{"id": "a", "text": "one"}', '{\n"id": "a",\n"text": "one"\n}\n'])
def test_a_single_object_is_a_record_not_a_table(write: Write, content: str) -> None:
    assert rows(read_json(write("c.json", content))) == [Document("a", "one")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": "a", "text": "x"}', "broken JSON"),
        ("5\n", "must hold an array of objects"),
        ("[5]", "a JSON object is needed, got 5"),
        ('[{"id": "a",\n"id": "b"}]', "'id' occurs twice"),
        ("[\n" * 100_000, "nested too deeply"),
    ],
)
def test_bad_json_files(write: Write, content: str, message: str) -> None:
    path = write("c.json", content)
    with pytest.raises(CorpusError, match=message):
        list(read_queries(path))


def test_an_array_under_the_name_of_json_lines_has_a_remedy(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"c\.jsonl:1: .*a file that holds one JSON array is read where .*\.json"):
        list(read_documents(write("c.jsonl", '[{"id": "a", "text": "one"}]')))


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "text": "t", "id": "b"}',
        '{"id" : "a", "text": "x\\": ", "id"\t: "b"}',
        '{"id": "a", "text": "t", "m": {"k": 1, "k": 2}}',
        '{"id": "a", "text": "t", "m": [{"k": 1, "k"   :2}]}',
    ],
)
def test_a_key_that_occurs_twice_is_found_however_it_is_written(write: Write, line: str) -> None:
    with pytest.raises(CorpusError, match="occurs twice in one JSON object"):
        list(read_documents(write("c.jsonl", line)))


def test_colons_in_texts_do_not_matter(write: Write) -> None:
    row = {"id": "a", "text": 'He said: "no": x :y', "m": {"a:b": [{"c": 1}, {"d": "e: f"}]}}
    for separators in ((",", ":"), (", ", ": "), (" ,", " : ")):
        (document,) = read_documents(write("c.jsonl", json.dumps(row, separators=separators)))
        assert (document.text, document.metadata) == (row["text"], {"m": row["m"]})
