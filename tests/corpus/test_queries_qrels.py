"""Queries and judgements in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from colstore.corpus import Query, ReadReport, read_qrels, read_queries
from colstore.errors import ConfigError, CorpusError, DuplicateIdError

Write = Callable[[str, "str | bytes"], Path]
QUERIES = [Query("1", "do bees dance?"), Query("q 2", 'a "quoted" question')]
JSONL = '{"_id": 1, "text": "do bees dance?"}\n\n'
JSONL += '{"id": "q 2", "text": "a \\"quoted\\" question", "metadata": {}}\n'
TSV = '1\tdo bees dance?\r\nq 2\ta "quoted" question\r\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", JSONL),
        ("q.jsonl.gz", JSONL),
        ("q.tsv", TSV),
        ("q.tsv.gz", TSV),
        ("q.tsv", "\ufeffid\ttext\n" + TSV),
    ],
)
def test_queries_of_every_format(write: Write, name: str, content: str) -> None:
    assert list(read_queries(write(name, content))) == QUERIES


def test_queries_of_a_beir_folder_and_of_standard_input(write: Write, stdin: Callable[[bytes], None]) -> None:
    assert list(read_queries(write("beir/queries.jsonl", JSONL).parent)) == QUERIES
    stdin(JSONL.encode())
    assert list(read_queries("-")) == QUERIES


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("q.jsonl", b"{", "broken JSON"),
        ("q.jsonl", b"[]", "a JSON object"),
        ("q.jsonl", b'{"text": "t"}', "no id"),
        ("q.jsonl", b'{"id": 2.5, "text": "t"}', "id must be"),
        ("q.jsonl", b'{"id": "x"}', "has no text"),
        ("q.jsonl", b'{"id": "x", "text": "  "}', "is blank"),
        ("q.jsonl", b'{"id": "x", "text": 5}', "text must be a string"),
        ("q.jsonl", b'{"id": "x", "text": "\xff"}', "not UTF-8"),
        ("q.jsonl", b'{"id": "1", "text": "t"}', "occurs a second time"),
        ("q.tsv", b"x", "columns: 1, where two are needed"),
        ("q.tsv", b"x\ty\tz", "columns: 3, where two are needed"),
        ("q.tsv", b"x\t ", "is blank"),
        ("q.tsv", b"\tt", "id is blank"),
        ("q.tsv", b"1\tagain", "occurs a second time"),
        ("q.tsv", b"id\ttext\nx\t\0", "NUL"),
    ],
)
def test_a_bad_query_is_named_with_its_line(write: Write, name: str, bad: bytes, message: str) -> None:
    first = b'{"id": "1", "text": "t"}\n' if "json" in name else b"1\tt\n"
    path = write(name, first + b"\n" + bad + b"\n")
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_queries(path))
    assert (caught.value.source, caught.value.line) == (str(path), 3 + bad.count(b"\n"))


def test_sources_that_hold_no_queries(write: Write) -> None:
    path = write("q.txt", b"")
    with pytest.raises(CorpusError, match="cannot tell the format"):
        read_queries(path)
    with pytest.raises(CorpusError, match="no queries in this folder"):
        read_queries(path.parent)
    with pytest.raises(CorpusError, match="no such file"):
        read_queries(path.with_name("none.tsv"))


GRADES = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": -1}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\n\nq1\td2\t0\r\nq2\td1\t-1"),
        ("test.tsv.gz", "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t-1"),
        ("test.tsv", "q1\td1\t2\nq1\td2\t0\nq2\td1\t-1"),
        ("qrels.txt", "q1 0 d1 2\nq1 0 d2   0\nq2\tQ0\td1 -1\n"),
        ("interleaved", "q1 0 d1 2\nq2 0 d1 -1\nq1 0 d2 0\n"),
    ],
)
def test_qrels_of_both_formats(write: Write, name: str, content: str) -> None:
    assert read_qrels(write(name, content)) == GRADES


def test_ids_with_spaces_in_tabbed_qrels_and_standard_input(stdin: Callable[[bytes], None]) -> None:
    stdin(b"query-id\tcorpus-id\tscore\nq 1\td 1\t1\n")
    assert read_qrels("-") == {"q 1": {"d 1": 1}}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"q1 d2 1", "1 in this line, 3 in the first one"),
        (b"q1\td2", "2 in this line"),
        (b"q1\td2\t1.5", "grade must be a whole number, got '1.5'"),
        (b"q1\td2\t1_0", "grade must be a whole number"),
        (b"q1\td2\t" + b"9" * 5000, "grade must be a whole number"),
        (b"q1\td2\t", "grade must be a whole number"),
        (b"q1\t \t1", "document id is blank"),
        (b"\td2\t1", "query id is blank"),
        (b"q1\td\xff\t1", "not UTF-8"),
        (b"q1\td1\t1", "judged a second time, 1 after 2; on_duplicate='skip' uses the first grade"),
    ],
)
def test_a_bad_judgement_is_named_with_its_line(write: Write, bad: bytes, message: str) -> None:
    path = write("test.tsv", b"query-id\tcorpus-id\tscore\nq1\td1\t2\n" + bad + b"\n")
    with pytest.raises(CorpusError, match=message) as caught:
        read_qrels(path)
    assert (caught.value.source, caught.value.line) == (str(path), 3)


def test_other_bad_qrels(write: Write) -> None:
    path = write("q", "one two\n")
    with pytest.raises(CorpusError, match="q:1: the line has neither three columns"):
        read_qrels(path)
    with pytest.raises(CorpusError, match=r"is a folder: name one file, such as qrels/test\.tsv"):
        read_qrels(path.parent)


def test_duplicate_judgements_are_counted_by_choice(write: Write) -> None:
    path = write("test.tsv", "q1\td1\t2\nq1\td1\t1\nq1\td2\t0\n")
    with pytest.raises(DuplicateIdError, match=":2: query 'q1' and document 'd1' are judged a second time"):
        read_qrels(path)
    report = ReadReport()
    assert read_qrels(path, on_duplicate="skip", report=report) == {"q1": {"d1": 2, "d2": 0}}
    assert (report.documents, report.skipped_duplicates) == (2, 1)
    with pytest.raises(ConfigError):
        read_qrels(path, on_duplicate="first")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        "Query-ID\tCorpus-ID\tScore\nq1\td1\t2.0\nq1\td2\t0.0\nq2\td1\t-1.00\n",
        "qid docno label\nq1 d1 2\nq1 d2 0\nq2 d1 -1\n",
        "q1\t0\td1\t2\nq1\t0\td2\t0.\nq2 0 d1 -1\n",
        "query_id\titeration\tdoc_id\trelevance\nq1\t0\td1\t2\nq1\t0\td2\t0\nq2\t0\td1\t-1\n",
        "\ufeffq1 0 d1 2\r\nq1 0 d2 0\r\nq2 0 d1 -1\r\n",
    ],
)
def test_qrels_as_they_are_found(write: Write, content: str) -> None:
    assert read_qrels(write("qrels.txt", content)) == GRADES
    assert read_qrels(write("qrels.txt", content.removeprefix("\ufeff").encode("utf-16"))) == GRADES


def test_ids_with_spaces_in_tabbed_trec_qrels(write: Write) -> None:
    assert read_qrels(write("q", "q 1\t0\tMeeting notes.md\t1\n")) == {"q 1": {"Meeting notes.md": 1}}


def test_the_same_grade_twice_is_counted_and_no_contradiction(write: Write) -> None:
    report = ReadReport()
    path = write("q", "q1 0 d1 1\nq1 0 d1 1.0\nq1 0 d2 0\n")
    assert read_qrels(path, report=report) == {"q1": {"d1": 1, "d2": 0}}
    assert (report.documents, report.skipped_duplicates, "2: query" in report.examples[0]) == (2, 1, True)
