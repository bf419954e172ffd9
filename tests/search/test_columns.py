"""Columns of metadata fields: exact comparisons, bounded memory, and reading only once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colstore
from colstore.search import columns as columns_module
from colstore.search.column_tests import holds_for, table
from colstore.search.columns import ColumnCache, make_columns
from colstore.search.filter_grammar import Comparison
from colstore.search.predicates import predicate
from colstore.store.segment_reader import Segment

NUMBERS = st.one_of(
    st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, float(2**53), 10**400, -(10**400), 0.5, -0.0, 1e300])
)
TEXTS = st.one_of(st.sampled_from(["", "a", "é", "\uffff", "\U00010000", "a\0", "a\0\0"]), st.text(max_size=2))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xy"), inner, max_size=2)),
    max_leaves=6,
)
RANGES = st.builds(range, st.integers(-3, 2**53), st.integers(-3, 2**60), st.sampled_from([1, 2, -1, 7, 2**54]))
COMPARISONS = st.one_of(
    st.builds(Comparison, st.just("a"), st.sampled_from(["gt", "gte", "lt", "lte"]), st.one_of(NUMBERS, TEXTS)),
    st.builds(Comparison, st.just("a"), st.just("eq"), VALUES),
    st.builds(Comparison, st.just("a"), st.just("in"), st.lists(st.one_of(VALUES, RANGES), max_size=4).map(tuple)),
    st.builds(Comparison, st.just("a"), st.just("contains"), st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)),
    st.just(Comparison("a", "exists", True)),
)


@settings(max_examples=500, deadline=None)
@given(documents=st.lists(st.one_of(st.just({}), st.builds(dict, a=VALUES)), max_size=8), comparison=COMPARISONS)
def test_a_column_compares_as_its_values_do(documents: list[dict[str, Any]], comparison: Comparison) -> None:
    column = make_columns(documents, ["a"], 1 << 20)["a"]
    holds = predicate(comparison)
    assert holds_for(column, comparison).tolist() == [holds(metadata) for metadata in documents]


def test_distinct_values_are_stored_once() -> None:
    documents = [{"lang": ("de", "en", "fr")[i % 3], "n": i % 2 + 0.0 if i % 5 else i % 2} for i in range(1_000)]
    columns = make_columns(documents, ["lang", "n"], 1 << 20)
    assert columns["lang"].codes.dtype == np.uint8
    assert columns["lang"].nbytes < 1_100
    assert columns["n"].numbers.tolist() == [0.0, 1.0]
    assert len(table(columns["lang"], Comparison("lang", "eq", "de"))) == 7  # missing, null, false, true, three texts


def test_a_field_of_large_values_has_no_column_and_the_others_have() -> None:
    documents = [{"raw": str(i) * 2_000, "lang": "de"} for i in range(30)]
    cache = ColumnCache(len(documents))
    cache.limit = 20_000
    reads = []

    def read() -> Iterator[Mapping[str, Any]]:
        reads.append(1)
        return iter(documents)

    assert cache.get(read, ["raw", "lang"]).keys() == {"lang"}
    assert cache.get(read, ["raw", "lang"]).keys() == {"lang"}
    assert len(reads) == 1
    assert cache.nbytes <= 20_000


def test_columns_that_were_used_least_recently_make_room() -> None:
    documents = [{name: f"{name}{i}" for name in "abc"} for i in range(100)]
    size = make_columns(documents, ["a"], 1 << 20)["a"].nbytes
    cache = ColumnCache(100)
    cache.limit = 100 * (columns_module._VALUE_BYTES + 3)
    assert 3 * size < cache.limit
    for name in "abca":
        cache.get(lambda: documents, [name])
    assert cache.nbytes == 3 * size
    cache._columns = dict(cache._columns)
    cache.limit = 2 * size
    cache.get(lambda: documents, ["a"])
    assert list(cache._columns) == ["c", "a"]


@pytest.fixture
def filtered(tmp_path: Path) -> Iterator[colstore.Index]:
    vectors = [np.array([[1, i]], np.float32) for i in range(40)]
    metadata = [{"lang": "de" if i % 4 else "en", "year": 2000 + i, "raw": "x" * 500} for i in range(40)]
    ids = [f"d{i}" for i in range(40)]
    with colstore.build_from_vectors(tmp_path / "i", ids, vectors, metadata=metadata, bits=16) as index:
        yield index


def test_the_metadata_are_read_once_for_a_field_and_not_again_after_a_commit(
    filtered: colstore.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    original = Segment.iter_metadata

    def counted(self: Segment) -> Iterator[Mapping[str, Any]]:
        reads.append(self.documents)
        return original(self)

    monkeypatch.setattr(Segment, "iter_metadata", counted)
    query = np.array([[1, 1]], np.float32)
    first = [hit.id for hit in filtered.search(query, k=5, where={"lang": "de", "year": {"lt": 2030}})]
    assert reads == [40]
    assert [hit.id for hit in filtered.search(query, k=5, where={"lang": "de", "year": {"lt": 2030}})] == first
    assert filtered.count({"lang": "en"}) == 10
    assert reads == [40]
    filtered.delete(first[:1])
    document = colstore.Document(
        id="new", vectors=np.array([[1, 1]], np.float32), metadata={"lang": "de", "year": 2001}
    )
    filtered.add([document])
    assert filtered.count({"lang": "de"}) == 30
    assert set(reads) <= {40, 1}
    assert reads.count(40) == 1, "the segment that did not change was read again"


def test_other_metadata_are_not_held_in_memory(filtered: colstore.Index) -> None:
    filtered.count({"lang": "de"})
    (view,) = filtered._live().views
    assert view.columns.nbytes < 200
    assert "xxx" not in json.dumps(str(vars(view)))
