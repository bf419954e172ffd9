"""Every kind of bad input has a named error with its place, and can be skipped and counted instead."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.corpus import ReadReport, read_documents
from colstore.corpus import lines as lines_module
from colstore.errors import (
    ConfigError,
    CorpusError,
    DuplicateIdError,
    EmptyDocumentError,
    IncompleteCorpusError,
)
from colstore.types import Document

Write = Callable[[str, "str | bytes"], Path]
GOOD = b'{"id": "good", "text": "t"}\n'
DEEP = b'{"id": "x", "text": "t", "m": ' + b"[" * 150 + b"]" * 150 + b"}"

BAD_LINES: list[tuple[bytes, type[CorpusError], str]] = [
    (b'{"id": "x", "text": "t"', CorpusError, "broken JSON"),
    (b'{"id": "x", "text": "t"} {}', CorpusError, "broken JSON"),
    (b"[1, 2]", CorpusError, "a JSON object is needed"),
    (b'"text"', CorpusError, "a JSON object is needed"),
    (b"[" * 100_000, CorpusError, "nested too deeply"),
    (DEEP, CorpusError, "deeper than 100 levels"),
    (b'{"text": "t"}', CorpusError, "no id"),
    (b'{"id": null, "text": "t"}', CorpusError, "no id"),
    (b'{"id": 1.0, "text": "t"}', CorpusError, "id must be a string or an integer"),
    (b'{"id": true, "text": "t"}', CorpusError, "id must be a string or an integer"),
    (b'{"id": ["a"], "text": "t"}', CorpusError, "id must be a string or an integer"),
    (b'{"id": " ", "text": "t"}', CorpusError, "id is blank"),
    (b'{"id": 1' + b"0" * 400 + b', "text": "t"}', CorpusError, "give it as a string"),
    (b'{"id": 1' + b"0" * 5000 + b', "text": "t"}', CorpusError, "4300 digits"),
    (b'{"id": "x"}', CorpusError, "has no text"),
    (b'{"id": "x", "text": null}', CorpusError, "has no text"),
    (b'{"id": "x", "text": 5}', CorpusError, "text must be a string"),
    (b'{"id": "x", "text": "t", "title": 5}', CorpusError, "title must be a string"),
    (b'{"id": "x", "text": "a\\u0000b"}', CorpusError, "text holds a NUL character at position 2"),
    (b'{"id": "x\\u0000", "text": "t"}', CorpusError, "id holds a NUL"),
    (b'{"id": "x", "text": "\\ud800"}', CorpusError, "text holds a lone surrogate"),
    (b'{"id": "\\udc80", "text": "t"}', CorpusError, "id holds a lone surrogate"),
    (b'{"id": "x", "text": "\xff"}', CorpusError, "not UTF-8 .byte 0xff at position 22"),
    (b'{"id": "x", "text": "t", "n": NaN}', CorpusError, "NaN is not JSON"),
    (b'{"id": "x", "text": "t", "n": -Infinity}', CorpusError, "-Infinity is not JSON"),
    (b'{"id": "x", "text": "t", "n": 1e999}', CorpusError, "metadata holds inf"),
    (b'{"id": "x", "text": "t", "n": "\\ud800"}', CorpusError, "metadata holds a lone surrogate"),
    (b'{"id": "x", "text": "t", "n\\u0000": 1}', CorpusError, "a metadata key holds a NUL"),
    (b'{"id": "x", "text": "t", "n": 1' + b"0" * 400 + b"}", CorpusError, "metadata holds an integer of"),
    (b'{"id": "x", "text": "t", "metadata": [1]}', CorpusError, "metadata must be an object"),
    (b'{"id": "x", "text": "t", "n": 1, "metadata": {"n": 1}}', CorpusError, "beside metadata and in it"),
    (b'{"id": "x", "text": "t", "text": "u"}', CorpusError, "key 'text' occurs twice"),
    (b'{"id": "x", "text": "t", "vectors": [[1, 2], [3]]}', CorpusError, "vectors"),
    (b'{"id": "x", "text": "t", "vectors": []}', CorpusError, "vectors must be numbers of shape"),
    (b'{"id": "x", "text": "t", "vectors": [["1", "2"]]}', CorpusError, "vectors must be numbers of shape"),
    (b'{"id": "x", "text": "t", "vectors": [[true]]}', CorpusError, "vectors must be numbers of shape"),
    (b'{"id": "x", "text": "t", "vectors": [[1e300]]}', CorpusError, "vectors hold NaN or an infinity"),
    (b'{"id": "x", "text": ""}', EmptyDocumentError, "nothing to encode"),
    (b'{"id": "x", "text": " \\n\\t", "title": "\\u00a0"}', EmptyDocumentError, "nothing to encode"),
    (b'{"id": "good", "text": "again"}', DuplicateIdError, "id 'good' occurs a second time"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_LINES, ids=[str(n) for n in range(len(BAD_LINES))])
def test_a_bad_line_of_json(write: Write, bad: bytes, kind: type[CorpusError], message: str) -> None:
    path = write("c.jsonl", GOOD + b"\n" + bad + b'\n{"id": "after", "text": "t"}\n')
    with pytest.raises(kind, match=message) as caught:
        list(read_documents(path))
    assert type(caught.value) is kind
    assert (caught.value.source, caught.value.line) == (str(path), 3)
    assert len(str(caught.value)) < 600
    report = ReadReport()
    found = read_documents(path, on_error="skip", on_duplicate="skip", report=report)
    assert [d.id for d in found] == ["good", "after"]
    assert (report.documents, report.skipped, report.incomplete) == (2, 1, False)
    assert report.examples[0].startswith(f"{path}:3: ")


def test_an_over_long_line_is_refused_and_skipped_whole(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100)
    long = b'{"id": "long", "text": "' + b"x" * 950 + b'"}\n'
    path = write("c.jsonl", GOOD + long + b'{"id": "after", "text": "t"}')
    with pytest.raises(CorpusError, match="longer than 100 bytes") as caught:
        list(read_documents(path))
    assert caught.value.line == 2
    assert [d.id for d in read_documents(path, on_error="skip")] == ["good", "after"]


TABLE = 'id,text\ngood,"a\nquoted ""newline"""\n'  # its document stands on lines 2 and 3
BAD_ROWS: list[tuple[bytes, type[CorpusError], str]] = [
    (b"x,t,more", CorpusError, "3 in this row, 2 in the header"),
    (b"x", CorpusError, "1 in this row, 2 in the header"),
    (b'x,"a\nb",more', CorpusError, "3 in this row, 2 in the header"),
    (b'x,"a"b', CorpusError, "broken row"),
    (b"x,a\rb,c", CorpusError, "broken row"),
    (b"x,\xff", CorpusError, "not UTF-8"),
    (b"x,a\0b", CorpusError, "text holds a NUL"),
    (b" ,t", CorpusError, "id is blank"),
    (b"x,", EmptyDocumentError, "nothing to encode"),
    (b"good,t", DuplicateIdError, "second time"),
    (b"x," + b"y" * 200_000, CorpusError, "a field is longer than 131,072 characters"),
    (b'x,"' + b"y" * 200_000 + b'\nb,"",lines"', CorpusError, "a field is longer than 131,072 characters"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_ROWS, ids=[str(n) for n in range(len(BAD_ROWS))])
def test_a_bad_row_behind_quoted_newlines(write: Write, bad: bytes, kind: type[CorpusError], message: str) -> None:
    path = write("c.csv", TABLE.encode() + b"\n" + bad + b"\nafter,t\n")
    with pytest.raises(kind, match=message) as caught:
        list(read_documents(path))
    assert (caught.value.source, caught.value.line) == (str(path), 5)
    report = ReadReport()
    found = list(read_documents(path, on_error="skip", on_duplicate="skip", report=report))
    assert [d.id for d in found] == ["good", "after"]
    assert found[0].text == 'a\nquoted "newline"'
    assert (report.documents, report.skipped, report.incomplete) == (2, 1, False)


def test_bad_utf8_inside_a_quoted_field_names_its_own_line(write: Write) -> None:
    path = write("c.csv", b'id,text\nx,"a\nb\nc\xffd\ne"\nafter,t\n')
    with pytest.raises(CorpusError, match="not UTF-8") as caught:
        list(read_documents(path))
    assert caught.value.line == 4
    assert [d.id for d in read_documents(path, on_error="skip")] == ["after"]


@pytest.mark.parametrize("filling", [b"", b"y" * 200_000])
def test_a_quote_that_never_closes_makes_the_corpus_incomplete(write: Write, filling: bytes) -> None:
    path = write("c.csv", b'id,text\ngood,t\nx,"a' + filling + b"\nlost,t\n")
    with pytest.raises(IncompleteCorpusError, match="never closed") as caught:
        list(read_documents(path))
    assert caught.value.line == 3
    report = ReadReport()
    assert [d.id for d in read_documents(path, on_error="skip", report=report)] == ["good"]
    assert report.incomplete


def test_the_csv_limit_is_the_callers_own(write: Write) -> None:
    path = write("c.csv", b"id,text\nx," + b"y" * 200_000)
    before = csv.field_size_limit(300_000)
    try:
        (document,) = read_documents(path)
        assert len(document.text) == 200_000
        assert csv.field_size_limit() == 300_000
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"name,text\na,b\n", "no column id; found 'name', 'text'"),
        (b"a;b\n", "no column id and no column text"),
        (b"id,summary\na,b\n", "no column text"),
        (b"id,text,text\na,b,c\n", "'text' occurs twice"),
        (b"id,text,\na,b,c\n", "a column has no name"),
        (b"id,te\xffxt\na,b\n", "not UTF-8"),
        (b'id,"text\n', "never closed"),
    ],
)
def test_a_bad_header_is_an_error_even_when_skipping(write: Write, header: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        list(read_documents(write("c.csv", header), on_error="skip"))


@pytest.mark.parametrize("name", ["c.jsonl.gz", "c.csv.gz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign tail"])
def test_a_damaged_gzip_file(write: Write, name: str, damage: str) -> None:
    rows = ['"', '{"id": "%d", "text": "some text %d"}'][".jsonl" in name]
    row = rows if ".jsonl" in name else "%d,some text %d"
    head = "" if ".jsonl" in name else "id,text\n"
    raw = gzip.compress((head + "".join(row % (n, n * n) + "\n" for n in range(5000))).encode())
    broken = {"cut": raw[: len(raw) // 2], "flipped": raw[:-8] + b"\0" * 8, "foreign tail": raw + b"tail"}[damage]
    path = write("plain", b"").with_name(name)
    path.write_bytes(broken)
    with pytest.raises(IncompleteCorpusError, match="rest of the file is lost") as caught:
        list(read_documents(path))
    report = ReadReport()
    read = [d.id for d in read_documents(path, on_error="skip", report=report)]
    assert read == [str(n) for n in range(len(read))]
    assert caught.value.line == len(read) + 1 + bool(head)
    assert (report.skipped_errors, report.incomplete) == (1, True)
    assert "INCOMPLETE" in report.summary()


def test_a_file_that_is_no_gzip_file(write: Write) -> None:
    path = write("c.jsonl", GOOD)
    path = path.rename(path.with_name("c.jsonl.gz"))
    with pytest.raises(IncompleteCorpusError, match=r"c\.jsonl\.gz:1: .*gzip"):
        list(read_documents(path))


@pytest.mark.parametrize("name", ["c.py", "c.xml", "c", "c.gz", "c.xlsx.gz", "c.parquet.gz"])
def test_an_unknown_name_lists_what_is_read(write: Write, name: str) -> None:
    with pytest.raises(CorpusError, match=r"c.*cannot tell the format.*\.jsonl.*\.parquet.*standard input"):
        read_documents(write(name, b""))


def test_a_folder_without_documents_lists_what_is_read(write: Write, tmp_path: Path) -> None:
    write("texts/image.png", b"")
    (tmp_path / "texts" / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no documents in this folder.*BEIR.*\.parquet"):
        read_documents(tmp_path / "texts")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    places: list[tuple[str | Path, str]] = [
        ("", "empty path"),
        (tmp_path / "no.jsonl", "no such file"),
        ("t" * 5000, "not a path"),
    ]
    for source, message in places:
        with pytest.raises(CorpusError, match=message):
            read_documents(source)


@pytest.mark.parametrize("source", [5, None, b"bytes", {"id": "d1", "text": "t"}, Document(id="d1", text="t")])
def test_what_is_no_corpus(source: Any) -> None:
    with pytest.raises(CorpusError, match="not a corpus"):
        read_documents(source)


def test_both_forms_of_a_beir_corpus_are_no_guess(write: Write) -> None:
    write("beir/corpus.jsonl", GOOD)
    path = write("beir/corpus.jsonl.gz", GOOD)
    with pytest.raises(CorpusError, match="holds both"):
        read_documents(path.parent)


@pytest.mark.parametrize(
    ("raw", "line", "message"), [(b"one\n\ntw\xff", 3, "not UTF-8"), (b"\xef\xbb\xbfone\n\0", 2, "NUL")]
)
def test_a_bad_text_file(write: Write, raw: bytes, line: int, message: str) -> None:
    path = write("texts/b.txt", raw)
    write("texts/a.txt", "fine")
    write("texts/c.txt", "fine")
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_documents(path.parent))
    assert (caught.value.source, caught.value.line) == (str(path), line)
    assert [d.id for d in read_documents(path.parent, on_error="skip")] == ["a.txt", "c.txt"]


def test_text_files_that_cannot_be_read_are_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("texts/empty.md", " \n")
    (tmp_path / "texts" / "dangling.txt").symlink_to(tmp_path / "nowhere")
    write("texts/large.txt", b"x" * 101)
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100)
    report = ReadReport()
    assert list(read_documents(tmp_path / "texts", on_error="skip", report=report)) == []
    assert (report.skipped_errors, report.skipped_empty) == (2, 1)
    assert [("dangling" in e, "empty" in e, "large" in e).index(True) for e in report.examples] == [0, 1, 2]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (5, "an item is a int"),
        ({"id": "x", "text": "t", "when": object()}, "metadata holds a object"),
        ({"id": "x", "text": "t", "tags": {"a"}}, "metadata holds a set"),
        ({"id": "x", "text": "t", "n": np.complex64(5)}, "metadata holds a complex"),
        ({"id": "x", "text": "t", "n": float("inf")}, "metadata holds inf"),
        ({"id": "x", "text": "t", 5: 5}, "a metadata key must be a string"),
        ({"id": "x", "text": b"t"}, "text must be a string"),
        (Document(id=5, text="t", metadata=[]), "metadata must be an object"),  # type: ignore[arg-type]
        ({"id": "x", "vectors": np.ones(4)}, r"got float64 of shape \(4,\)"),
        ({"id": "x", "vectors": np.ones((0, 4))}, r"of shape \(0, 4\)"),
        ({"id": "x", "vectors": np.array([[np.nan]])}, "NaN"),
        ({"id": "x", "vectors": "abc"}, "vectors must be numbers"),
    ],
)
def test_a_bad_item_of_an_iterable(item: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_documents(["zero", item]))
    assert (caught.value.source, caught.value.line) == ("<iterable>", 2)
    assert [d.id for d in read_documents(["zero", item, "two"], on_error="skip")] == ["0", "2"]


def test_a_foreign_object_that_cannot_even_be_shown_is_refused_by_its_type() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(CorpusError, match=r"a Shy .<Shy>."):
        list(read_documents([{"id": "x", "text": "t", "when": Shy()}]))


def test_files_and_folders_without_permission_are_named(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    jsonl = write("c.jsonl", GOOD)
    write("texts/a.txt", "t")
    texts = read_documents(tmp_path / "texts")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        with pytest.raises(CorpusError, match=r"c\.jsonl: cannot be opened: Permission denied"):
            list(read_documents(jsonl, on_error="skip"))
        with pytest.raises(CorpusError, match=r"a\.txt: cannot be read: Permission denied"):
            list(texts)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match="texts: cannot be listed: Permission denied"):
        read_documents(tmp_path / "texts", on_error="skip")


def test_metadata_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = [loop, loop]
    with pytest.raises(CorpusError, match="nested deeper"):
        list(read_documents([{"id": "x", "text": "t", "loop": loop}]))


def test_errors_of_the_callers_own_iterator_come_through() -> None:
    def items() -> Iterator[str]:
        yield "one"
        raise OSError("their disk")

    with pytest.raises(OSError, match="their disk"):
        list(read_documents(items(), on_error="skip"))


def test_a_duplicate_is_found_across_forms_of_id() -> None:
    with pytest.raises(DuplicateIdError) as caught:
        list(read_documents([{"id": 1, "text": "t"}, "one"]))
    assert caught.value.line == 2


def parquet(path: Path, columns: dict[str, Any]) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=1500)
    return path


def test_bad_rows_of_parquet_are_named_by_row(tmp_path: Path) -> None:
    columns = {
        "id": [f"d{n}" for n in range(2000)],
        "text": ["t"] * 1999 + [None],
        "raw": [b"x"] + [None] * 1999,
    }
    path = parquet(tmp_path / "c.parquet", columns)
    with pytest.raises(CorpusError, match="metadata holds a bytes") as caught:
        list(read_documents(path))
    assert caught.value.line == 1
    report = ReadReport()
    assert len(list(read_documents(path, on_error="skip", report=report))) == 1998
    assert [example.split(": ")[0] for example in report.examples] == [f"{path}:1", f"{path}:2000"]


def test_parquet_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    for raw in (b"", b"no parquet", b"PAR1" + b"\xff" * 100 + b"PAR1"):
        path.write_bytes(raw)
        with pytest.raises(CorpusError, match="cannot be read as Parquet"):
            read_documents(path)
    with pytest.raises(CorpusError, match="no column text"):
        read_documents(parquet(path, {"id": ["a"]}))


def test_a_parquet_file_with_damage_inside_is_incomplete(tmp_path: Path) -> None:
    texts = [f"text {n * n}" for n in range(6000)]
    path = parquet(tmp_path / "c.parquet", {"id": texts, "text": texts})
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 400] = b"\xff" * 400
    path.write_bytes(raw)
    report = ReadReport()
    read = [d.id for d in read_documents(path, on_error="skip", on_duplicate="skip", report=report)]
    assert 0 < len(read) < 6000
    assert report.incomplete
    with pytest.raises(CorpusError):
        list(read_documents(path))


@pytest.mark.parametrize("name", ["on_error", "on_duplicate", "on_empty"])
def test_an_unknown_choice_is_refused(name: str) -> None:
    choices: dict[str, Any] = {name: "ignore"}
    with pytest.raises(ConfigError, match=f"{name} must be one of"):
        read_documents([], **choices)
