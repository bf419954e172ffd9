"""Deleted documents are gone for every operation, and no other document is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore import Index
from colstore.errors import ConfigError, QueryError, UnknownIdError


def test_deleted_documents_are_gone_for_every_operation(index: Index, document: Any) -> None:
    report = index.delete(["d3", "d4"])
    assert (report.deleted, report.unknown, report.documents, report.generation) == (2, 0, 18, 2)
    assert len(index) == 18
    assert "d3" not in index
    assert "d5" in index
    query = document(3).vectors
    for params in (None, colstore.SearchParams(exact=True), colstore.SearchParams(exact_tokens=0)):
        found = {hit.id for hit in index.search(query, k=20, params=params)}
        assert found == {f"d{i}" for i in range(20)} - {"d3", "d4"}
    with pytest.raises(UnknownIdError, match="'d3'"):
        index.rerank(query, ["d3"])
    with pytest.raises(UnknownIdError, match="'d3'"):
        index.search(query, ids=["d3"])
    with pytest.raises(UnknownIdError):
        index.vectors(["d4"])


def test_filters_see_no_deleted_metadata(texts: Index) -> None:
    assert len(texts.search("the moon", where={"year": 2020})) == 3
    texts.delete(["tides"])
    assert {hit.id for hit in texts.search("the moon", where={"year": 2020})} == {"bees", "bread"}
    texts.delete(["bees", "bread"])
    assert texts.search("the moon", where={"year": 2020}) == []
    assert texts.count({"year": 2020}) == 0


def test_probing_never_returns_deleted_documents(tmp_path: Path, document: Any) -> None:
    """With so many documents that search goes through the centroids."""
    documents = [document(i) for i in range(400)]
    index = colstore.build_from_vectors(
        tmp_path / "x", [x.id for x in documents], [x.vectors for x in documents if x.vectors is not None]
    )
    index.delete([f"d{i}" for i in range(100)])
    params = colstore.SearchParams(exact_tokens=0, probes=64)
    for i in (5, 50, 250):
        ids = [hit.id for hit in index.search(document(i).vectors, k=10, params=params)]
        assert len(ids) == 10
        assert not set(ids) & {f"d{n}" for n in range(100)}
        assert (f"d{i}" in ids) == (i >= 100)


def test_an_unknown_id_is_an_error_and_nothing_changes(index: Index, files_of: Any) -> None:
    before = files_of(index.path)
    with pytest.raises(UnknownIdError, match=r"1 of 2 ids.*'nobody'.*missing='skip'"):
        index.delete(["d1", "nobody"])
    assert files_of(index.path) == before


def test_unknown_ids_are_counted_on_request(index: Index) -> None:
    report = index.delete(["d1", "nobody", "d1"], missing="skip")
    assert (report.deleted, report.unknown, len(index)) == (1, 1, 19)
    assert not index.delete(["d1"], missing="skip").committed


def test_deleting_twice_is_an_error(index: Index) -> None:
    index.delete(["d1"])
    with pytest.raises(UnknownIdError):
        index.delete(["d1"])


def test_a_deleted_id_may_come_again(index: Index, document: Any) -> None:
    index.delete(["d1"])
    index.add([document(1, seed=50)])
    assert len(index) == 20
    assert index.search(document(1, seed=50).vectors, k=1)[0].id == "d1"
    index.delete(["d1"])
    assert "d1" not in index
    assert index.verify("deep").ok


def test_all_documents_may_go_and_others_come(index: Index, document: Any) -> None:
    index.delete([f"d{i}" for i in range(20)])
    assert (len(index), index.info().segments) == (0, 0)
    assert index.search(document(1).vectors) == []
    assert index.search_many([document(1).vectors] * 2) == [[], []]
    assert index.verify("deep").ok
    assert not index.compact().committed
    assert not index.compact(retrain=True).committed
    index.add([document(7)])
    assert [hit.id for hit in index.search(document(7).vectors)] == ["d7"]


def test_many_deletions_rewrite_the_segment(index: Index) -> None:
    report = index.delete([f"d{i}" for i in range(10)])
    assert report.merged == 1
    info = index.info()
    assert (info.documents, info.deleted, info.deleted_share) == (10, 0, 0.0)


def test_info_tells_what_is_deleted(index: Index) -> None:
    index.delete(["d0", "d1"])
    info = index.info()
    assert (info.documents, info.tokens, info.deleted, info.deleted_share) == (18, 72, 2, 0.1)


# --- by a filter ------------------------------------------------------------------------------------------------


@pytest.fixture
def numbered(index: Index, document: Any) -> Index:
    """Return an index of d0..d19 with metadata: ten in one segment, ten in another."""
    index.delete([f"d{i}" for i in range(20)])
    index.add([document(i) for i in range(10)])
    index.add([document(i) for i in range(10, 20)])
    return index


@pytest.mark.usefixtures("unmerged")
def test_a_filter_deletes_what_it_allows_in_one_commit(numbered: Index) -> None:
    generation = numbered.generation
    report = numbered.delete(where={"number": {"gte": 8, "lt": 12}})
    assert (report.deleted, report.unknown, report.documents, report.generation) == (4, 0, 16, generation + 1)
    assert list(numbered.ids()) == [f"d{i}" for i in range(20) if not 8 <= i < 12]
    assert numbered.verify("deep").ok
    assert not numbered.delete(where={"number": {"gte": 8, "lt": 12}}).committed


@pytest.mark.usefixtures("unmerged")
def test_ids_and_a_filter_delete_what_both_name(numbered: Index) -> None:
    report = numbered.delete(["d2", "d15", "d3", "d2"], where={"number": [3, 15, 16]})
    assert (report.deleted, report.unknown, len(numbered)) == (2, 0, 18)
    assert ("d2" in numbered, "d3" in numbered, "d15" in numbered, "d16" in numbered) == (True, False, False, True)
    with pytest.raises(UnknownIdError, match="nothing was deleted"):
        numbered.delete(["d2", "nobody"], where={"number": 2})
    report = numbered.delete(["d2", "nobody"], where={"number": 2}, missing="skip")
    assert (report.deleted, report.unknown) == (1, 1)
    assert numbered.delete([], where={"number": 4}).deleted == 0


@pytest.mark.usefixtures("unmerged")
def test_a_filter_is_evaluated_on_the_newest_generation(numbered: Index, document: Any) -> None:
    with colstore.open(numbered.path) as other:
        numbered.add([document(30)])
        numbered.delete(["d19"])
        assert other.delete(where={"number": {"gte": 18}}).deleted == 2  # d18 and d30, which it has not seen yet
    numbered.refresh()
    assert list(numbered.ids()) == [f"d{i}" for i in range(18)]


def test_deleting_without_a_condition_is_refused(numbered: Index, files_of: Any) -> None:
    before = files_of(numbered.path)
    with pytest.raises(QueryError, match="nothing says what to delete"):
        numbered.delete()
    for ids in (None, ["d1"]):
        with pytest.raises(QueryError, match="without a condition"):
            numbered.delete(ids, where={})
    bad: list[dict[str, Any]] = [{"nubmer": 1}, {"number": {"above": 1}}, {"number": "1"}, {"or": []}, {"not": {}}]
    for where in bad:
        with pytest.raises(QueryError):
            numbered.delete(where=where)
    assert files_of(numbered.path) == before
    assert not numbered.delete([]).committed


def test_arguments_that_cannot_be_are_named(index: Index) -> None:
    with pytest.raises(ConfigError, match="missing"):
        index.delete([], missing="ignore")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(QueryError, match="strings"):
        index.delete([7])  # type: ignore[list-item]  # the point of the test
