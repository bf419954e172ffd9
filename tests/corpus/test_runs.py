"""Runs in and out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.corpus import ReadReport, RunLine, check_ids_fit, group_run, read_run, write_run
from colstore.errors import ConfigError, CorpusError, DuplicateIdError
from colstore.types import Hit

Write = Callable[[str, "str | bytes"], Path]
LINES = [RunLine("q1", "d1", 1, 2.5), RunLine("q1", "d2", 2, -1.0), RunLine("q2", "d1", 1, 1e-7)]
TREC = "q1 Q0 d1 1 2.5 tag\nq1\tQ0\td2  2 -1 tag\r\n\nq2 Q0 d1 1 1e-7 tag"


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz", "run.txt"])
def test_trec_runs(write: Write, name: str) -> None:
    assert list(read_run(write(name, TREC))) == LINES


def test_a_run_on_standard_input(stdin: Callable[[bytes], None]) -> None:
    stdin(TREC.encode())
    assert list(read_run("-")) == LINES


def test_ms_marco_runs_are_scored_by_minus_the_rank(write: Write) -> None:
    lines = list(read_run(write("run.tsv", "1\t77\t1\n1\t78\t2\n2\t77\t1\n")))
    assert [(line.query_id, line.doc_id, line.rank, line.score) for line in lines] == [
        ("1", "77", 1, -1.0),
        ("1", "78", 2, -2.0),
        ("2", "77", 1, -1.0),
    ]


def test_json_runs_fill_in_what_is_missing(write: Write) -> None:
    content = """{"query_id": "q1", "doc_id": "d1", "score": 2}
        {"qid": "q1", "id": 7, "score": 1.5, "text": "ignored"}
        {"query-id": "q2", "docid": "d1", "rank": 3}"""
    lines = list(read_run(write("run.jsonl", content)))
    assert lines == [RunLine("q1", "d1", 1, 2.0), RunLine("q1", "7", 2, 1.5), RunLine("q2", "d1", 3, -3.0)]


def test_the_line_of_a_hit_reads_back(write: Write) -> None:
    hit = Hit(rank=3, id="d1", score=12.5)
    assert list(read_run(write("run", hit.to_trec("q7")))) == [RunLine("q7", "d1", 3, 12.5)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"q1 Q0 d2 2 0.5", "5 in this line, 6 in the first one"),
        (b"q1\td2\t2", "3 in this line, 6 in the first one"),
        (b"q1 Q0 d2 two 0.5 t", "rank must be a whole number, got 'two'"),
        (b"q1 Q0 d2 1_0 0.5 t", "rank must be a whole number"),
        (b"q1 Q0 d2 2 nan t", "score must be a finite number, got 'nan'"),
        (b"q1 Q0 d2 2 inf t", "score must be a finite number"),
        (b"q1 Q0 d2 2 1e999 t", "score must be a finite number"),
        (b"q1 Q0 d2 2 1_0 t", "score must be a finite number"),
        (b"q1 Q0 d2 2 0x1 t", "score must be a finite number"),
        (b"q1 Q0 d\0 2 1 t", "document id holds a NUL"),
        (b"q1 Q0 d\xff 2 1 t", "not UTF-8"),
        (b"q1 Q0 d1 2 0.4 t", "document 'd1' occurs twice"),
        (b"q2 Q0 d1 1 0.4 t\nq1 Q0 d3 3 0.4 t", "query 'q1' are not consecutive"),
    ],
)
def test_a_bad_line_is_named(write: Write, bad: bytes, message: str) -> None:
    path = write("run.trec", b"q1 Q0 d1 1 1.0 t\n\n" + bad + b"\n")
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_run(path))
    assert (caught.value.source, caught.value.line) == (str(path), 3 + bad.count(b"\n"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"query_id": "q1"', "broken JSON"),
        ('{"query_id": "q1", "doc_id": "d2"}', "neither a score nor a rank"),
        ('{"doc_id": "d2", "score": 1}', "no query_id"),
        ('{"query_id": "q1", "score": 1}', "no doc_id"),
        ('{"query_id": "q1", "doc_id": 1.5, "score": 1}', "id must be a string or an integer"),
        ('{"query_id": "q1", "doc_id": "d2", "score": "1"}', "score must be a finite number"),
        ('{"query_id": "q1", "doc_id": "d2", "score": true}', "score must be a finite number"),
        ('{"query_id": "q1", "doc_id": "d2", "score": NaN}', "NaN is not JSON"),
        ('{"query_id": "q1", "doc_id": "d2", "score": 1e999}', "score must be a finite number"),
        ('{"query_id": "q1", "doc_id": "d2", "score": 1' + "0" * 400 + "}", "score must be a finite number"),
        ('{"query_id": "q1", "doc_id": "d2", "rank": 1.5}', "rank must be a whole number"),
        ('{"query_id": "q1", "doc_id": "d2", "rank": 1' + "0" * 400 + "}", "rank must be a whole number"),
    ],
)
def test_a_bad_json_line_is_named(write: Write, bad: str, message: str) -> None:
    path = write("run.jsonl", '{"query_id": "q1", "doc_id": "d1", "score": 1}\n' + bad)
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_run(path))
    assert caught.value.line == 2


def test_a_file_that_is_no_run(write: Write) -> None:
    path = write("run", "just words\n")
    with pytest.raises(CorpusError, match="run:1: the line has neither TREC's six columns"):
        list(read_run(path))
    with pytest.raises(CorpusError, match="is a folder"):
        read_run(path.parent)
    with pytest.raises(CorpusError, match="no such file"):
        read_run(path.with_name("none"))
    with pytest.raises(ConfigError, match="on_duplicate"):
        read_run(path, on_duplicate="last")  # type: ignore[arg-type]


def test_duplicates_are_counted_by_choice(write: Write) -> None:
    path = write("run", "q Q0 d1 1 3 t\nq Q0 d2 2 2 t\nq Q0 d1 3 1 t\n")
    with pytest.raises(DuplicateIdError):
        list(read_run(path))
    report = ReadReport()
    assert [line.score for line in read_run(path, on_duplicate="skip", report=report)] == [3.0, 2.0]
    assert (report.documents, report.skipped_duplicates) == (2, 1)


def test_groups_are_sorted_by_score_then_rank_and_ranked_anew() -> None:
    lines = [
        RunLine("b", "d1", 7, 0.5),
        RunLine("b", "d2", 9, 0.9),
        RunLine("b", "d3", 5, 0.5),
        RunLine("a", "d", 0, 1),
    ]
    groups = dict(group_run(lines))
    assert list(groups) == ["b", "a"]
    assert [(line.doc_id, line.rank) for line in groups["b"]] == [("d2", 1), ("d3", 2), ("d1", 3)]
    assert groups["a"] == [RunLine("a", "d", 1, 1)]


def test_groups_are_streamed_and_must_stand_together() -> None:
    taken: list[str] = []

    def lines() -> Iterator[RunLine]:
        for query in ("a", "b", "a"):
            taken.append(query)
            yield RunLine(query, "d", 1, 1.0)

    groups = group_run(lines())
    assert next(groups)[0] == "a"
    assert taken == ["a", "b"]
    with pytest.raises(CorpusError, match="are not consecutive"):
        list(groups)


identifiers = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4)


@given(
    run=st.dictionaries(identifiers, st.dictionaries(identifiers, st.floats(allow_nan=False, allow_infinity=False))),
    layout=st.sampled_from(["trec", "jsonl"]),
)
def test_what_is_written_reads_back_the_same(
    run: dict[str, dict[str, float]], layout: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [
        RunLine(query, doc, rank, score)
        for query, scores in run.items()
        for rank, (doc, score) in enumerate(scores.items(), start=1)
    ]
    path = tmp_path_factory.mktemp("run") / "run.gz"
    assert write_run(path, lines, layout=layout) == len(lines)
    assert list(read_run(path)) == lines


def test_written_layouts(tmp_path: Path) -> None:
    expected = {
        "trec": "q1 Q0 d1 1 2.5 mine",
        "msmarco": "q1\td1\t1",
        "jsonl": '{"query_id": "q1", "doc_id": "d1", "rank": 1, "score": 2.5}',
    }
    layout: Any
    for layout, line in expected.items():
        stream = io.StringIO()
        assert write_run(stream, LINES[:1], layout=layout, tag="mine") == 1
        assert stream.getvalue() == line + "\n"
    assert write_run(str(tmp_path / "plain"), LINES) == 3
    assert list(read_run(tmp_path / "plain")) == LINES
    write_run(tmp_path / "a.gz", LINES)
    write_run(tmp_path / "b.gz", LINES)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (RunLine("q", "a b", 1, 1.0), "holds white space"),
        (RunLine("q\n", "d", 1, 1.0), "white space"),
        (RunLine("", "d", 1, 1.0), "blank"),
        (RunLine("q", "d", 1, float("nan")), "finite"),
        (RunLine("q", "\ud800", 1, 1.0), "lone surrogate"),
    ],
)
def test_a_line_that_cannot_be_written_leaves_no_file(tmp_path: Path, line: RunLine, message: str) -> None:
    (tmp_path / "run").write_text("older")
    with pytest.raises(CorpusError, match=rf"<run>:4: .*{message}"):
        write_run(tmp_path / "run", [*LINES, line])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run").read_text() == "older"


def test_ids_with_spaces_are_for_json_only() -> None:
    stream = io.StringIO()
    assert write_run(stream, [RunLine("q 1", "a b", 1, 1.0)], layout="jsonl") == 1


def test_bad_settings_of_writing() -> None:
    with pytest.raises(ConfigError, match="layout"):
        write_run(io.StringIO(), LINES, layout="csv")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="tag"):
        write_run(io.StringIO(), LINES, tag="two words")


@pytest.mark.parametrize(
    "content",
    [
        "q 1\tQ0\tMeeting notes.md\t1\t2.5\ttag\nq 1\tQ0\td2\t2\t1\ttag\n",
        "q 1\tMeeting notes.md\t1\nq 1\td2\t2\n",
        "qid\tdocid\trank\nq 1\tMeeting notes.md\t1\r\nq 1\td2\t2\r\n",
    ],
)
def test_ids_with_spaces_between_tabs(write: Write, content: str) -> None:
    lines = list(read_run(write("run", content)))
    assert [(line.query_id, line.doc_id, line.rank) for line in lines] == [
        ("q 1", "Meeting notes.md", 1),
        ("q 1", "d2", 2),
    ]


def test_ids_with_spaces_between_spaces_have_a_remedy(write: Write) -> None:
    with pytest.raises(CorpusError, match="ids with spaces need tabs between the columns, or JSON"):
        list(read_run(write("run", "q1 Q0 Meeting notes.md 1 2.5 tag\n")))


def test_lines_with_tabs_and_spaces_are_one_run(write: Write) -> None:
    content = "q1\tQ0\td1\t1\t 2.5\ttag\nq1 Q0 d2 2 1 tag\n"
    assert [(line.doc_id, line.score) for line in read_run(write("run", content))] == [("d1", 2.5), ("d2", 1.0)]


def test_ids_are_checked_before_the_work() -> None:
    check_ids_fit(["d1", "d2"], "trec")
    check_ids_fit(["Meeting notes.md"], "msmarco")
    check_ids_fit(["Meeting notes.md", "a\tb"], "jsonl")
    with pytest.raises(CorpusError, match=r"'Meeting notes\.md' holds white space, which needs layout='jsonl' or"):
        check_ids_fit(["d1", "Meeting notes.md"], "trec")
    for identifier in ("a\tb", "a\nb", "a\r"):
        with pytest.raises(CorpusError, match="needs layout='jsonl'"):
            check_ids_fit([identifier], "msmarco")
    with pytest.raises(ConfigError, match="layout must be one of"):
        check_ids_fit([], "csv")  # type: ignore[arg-type]


def test_spaces_in_ids_survive_writing_and_reading(tmp_path: Path) -> None:
    lines = [RunLine(" q 1", "Meeting notes.md ", 1, 2.5), RunLine(" q 1", "d2", 2, 1.0)]
    for layout in ("msmarco", "jsonl"):
        write_run(tmp_path / layout, lines, layout=layout)
        assert [line.doc_id for line in read_run(tmp_path / layout)] == ["Meeting notes.md ", "d2"]
