"""Files in other encodings and with other line ends are read, or refused with the encoding that they look like."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.corpus import Query, read_qrels, read_queries, read_run
from colstore.corpus import lines as lines_module
from colstore.corpus.encodings import detect_encoding
from colstore.corpus.jsonl import read_jsonl
from colstore.corpus.lines import decoded_lines, read_lines
from colstore.corpus.record import RawItem, to_document
from colstore.corpus.tabular import read_tabular
from colstore.errors import ConfigError, CorpusError
from colstore.types import Document

Write = Callable[[str, "str | bytes"], Path]
MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
JSONL = '{"id": "a", "text": "Ein Bär im Zoo: 熊"}\n\n{"id": "b", "text": "Ċ ends no line, nor does \u2028"}\n'


def documents(items: object) -> list[Document]:
    found: list[Document] = []
    for item in items:  # type: ignore[attr-defined]
        record: RawItem = item
        if isinstance(record, CorpusError):
            raise record
        found.append(to_document(record))
    return found


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", sorted(MARKS))
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_unicode_with_and_without_a_mark(write: Write, encoding: str, mark: bool, line_end: str, ending: str) -> None:
    raw = (MARKS[encoding] if mark else b"") + JSONL.replace("\n", line_end).encode(encoding)
    expected = [Document("a", "Ein Bär im Zoo: 熊"), Document("b", "Ċ ends no line, nor does \u2028")]
    assert documents(read_jsonl(write(f"c.jsonl{ending}", raw))) == expected


def test_utf_32_and_an_encoding_by_name(write: Write) -> None:
    for encoding, given_name in (("utf-32", None), ("utf-32-be", None), ("utf-16-le", "utf-16"), ("utf-8-sig", "UTF8")):
        path = write("c.jsonl", JSONL.encode(encoding))
        assert [document.id for document in documents(read_jsonl(path, encoding=given_name))] == ["a", "b"]


@pytest.mark.parametrize("content", ["id\ttext\r1\tone\r2\ttwo\r", "id\ttext\r1\tone\r2\ttwo"])
def test_line_ends_of_old_macintosh_files(write: Write, content: str) -> None:
    path = write("c.tsv", content)
    assert documents(read_tabular(path, "\t")) == [Document("1", "one"), Document("2", "two")]
    assert [line.number for line in read_lines(path)] == [1, 2, 3]


def test_a_carriage_return_inside_of_a_text_ends_no_line(write: Write) -> None:
    assert documents(read_tabular(write("c.tsv", "id\ttext\n1\tone\rand more\n"), "\t")) == [
        Document("1", "one\rand more")
    ]


@pytest.mark.parametrize(
    ("raw", "advice"),
    [
        ("Ein Bär".encode("latin-1"), "it looks like Latin-1; read it with encoding='latin-1'"),
        ("a “quoted” word".encode("cp1252"), "it looks like Windows-1252; read it with encoding='cp1252'"),
        ("привет".encode("cp1251"), "such as encoding='cp1251' or encoding='shift_jis'"),
    ],
)
def test_a_line_that_is_not_utf8_says_what_it_looks_like(write: Write, raw: bytes, advice: str) -> None:
    path = write("q.tsv", b"1\tgood\n2\t" + raw + b"\n")
    with pytest.raises(CorpusError, match="not UTF-8") as caught:
        list(read_queries(path))
    assert (advice in str(caught.value), caught.value.line) == (True, 2)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "gb18030"])
def test_every_reader_takes_an_encoding(write: Write, encoding: str) -> None:
    word = "café" if encoding in ("latin-1", "cp1252") else "日本"
    queries = write("q.tsv", f"q{word}\twhat is {word}?\n".encode(encoding))
    assert list(read_queries(queries, encoding=encoding)) == [Query(f"q{word}", f"what is {word}?")]
    qrels = write("qrels", f"q{word} 0 d{word} 1\n".encode(encoding))
    assert read_qrels(qrels, encoding=encoding) == {f"q{word}": {f"d{word}": 1}}
    run = write("run", f"q{word} Q0 d{word} 1 0.5 tag\n".encode(encoding))
    assert [line.doc_id for line in read_run(run, encoding=encoding)] == [f"d{word}"]


def test_a_wrong_or_unknown_encoding_is_named(write: Write) -> None:
    path = write("q.tsv", b"1\ta\x81b\n")
    with pytest.raises(CorpusError, match=r"not cp1252 .byte 0x81"):
        list(read_queries(path, encoding="cp1252"))
    for encoding in ("martian", "hex", ""):
        with pytest.raises(ConfigError, match=f"encoding='{encoding}' is not known"):
            list(read_queries(path, encoding=encoding))


def test_a_nul_character_does_not_make_utf_16() -> None:
    for start in (b"a\0\n", b"a\0b\n", b'{"id": "x\0"}\n', b"\0\0", b""):
        assert detect_encoding(start, None) == ("utf-8", 0)


class Trickle:
    """A stream that gives a few bytes at a time, and says how far it was read."""

    def __init__(self, raw: bytes, step: int) -> None:
        self.raw, self.step, self.place = raw, step, 0

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(self.step)

    def read(self, size: int = -1, /) -> bytes:
        start, self.place = self.place, min(self.place + size, len(self.raw))
        return self.raw[start : self.place]

    def readline(self, size: int = -1, /) -> bytes:
        end = self.raw.find(b"\n", self.place)
        return self.read(min(size, (end + 1 if end >= 0 else len(self.raw)) - self.place))


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=5)),
    step=st.integers(1, 9),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_lines_are_the_same_however_the_bytes_come(lines: list[str], step: int, encoding: str, end: str) -> None:
    raw = MARKS[encoding] + "".join(line + end for line in lines).encode(encoding)
    found = list(decoded_lines(Trickle(raw, step), "x"))
    assert [line.text.removesuffix("\r") for line in found] == lines
    assert [line.number for line in found] == list(range(1, len(lines) + 1))


def test_a_line_comes_as_soon_as_it_is_there() -> None:
    stream = Trickle(b"one\ntwo\nthree\n", 4)
    lines = decoded_lines(stream, "x")
    assert (next(lines).text, stream.place) == ("one", 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("step", [3, 1000])
def test_over_long_lines_are_passed_over_whole(monkeypatch: pytest.MonkeyPatch, encoding: str, step: int) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100)
    texts = ["first", "x" * 250, "after", "y" * 101, "z" * 100, "last", "v" * 999]
    raw = MARKS[encoding] + "\n".join(texts).encode(encoding)
    limit = 100 if encoding == "utf-8" else 49
    found = list(decoded_lines(Trickle(raw, step), "x"))
    assert [line.text if line.error is None else None for line in found] == [
        text if len(text) <= limit else None for text in texts
    ]
