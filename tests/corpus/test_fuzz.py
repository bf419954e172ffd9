"""Whatever the bytes are: items or named errors, never another exception; and nothing is lost uncounted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colstore.corpus import ReadReport, group_run, read_documents, read_qrels, read_queries, read_run
from colstore.errors import CorpusError
from colstore.types import Document

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = st.sampled_from(
    ["_id", "id", "text", "title", "metadata", "vectors", "year", "query_id", "doc_id", "score", "rank"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
CELLS = st.sampled_from(
    ["id", "text", "title", "a", "b", "1", "2.5", "Q0", '"', '""', ",", "\t", " ", "\n", "\r", "\0", "é"]
)
PIECES = CELLS.map(str.encode) | st.sampled_from(
    [b"\xff", b"\xef\xbb\xbf", b"id,text\n", b"id\ttext\n", b"q Q0 d 1 1 t\n"]
)
BYTES = (
    st.binary(max_size=60)
    | st.lists(PIECES, max_size=30).map(b"".join)
    | st.lists(OBJECTS.map(json.dumps), max_size=5).map(lambda rows: "\n".join(rows).encode())
)


def outcome(read: Callable[[], Iterable[Any]]) -> CorpusError | None:
    """Return the named error, if one came; any other exception fails the test."""
    try:
        for _ in read():
            pass
    except CorpusError as error:
        return error
    return None


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.tsv", "c.jsonl.gz", "c.parquet", "texts/a.md"])
@FUZZ
@given(raw=BYTES, packed=st.booleans(), cut=st.integers(0, 12))
def test_documents_from_any_bytes(tmp_path: Path, name: str, raw: bytes, packed: bool, cut: int) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    squeezed = gzip.compress(raw)
    path.write_bytes(squeezed[: len(squeezed) - cut] if packed else raw)
    source = path.parent if "/" in name else path
    error = outcome(lambda: read_documents(source))
    report = ReadReport()
    count = 0

    def skipping() -> Iterable[Document]:
        nonlocal count
        for document in read_documents(source, on_error="skip", on_duplicate="skip", report=report):
            assert document.id
            assert document.passage or document.vectors is not None
            json.dumps([dict(document.metadata), document.text], allow_nan=False).encode()
            count += 1
            yield document

    refused = outcome(skipping)
    assert report.documents == count
    assert (error is None) == (report.skipped == 0 and refused is None)


@FUZZ
@given(items=st.lists(OBJECTS | st.text(st.characters(), max_size=5) | SCALARS, max_size=5))
def test_documents_from_any_items(items: list[Any]) -> None:
    report = ReadReport()
    taken = list(read_documents(items, on_error="skip", on_duplicate="skip", report=report))
    assert len(taken) + report.skipped == len(items)
    assert len({document.id for document in taken}) == len(taken)
    report.summary().encode()


@pytest.mark.parametrize("name", ["q.jsonl", "q.tsv", "q.tsv.gz"])
@FUZZ
@given(raw=BYTES)
def test_queries_qrels_and_runs_from_any_bytes(tmp_path: Path, name: str, raw: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    for read in (
        read_queries,
        read_run,
        lambda path: read_qrels(path).items(),
        lambda path: group_run(read_run(path)),
    ):
        error = outcome(lambda read=read: read(path))  # type: ignore[misc]
        assert error is None or error.source == str(path)
