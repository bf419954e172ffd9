"""Queries that the model cannot read whole: one warning for each call, with counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore import TruncatedQueryWarning, UnreadableQueryWarning
from colstore.errors import EncoderError
from colstore.testing import FakeEncoder
from colstore.types import EncodedText

LONG, STRANGE = "bees dance " * 10, "ผึ้ง"


class Limited(FakeEncoder):
    """Reads six words of a query, and none that are not ASCII."""

    def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
        return [
            EncodedText(self.encode_queries([" ".join(text.split()[:6])])[0], len(text.split()) > 6, not text.isascii())
            for text in texts
        ]


@pytest.fixture
def index(tmp_path: Path) -> colstore.Index:
    corpus = [{"id": f"d{i}", "text": f"bees dance {i}"} for i in range(8)]
    return colstore.build(tmp_path / "i.colstore", corpus, model=Limited(dim=16))


def caught(call: Callable[[], Any]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return list(found)


def test_a_long_query_warns_where_it_was_made(index: colstore.Index) -> None:
    (one,) = caught(lambda: index.search(LONG))
    assert one.category is TruncatedQueryWarning
    assert "longer than the model reads" in str(one.message)
    assert "'bees dance" in str(one.message)
    assert one.filename == __file__


def test_a_query_in_an_unknown_script_warns(index: colstore.Index) -> None:
    (one,) = caught(lambda: index.rerank(STRANGE, ["d1"]))
    assert one.category is UnreadableQueryWarning
    assert "vocabulary" in str(one.message)


def test_many_queries_warn_once_with_counts(index: colstore.Index) -> None:
    queries = [LONG, "bees", *[f"{LONG} {i}" for i in range(4)], STRANGE]
    truncated, unreadable = caught(lambda: index.search_many(queries))
    assert str(truncated.message).startswith("5 of 7 queries (such as 'bees dance")
    assert str(unreadable.message).startswith("1 of 7 queries")
    (said,) = caught(lambda: index.tune([LONG, "bees"]))
    assert said.category is TruncatedQueryWarning


def test_what_is_read_whole_says_nothing(index: colstore.Index) -> None:
    assert not caught(lambda: index.search("bees dance"))
    assert not caught(lambda: index.search(FakeEncoder(dim=16).encode_queries([LONG])[0]))


def test_each_long_query_of_a_loop_warns_by_default(index: colstore.Index) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for number in range(3):
            index.search(f"{number} {LONG}")
    assert len(found) == 3


def test_a_run_counts_them_and_warns_at_its_end(index: colstore.Index) -> None:
    run = {f"q{i}": ["d1", "d2"] for i in range(40)}
    queries = {name: LONG if i % 2 else STRANGE for i, name in enumerate(run)}
    reranked = index.rerank_run(run, queries)
    said = caught(lambda: list(reranked))
    assert [one.category for one in said] == [TruncatedQueryWarning, UnreadableQueryWarning]
    report = reranked.report.to_json()
    assert (report["truncated_queries"], report["unreadable_queries"]) == (20, 20)


def test_a_candidate_that_is_its_own_query_can_be_left_out(index: colstore.Index) -> None:
    run: dict[str, dict[str, float]] = {"d1": {"d1": 2.0, "d2": 1.0}, "d3": {"d3": 2.0}, "q": {"d4": 1.0}}
    queries = dict.fromkeys(run, "bees dance")
    found = index.rerank_run(run, queries, ignore_identical_ids=True)
    assert {name: [hit.id for hit in hits] for name, hits in found} == {"d1": ["d2"], "d3": [], "q": ["d4"]}
    assert found.report.identical_ids == 2
    assert len(dict(index.rerank_run(run, queries))["d1"]) == 2


def test_an_encoder_that_reports_something_else_is_refused(index: colstore.Index, tmp_path: Path) -> None:
    class Broken(Limited):
        def encode_query_texts(self, texts: Sequence[str]) -> list[EncodedText]:
            return []

    with pytest.raises(EncoderError, match="list of 0"):
        colstore.open(index.path, encoder=Broken(dim=16)).search("bees")


class Unreading(FakeEncoder):
    """Cannot read documents that are not ASCII."""

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        encoded = super().encode_documents(texts)
        return [EncodedText(e.vectors, e.truncated, not t.isascii()) for e, t in zip(encoded, texts, strict=True)]


def test_documents_in_an_unknown_script_are_counted(tmp_path: Path) -> None:
    encoder = Unreading(dim=16)
    corpus = [{"id": f"d{i}", "text": STRANGE if i % 2 else "bees"} for i in range(20)]
    index = colstore.build(tmp_path / "i.colstore", corpus, model=encoder)
    assert index.report is not None
    report = index.report.to_json()
    assert (report["unreadable"], report["unreadable_examples"]) == (10, ["d1", "d3", "d5", "d7", "d9"])
    with colstore.open(index.path, encoder=encoder) as opened:
        added = opened.add([{"id": "new", "text": STRANGE}, {"id": "known", "text": "bees"}])
    assert (added.unreadable, added.unreadable_examples) == (1, ["new"])
