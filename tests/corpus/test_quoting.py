"""Tab-separated files are read as they are written: without quoting, unless they clearly use it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.corpus import FieldNames, Query, read_queries
from colstore.corpus.quoting import Quoting
from colstore.corpus.record import to_document
from colstore.corpus.tabular import read_tabular
from colstore.errors import ConfigError, CorpusError

Write = Callable[[str, "str | bytes"], Path]


def texts(path: Path, quoting: Quoting = "auto", notes: list[str] | None = None) -> dict[str, str]:
    found = {}
    for item in read_tabular(path, "\t", quoting=quoting, note=None if notes is None else notes.append):
        if isinstance(item, CorpusError):
            raise item
        document = to_document(item)
        found[document.id] = document.text
    return found


@pytest.mark.parametrize(
    "lines",
    [
        ['"We saw it,', 'and it was gone."'],
        ['"', '"'],
        ['"All of it." "And more."', '"so"', "plain"],
        ['he said "stop"', '"" is empty', 'a """ b'],
        ['"closed"', '"open', "plain"],
        ['"whole"', "plain"],
    ],
)
def test_quotation_marks_are_text(write: Write, lines: list[str]) -> None:
    content = "id\ttext\n" + "".join(f"{number}\t{line}\n" for number, line in enumerate(lines))
    notes: list[str] = []
    assert texts(write("c.tsv", content), notes=notes) == {str(number): line for number, line in enumerate(lines)}
    assert notes == []


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize(
    "values", [['a "word" here', "plain"], ["two\nlines", "plain", 'and "more"'], ["a\ttab", '"', "plain"]]
)
def test_files_that_quote_are_noticed_and_it_is_said(write: Write, values: list[str], quoting: int) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter="\t", quoting=quoting)  # type: ignore[arg-type]  # a constant of csv
    writer.writerow(["id", "text"])
    writer.writerows(enumerate(values))
    path = write("c.tsv", stream.getvalue())
    notes: list[str] = []
    assert texts(path, notes=notes) == {str(number): value for number, value in enumerate(values)}
    assert notes == [
        f"{path}: the fields are taken to be quoted as in CSV; quoting='none' takes quotation marks as text"
    ]


def test_the_caller_decides(write: Write) -> None:
    path = write("c.tsv", 'id\ttext\n1\t"one"\n2\t"two\n3\tthree"\n')
    assert texts(path, "none") == {"1": '"one"', "2": '"two', "3": 'three"'}
    assert texts(path, "csv") == {"1": "one", "2": "two\n3\tthree"}
    with pytest.raises(ConfigError, match="quoting must be one of"):
        list(read_tabular(path, "\t", quoting="some"))  # type: ignore[arg-type]


def test_commas_quote_unless_told_otherwise(write: Write) -> None:
    path = write("c.csv", 'id,text\n1,"a, b"\n')
    assert [to_document(item).text for item in read_tabular(path, ",")] == ["a, b"]  # type: ignore[arg-type]
    (error,) = read_tabular(path, ",", quoting="none")
    assert "wrong number of columns: 3" in str(error)


CELLS = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(cells=st.lists(CELLS.filter(str.strip), min_size=1, max_size=6))
def test_no_line_is_ever_lost_without_quoting(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "c.tsv"
    path.write_text("id\ttext\n" + "".join(f"{n}\t{cell}\n" for n, cell in enumerate(cells)), encoding="utf-8")
    assert texts(path, "none") == {str(n): cell for n, cell in enumerate(cells)}
    assert len(texts(path)) == len(cells)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("0\tThe bees dance.\n1\tSo do wasps.\n", {"0": "The bees dance.", "1": "So do wasps."}),
        ("7\tBees\n8\tWasps\n", {"7": "Bees", "8": "Wasps"}),
        ("MARCO_1\tword\n", {"MARCO_1": "word"}),
        ("key\tsome words and more of them\n", {"key": "some words and more of them"}),
        ("D1\thttp://x.org/\tBees\tThey dance.\n", {"D1": "They dance."}),
    ],
)
def test_collections_without_a_header(write: Write, content: str, expected: dict[str, str]) -> None:
    notes: list[str] = []
    path = write("collection.tsv", content)
    assert texts(path, notes=notes) == expected
    assert [note.startswith(f"{path}: no header line; the columns are taken as id, ") for note in notes] == [True]


def test_the_passages_of_dpr(write: Write) -> None:
    path = write("psgs.tsv", 'id\ttext\ttitle\n1\t"Aaron" or Aron\tAaron\n2\t"so\tB\n')
    assert texts(path) == {"1": '"Aaron" or Aron', "2": '"so'}


@pytest.mark.parametrize("header", ["key\tsummary", "col1\tcol2", "Article Name\tFull Description", "a\tb\tc"])
def test_a_header_of_other_names_is_no_document(write: Write, header: str) -> None:
    with pytest.raises(CorpusError, match=r":1: no column id and no column text; found .*FieldNames\(id="):
        texts(write("c.tsv", header + "\n" + "\t".join("xyz"[: header.count("\t") + 1]) + "\n"))
    assert FieldNames().id is None


@pytest.mark.parametrize(
    "header",
    [
        *("qid\tquery", "query_id\tquery_text", "query-id\ttext", "_id\ttext", "id\tquestion", "topic\ttitle"),
        *("number\tquery", "QID\tQuery", "qid\tquery\tanswer", "query\tqid", "\ufeffqid\tquery"),
    ],
)
def test_headers_of_queries(write: Write, header: str) -> None:
    names = header.lstrip("\ufeff").casefold().split("\t")
    row = ["why?" if name in ("query", "query_text", "text", "question", "title") else "7" for name in names]
    assert list(read_queries(write("q.tsv", header + "\n" + "\t".join(row) + "\n"))) == [Query("7", "why?")]
    assert list(read_queries(write("q.tsv", header + "\r\n"))) == []
    if "answer" not in header:
        assert list(read_queries(write("q.csv", header.replace("\t", ",") + '\n"7","why?"\n')))


@pytest.mark.parametrize("header", ["qid\tnarrative", "query\ttext", "topic\tdescription\tmore"])
def test_a_header_without_the_text_or_the_id_is_refused(write: Write, header: str) -> None:
    with pytest.raises(CorpusError, match=r":1: the header names no column .*found '.*FieldNames\("):
        list(read_queries(write("q.tsv", header + "\n1\ta\n")))


def test_a_query_whose_id_is_a_usual_name_is_a_query(write: Write) -> None:
    path = write("q.tsv", "number\tof the beast in the bible\n2\twhy?\n")
    assert [query.id for query in read_queries(path)] == ["number", "2"]


def test_quoted_queries_and_json_with_other_names(write: Write) -> None:
    assert list(read_queries(write("q.tsv", 'qid\tquery\n1\t"a ""quoted"" one"\n'))) == [Query("1", 'a "quoted" one')]
    assert list(read_queries(write("q.jsonl", '{"qid": 3, "query": "why?"}'))) == [Query("3", "why?")]


def test_topics_in_other_formats_have_a_remedy(write: Write) -> None:
    topics = "<top>\n<num> Number: 301\n</top>\n"
    for name in ("topics.txt", "topics.tsv"):
        with pytest.raises(CorpusError, match=r"TREC.*convert them to lines of id, a tab, and the text"):
            list(read_queries(write(name, topics)))
