"""Every format that is read gives the documents that were written."""

from __future__ import annotations

import csv
import datetime
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.corpus import read_documents
from colstore.errors import CorpusError, MissingDependencyError
from colstore.types import Document

Write = Callable[[str, "str | bytes"], Path]

DOCUMENTS = [
    Document(id="d1", title="Bees", text='They "dance", in a line\nor two.', metadata={"year": "2020"}),
    Document(id="π 2", title="", text="naïve\tcafé 🐝", metadata={"year": ""}),
    Document(id="3", title="Only a title", text="", metadata={"year": "x\u2028y"}),
]


def as_jsonl(documents: list[Document]) -> str:
    rows = [{"_id": d.id, "title": d.title, "text": d.text, **d.metadata} for d in documents]
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_table(documents: list[Document], delimiter: str, line_end: str = "\r\n") -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["year", "id", "title", "text"])
    writer.writerows([d.metadata["year"], d.id, d.title, d.text] for d in documents)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "C.JSONL", "beir/corpus.jsonl", "beir/corpus.jsonl.gz"])
def test_json_lines_and_beir_folders(write: Write, name: str) -> None:
    path = write(name, as_jsonl(DOCUMENTS))
    assert list(read_documents(path.parent if "beir" in name else path)) == DOCUMENTS


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz", "c.tsv", "c.tsv.gz"])
def test_tables(write: Write, name: str, line_end: str) -> None:
    path = write(name, as_table(DOCUMENTS, "\t" if ".tsv" in name else ",", line_end))
    assert list(read_documents(str(path))) == DOCUMENTS


def test_a_table_column_named_metadata_is_metadata_too(write: Write) -> None:
    (document,) = read_documents(write("c.csv", "_id,text,metadata\nd1,Bees.,m\n"))
    assert document == Document(id="d1", text="Bees.", metadata={"metadata": "m"})


def test_standard_input(stdin: Callable[[bytes], None]) -> None:
    stdin(as_jsonl(DOCUMENTS).encode())
    assert list(read_documents("-")) == DOCUMENTS
    assert not sys.stdin.buffer.closed


def test_no_standard_input_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CorpusError, match="no standard input"):
        list(read_documents("-"))


def test_python_iterables_of_every_kind() -> None:
    def items() -> Iterator[Document | dict[str, object] | str]:
        yield DOCUMENTS[0]
        yield {
            "id": 7,
            "text": "seven",
            "year": 2020,
            "metadata": {"tags": ["a", None, 1.5, True, {"b": []}]},
        }
        yield "a string"
        yield {"_id": np.int64(9), "id": "mine", "text": "nine", "title": None, "metadata": None}

    documents = list(read_documents(items()))
    assert documents[0] == DOCUMENTS[0]
    assert documents[1].id == "7"
    assert documents[1].metadata == {"year": 2020, "tags": ["a", None, 1.5, True, {"b": []}]}
    assert documents[2] == Document(id="2", text="a string")
    assert documents[3] == Document(id="9", text="nine", metadata={"id": "mine"})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_vectors_of_the_callers_own_are_passed_on(dtype: type) -> None:
    vectors: NDArray[Any] = np.ones((3, 4), dtype)
    documents = list(read_documents([{"id": "a", "vectors": vectors}, Document(id="b", vectors=vectors)]))
    assert [document.vectors is vectors for document in documents] == [True, True]


def test_vectors_in_json_lines_become_float32(write: Write) -> None:
    (document,) = read_documents(write("c.jsonl", '{"id": "a", "text": "t", "vectors": [[1, 0.5], [0, 1]]}'))
    assert document.vectors is not None
    assert document.vectors.dtype == np.float32
    assert document.vectors.tolist() == [[1.0, 0.5], [0.0, 1.0]]


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_are_accepted(write: Write) -> None:
    jsonl = write("c.jsonl", b'\xef\xbb\xbf\r\n{"id": "a", "text": "t"}\r\n \r\n\n{"id": "b", "text": "t"}')
    table = write("c.csv", b"\xef\xbb\xbfid,text\r\n\r\na,t\r\n   \r\nb,t")
    assert [d.id for d in read_documents(jsonl)] == [d.id for d in read_documents(table)] == ["a", "b"]


def test_a_folder_of_text_files(write: Write, tmp_path: Path) -> None:
    contents = {
        "a.txt": "alpha\r\n",
        "a/z.TXT": "nested",
        "a-b.md": "intro\n```\n# code, no heading\n```\n##\n## The *dance* ##\ntext\n# later\n",
        "a0.md": "#hashtag, no heading",
        "b/c/d.txt": "deep",
    }
    for name, content in contents.items():
        write(f"texts/{name}", content)
    write("texts/ignored.png", b"\xff")
    documents = list(read_documents(tmp_path / "texts"))
    assert [d.id for d in documents] == sorted(contents)
    assert {d.id: d.text for d in documents} == contents
    assert {d.id: d.title for d in documents if d.title} == {"a-b.md": "The dance"}


def test_a_byte_order_mark_of_a_text_file_is_dropped(write: Write, tmp_path: Path) -> None:
    write("texts/a.md", b"\xef\xbb\xbf# Title\n")
    (document,) = read_documents(tmp_path / "texts")
    assert (document.title, document.text) == ("Title", "# Title\n")


def test_links_to_folders_are_followed_but_not_in_circles(write: Write, tmp_path: Path) -> None:
    write("else/b.txt", "linked")
    write("texts/a.txt", "plain")
    (tmp_path / "texts" / "link").symlink_to(tmp_path / "else")
    assert [d.id for d in read_documents(tmp_path / "texts")] == ["a.txt", "link/b.txt"]
    (tmp_path / "texts" / "circle").symlink_to(tmp_path / "texts")
    with pytest.raises(CorpusError, match="circle: is a link to a folder above"):
        list(read_documents(tmp_path / "texts"))


def test_a_beir_folder_with_text_files_in_it_is_a_beir_folder(write: Write, tmp_path: Path) -> None:
    write("both/README.md", "# About")
    write("both/corpus.jsonl", as_jsonl(DOCUMENTS))
    assert list(read_documents(tmp_path / "both")) == DOCUMENTS


def write_parquet(path: Path, columns: dict[str, Any], row_group: int | None = None) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=row_group)
    return path


def test_parquet(tmp_path: Path) -> None:
    columns = {
        "_id": [1, 2],
        "text": ["one", "two"],
        "title": [None, "Two"],
        "year": [2020, None],
        "day": [datetime.date(2020, 1, 2), None],
        "vectors": [[[1.0, 0.0]], None],
    }
    first, second = read_documents(write_parquet(tmp_path / "c.parquet", columns))
    assert (first.id, first.title, first.metadata) == ("1", "", {"year": 2020, "day": "2020-01-02"})
    assert first.vectors is not None
    assert first.vectors.tolist() == [[1.0, 0.0]]
    assert second == Document(id="2", title="Two", text="two", metadata={"year": None, "day": None})


def test_parquet_over_many_batches(tmp_path: Path) -> None:
    ids = [f"d{number}" for number in range(3000)]
    path = write_parquet(tmp_path / "c.parquet", {"id": ids, "text": ids}, row_group=1100)
    assert [d.id for d in read_documents(path)] == ids


def test_parquet_without_pyarrow_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "c.parquet", {"id": ["a"], "text": ["t"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[parquet\]'"):
        read_documents(path)


def test_importing_the_room_imports_nothing_heavy() -> None:
    import subprocess

    heavy = ("torch", "transformers", "sentence_transformers", "pyarrow", "pandas", "h5py", "faiss", "numba")
    code = f"import sys, colstore.corpus; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
