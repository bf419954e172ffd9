"""Passages in a segment: what is written is read back, and what cannot be is a named error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorruptIndexError, VectorError
from colstore.store import Passages, Segment, SegmentEntry, SegmentWriter
from colstore.store.passages import NAMES
from colstore.store.verification import content_problems

Tables = dict[str, NDArray[Any]]
SPANS = [[(0, 0)], [(0, 4), (2, 7), (8, 9)], [(0, 0), (0, 5)]]
LENGTHS = [[2], [1, 3, 2], [4, 1]]


def written(folder: Path, passages: Passages | None, counts: Sequence[int] = (2, 6, 5)) -> SegmentEntry:
    rows = np.ones((sum(counts), 2), np.float16)
    records: list[tuple[str, str, dict[str, Any]]] = [("title", "some text", {}) for _ in counts]
    with SegmentWriter(folder, "000001", {"vectors": ("<f2", (2,))}, store_texts=True) as writer:
        writer.append([f"d{i}" for i in range(len(counts))], counts, {"vectors": rows}, records, passages)
        return writer.seal()


def test_passages_are_read_back(tmp_path: Path) -> None:
    entry = written(tmp_path, Passages.of(LENGTHS, SPANS))
    assert entry.passages == 6
    segment = Segment.open(tmp_path, entry)
    first, offsets = segment.passage_tables()
    assert first.tolist() == [0, 1, 4, 6]
    assert offsets.tolist() == [0, 2, 3, 6, 8, 12, 13]
    assert [segment.passage_span(1, i) for i in range(3)] == SPANS[1]
    assert segment.passage_span(0, 0) is None
    some = segment.passages_of(1, 3)
    assert some is not None
    assert some.table().tolist() == Passages.of(LENGTHS[1:], SPANS[1:]).table().tolist()
    assert list(content_problems(segment)) == []


def test_documents_of_one_passage_leave_no_trace(tmp_path: Path) -> None:
    with_passages = written(tmp_path / "a", Passages.of([[2], [6], [5]], [[(0, 9)], [(0, 9)], [(0, 9)]]))
    assert with_passages == written(tmp_path / "b", None)
    assert not with_passages.arrays.keys() & set(NAMES)
    segment = Segment.open(tmp_path / "a", with_passages)
    assert segment.passages_of(0, 3) is None
    assert segment.passage_tables()[1].tolist() == [0, 2, 8, 13]


def test_passages_that_are_not_those_of_the_documents_are_refused(tmp_path: Path) -> None:
    for lengths in ([[2], [6]], [[2], [1, 3, 1], [5]], [[2], [6, 0], [5]], [[2], [], [5]]):
        spans = [[(0, 1)] * len(each) for each in lengths]
        with pytest.raises(VectorError, match="do not fit"):
            written(tmp_path, Passages.of(lengths, spans))
    with (
        SegmentWriter(tmp_path, "000002", {"vectors": ("<f2", (2,))}, store_texts=False) as writer,
        pytest.raises(ConfigError, match="the store uses it itself"),
    ):
        writer.seal({"passage_spans": np.zeros((1, 2), np.uint32)})


def _equal_ends(tables: Tables) -> None:
    tables["passage_offsets"][2] = tables["passage_offsets"][1]


def _no_passage(tables: Tables) -> None:
    tables["doc_passages"][2] = tables["doc_passages"][1]


def _backwards(tables: Tables) -> None:
    tables["doc_passages"][1] = 5


def _of_another_document(tables: Tables) -> None:
    tables["doc_passages"][1] = 2


def _beyond_the_tokens(tables: Tables) -> None:
    tables["passage_offsets"][-1] = 99


def _beyond_the_passages(tables: Tables) -> None:
    tables["doc_passages"][-1] = 7


def _beyond_the_text(tables: Tables) -> None:
    tables["passage_spans"][2, 1] = 10


def _ends_first(tables: Tables) -> None:
    tables["passage_spans"][2] = (5, 4)


def _one_is_missing(tables: Tables) -> None:
    del tables["passage_offsets"]


def _of_floats(tables: Tables) -> None:
    tables["doc_passages"] = tables["doc_passages"].astype(np.float32)


FORGERIES = (
    _equal_ends,
    _no_passage,
    _backwards,
    _of_another_document,
    _beyond_the_tokens,
    _beyond_the_passages,
    _beyond_the_text,
    _ends_first,
    _one_is_missing,
    _of_floats,
)


@pytest.mark.parametrize("forge", FORGERIES)
def test_forged_passages_are_named_errors(
    tmp_path: Path, forge: Callable[[Tables], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that contradict each other or the texts, in a file whose checksums are right."""
    arrays = Passages.arrays

    def forged(passages: Passages) -> Tables:
        tables = arrays(passages)
        forge(tables)
        return tables

    monkeypatch.setattr(Passages, "arrays", forged)
    entry = written(tmp_path, Passages.of(LENGTHS, SPANS))
    with pytest.raises(CorruptIndexError, match="passage"):
        list(content_problems(Segment.open(tmp_path, entry)))


@given(lengths=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=8), data=st.data())
def test_joining_and_taking_apart(lengths: list[list[int]], data: st.DataObject) -> None:
    whole = Passages.of(lengths, [[(i, i + 1) for i, _ in enumerate(each)] for each in lengths])
    cut = data.draw(st.integers(0, len(lengths)))
    parts = [whole.between(0, cut), whole.between(cut, len(lengths))]
    assert Passages.joined(parts).table().tolist() == whole.table().tolist()
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths))), bool)
    kept = [whole.between(int(i), int(i) + 1) for i in np.flatnonzero(chosen)]
    assert whole.only(chosen).table().tolist() == Passages.joined(kept).table().tolist()
