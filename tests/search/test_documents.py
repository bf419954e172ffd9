"""Reading back: by id, one after another, in bounded memory, and from the snapshot that it began with."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Document, Index
from colstore.encode import FakeEncoder
from colstore.errors import ColstoreError, ConfigError, QueryError, UnknownIdError
from colstore.store import Segment

REPOSITORY = Path(__file__).resolve().parents[2]


def document(number: int) -> Document:
    metadata: dict[str, Any] = {"n": number, "tags": ["even" if number % 2 == 0 else "odd"], "deep": {"x": [number]}}
    return Document(f"d{number}", f"text of {number} über\n\u2028lines", f"title {number}", metadata)


def fields(one: Document) -> tuple[str, str, str, dict[str, Any]]:
    return one.id, one.text, one.title, dict(one.metadata)


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Return an open index of d0..d99, less d7 and d50, in three segments."""
    monkeypatch.setattr("colstore.updating.merge_policy.FANOUT", 1_000)
    index = colstore.build(tmp_path / "x", [document(i) for i in range(40)], model=FakeEncoder(dim=16), bits=8)
    index.add([document(i) for i in range(40, 75)])
    index.add([document(i) for i in range(75, 100)])
    index.delete(["d7", "d50"])
    assert index.info().segments == 3
    with index:
        yield index


LIVE = [i for i in range(100) if i not in (7, 50)]


# --- by id --------------------------------------------------------------------------------------------------------


def test_documents_come_back_as_they_went_in_and_in_the_order_of_the_ids(grown: Index) -> None:
    wanted = [99, 0, 41, 42, 0, 76]
    found = grown.get(f"d{i}" for i in wanted)
    assert [fields(one) for one in found] == [fields(document(i)) for i in wanted]
    assert all(one.vectors is None for one in found)
    assert grown.get([]) == []


def test_unknown_and_deleted_ids_are_named_or_left_out(grown: Index) -> None:
    with pytest.raises(UnknownIdError, match="3 of 4 ids are not in the index, such as 'd7', 'x', 'd50'"):
        grown.get(["d7", "d1", "x", "d50"])
    assert [one.id for one in grown.get(["d7", "d1", "x", "d1"], missing="skip")] == ["d1", "d1"]
    with pytest.raises(ConfigError, match="missing must be one of"):
        grown.get(["d1"], missing="last")  # type: ignore[arg-type]  # the point of the test


def test_a_lone_string_is_refused_by_every_method_that_takes_ids(grown: Index) -> None:
    query = grown.vectors(["d1"])[0]
    calls: list[Callable[[], object]] = [
        lambda: grown.get("d1"),
        lambda: grown.vectors("d1"),
        lambda: grown.iter_vectors("d1"),
        lambda: grown.delete("d1"),
        lambda: grown.rerank(query, "d1"),
        lambda: grown.search(query, ids="d1"),
    ]
    for call in calls:
        with pytest.raises(QueryError, match=r"got the string 'd1': to name one document, write \['d1'\]"):
            call()


def test_what_a_caller_does_to_a_document_does_not_reach_the_index(grown: Index) -> None:
    (one,) = grown.get(["d3"])
    one.metadata["deep"]["x"].append("changed")  # type: ignore[index,call-overload,union-attr]  # JSON of any shape
    assert fields(grown.get(["d3"])[0]) == fields(document(3))
    assert grown.search(grown.vectors(["d3"])[0], 1)[0].metadata["deep"] == {"x": [3]}


# --- one after another --------------------------------------------------------------------------------------------


def test_iterating_gives_every_live_document_in_insertion_order(grown: Index) -> None:
    assert [fields(one) for one in grown] == [fields(document(i)) for i in LIVE]
    assert list(grown.ids()) == [f"d{i}" for i in LIVE]
    assert len(grown) == grown.count() == len(LIVE)


def test_filters_choose_ids_and_counts(grown: Index) -> None:
    where = {"tags": {"contains": "odd"}, "n": {"lt": 60}}
    expected = [f"d{i}" for i in LIVE if i % 2 and i < 60]
    assert list(grown.ids(where)) == expected
    assert grown.count(where) == len(expected)
    assert grown.count({}) == len(LIVE)
    assert list(grown.ids({"n": {"gt": 1000}})) == []
    with pytest.raises(QueryError, match="nn"):
        grown.ids({"nn": 1})
    with pytest.raises(QueryError, match="where must map"):
        grown.count("n")  # type: ignore[arg-type]  # the point of the test


def test_vectors_stream_as_they_are_returned_at_once(grown: Index) -> None:
    names = [f"d{i}" for i in LIVE]
    streamed = list(grown.iter_vectors())
    assert [name for name, _ in streamed] == names
    for (_, one), other in zip(streamed, grown.vectors(names), strict=True):
        assert one.dtype == np.float32
        assert np.array_equal(one, other)
    some = ["d80", "d2", "d80"]
    assert [name for name, _ in grown.iter_vectors(some)] == some
    assert np.array_equal(next(grown.iter_vectors(["d80"]))[1], dict(streamed)["d80"])
    with pytest.raises(UnknownIdError, match="'nobody'"):
        grown.iter_vectors(["d1", "nobody"])


def test_an_index_is_a_corpus(grown: Index, tmp_path: Path) -> None:
    with colstore.build(tmp_path / "copy", grown, model=FakeEncoder(dim=16), bits=8) as copy:
        assert [fields(one) for one in copy] == [fields(one) for one in grown]


def test_an_index_without_texts_gives_ids_and_empty_texts(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", [document(3)], model=FakeEncoder(dim=16), store_texts=False) as index:
        assert index.get(["d3"]) == list(index) == [Document("d3")]
        assert list(index.ids()) == ["d3"]
        with pytest.raises(QueryError, match="there are none"):
            index.count({"n": 3})


def test_an_emptied_index_has_nothing_to_read(grown: Index) -> None:
    grown.delete(list(grown.ids()))
    assert (list(grown), list(grown.ids()), list(grown.iter_vectors()), grown.count()) == ([], [], [], 0)


def test_each_block_of_texts_is_read_once(grown: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, str, int]] = []
    rows = Segment.rows

    def note(self: Segment, name: str, start: int = 0, stop: int | None = None) -> Any:
        if name in ("texts", "metadata"):
            read.append((self.id, name, start))
        return rows(self, name, start, stop)

    monkeypatch.setattr(Segment, "rows", note)
    monkeypatch.setattr("colstore.store.text_blocks._CACHE_BYTES", 1)  # one block at a time
    assert len(list(grown)) == len(LIVE)
    assert len(read) == len(set(read)) > 0
    read.clear()
    with colstore.open(grown.path) as other:
        mixed = sorted((f"d{i}" for i in LIVE), key=lambda name: name[::-1])
        assert [one.id for one in other.get(mixed)] == mixed
    assert len(read) == len(set(read)) > 0


def test_memory_stays_that_of_a_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 48 MB of texts in eight segments, at most what one segment keeps (16 MiB) is in memory."""
    monkeypatch.setattr("colstore.updating.merge_policy.FANOUT", 1_000)
    vectors = np.eye(2, 16, dtype=np.float32)
    text = "word " * 4_000

    def some(start: int) -> list[Document]:
        return [Document(f"d{i}", f"{i} {text}", vectors=vectors) for i in range(start, start + 300)]

    index = colstore.build_from_vectors(tmp_path / "x", ["first"], [vectors], texts=["the first"], bits=16)
    for start in range(0, 2_400, 300):
        index.add(some(start))
    tracemalloc.start()
    try:
        length = sum(len(one.text) for one in index)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > 48e6
    assert peak < 24e6


# --- snapshots ----------------------------------------------------------------------------------------------------


def started(index: Index) -> list[Iterator[Any]]:
    """Return iterators of every kind, each after its first item."""
    iterators: list[Iterator[Any]] = [
        iter(index),
        index.ids(),
        index.ids({"n": {"gte": 0}}),
        index.iter_vectors(),
        index.iter_vectors([f"d{i}" for i in LIVE]),
    ]
    for iterator in iterators:
        next(iterator)
    return iterators


def rest_of(iterators: list[Iterator[Any]]) -> list[list[str]]:
    names = []
    for iterator in iterators:
        items = [getattr(item, "id", item) for item in iterator]
        names.append([item[0] if isinstance(item, tuple) else item for item in items])
    return names


def test_an_iteration_keeps_to_its_snapshot(grown: Index) -> None:
    """Also over changes, refreshing, files that are removed, and closing the index."""
    iterators = started(grown)
    grown.delete(["d1", "d2", "d99"])
    grown.replace([Document("d3", "something else")])
    grown.compact(clean=True)
    assert "d99" not in grown
    untouched = iter(grown)
    grown.close()
    assert rest_of(iterators) == [[f"d{i}" for i in LIVE[1:]]] * 5
    assert len(list(untouched)) == len(LIVE) - 3


def test_an_iteration_goes_on_beside_a_writer_in_another_process(grown: Index) -> None:
    iterators = [*started(grown), iter(grown)]
    code = (
        "import sys, colstore\n"
        "with colstore.open(sys.argv[1]) as index:\n"
        "    index.delete(where={'n': {'lt': 90}})\n"
        "    index.compact(clean=True)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(grown.path)], check=True, cwd=REPOSITORY)
    assert [fields(one) for one in iterators.pop()] == [fields(document(i)) for i in LIVE]
    assert rest_of(iterators) == [[f"d{i}" for i in LIVE[1:]]] * 5
    assert len(grown) == len(LIVE)
    assert grown.refresh()
    assert list(grown.ids()) == [f"d{i}" for i in range(90, 100)]


def test_reading_from_a_closed_index_is_an_error_at_once(grown: Index) -> None:
    grown.close()
    calls: list[Callable[[], object]] = [
        lambda: grown.get(["d1"]),
        grown.ids,
        lambda: iter(grown),
        grown.iter_vectors,
        grown.count,
        lambda: grown.vectors(["d1"]),
    ]
    for call in calls:
        with pytest.raises(ColstoreError, match="closed"):
            call()


def test_an_iteration_may_be_left_early(grown: Index) -> None:
    assert [one.id for one in islice(grown, 3)] == ["d0", "d1", "d2"]
    assert [one.id for one in islice(grown, 1)] == ["d0"]
