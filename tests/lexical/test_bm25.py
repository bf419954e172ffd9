"""BM25: against its formula, on disk, in the index, and as a first stage."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Document
from colstore.encode import FakeEncoder
from colstore.errors import (
    ChecksumError,
    ConfigError,
    CorruptIndexError,
    MissingDependencyError,
    QueryError,
)
from colstore.lexical.analyzers import term_extractor
from colstore.lexical.bm25 import K1, B, Bm25

TEXTS = ["bees dance for bees", "the moon turns red", "red bees", "", "a dance of the moon and the sea"]
NAMES = ["a", "b", "c", "d", "e"]


def by_formula(query: str, text: str, analyzer: str = "english") -> float:
    """Return BM25 straight from its definition."""
    extract = term_extractor(analyzer)  # type: ignore[arg-type]  # one of them
    documents = [extract(one) for one in TEXTS]
    mean = sum(map(len, documents)) / len(documents)
    counts, total = Counter(extract(text)), 0.0
    for term in extract(query):
        holding = sum(term in document for document in documents)
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        frequency = counts[term]
        total += idf * frequency / (frequency + K1 * (1 - B + B * len(extract(text)) / mean)) if frequency else 0.0
    return total


@pytest.mark.parametrize("analyzer", ["english", "plain"])
@pytest.mark.parametrize("query", ["dancing bees", "red moon", "bees bees", "nothing of it", "The Moon!"])
def test_scores_are_those_of_the_formula(query: str, analyzer: str) -> None:
    bm25 = Bm25.build(NAMES, TEXTS, analyzer=analyzer)  # type: ignore[arg-type]  # one of them
    expected = [by_formula(query, text, analyzer) for text in TEXTS]
    np.testing.assert_allclose(bm25.scores(query), expected, rtol=1e-5, atol=1e-7)


def test_search_returns_the_best_that_score_at_all() -> None:
    bm25 = Bm25.build(NAMES, TEXTS)
    assert [name for name, _ in bm25.search("bees", 10)] == ["a", "c"] or [
        name for name, _ in bm25.search("bees", 10)
    ] == ["c", "a"]
    assert bm25.search("yeast", 10) == []
    assert bm25.search("", 10) == []
    assert bm25.search("bees", 1) == bm25.search("bees", 10)[:1]
    with pytest.raises(ConfigError):
        bm25.search("bees", 0)


def test_ties_go_to_the_text_that_came_first() -> None:
    bm25 = Bm25.build(list("zyxw"), ["one word"] * 4)
    assert [name for name, _ in bm25.search("word", 2)] == ["z", "y"]


def test_a_corpus_without_a_single_term() -> None:
    assert Bm25.build(["a"], [""]).search("bees", 3) == []


def test_stored_arrays_give_the_same_index_again() -> None:
    bm25 = Bm25.build(NAMES, TEXTS)
    again = Bm25.from_arrays(NAMES, bm25.arrays, bm25.settings, where=Path("bm25.h5"))
    assert again.search("red dance", 5) == bm25.search("red dance", 5)
    assert len(again) == 5


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("indices", lambda array: array + np.uint32(5), "do not fit together"),
        ("indptr", lambda array: array[::-1], "do not fit together"),
        ("data", lambda array: array[:-1], "do not fit together"),
        ("data", lambda array: array.astype(np.float64), "is not <f4"),
        ("terms", lambda array: array[:3], "terms for"),
        ("terms", lambda array: np.full_like(array, 255), "is invalid"),
    ],
)
def test_damaged_arrays_are_named(name: str, change: Callable[[Any], Any], message: str) -> None:
    bm25 = Bm25.build(NAMES, TEXTS)
    arrays = {**bm25.arrays, name: change(bm25.arrays[name])}
    with pytest.raises(CorruptIndexError, match=message):
        Bm25.from_arrays(NAMES, arrays, bm25.settings, where=Path("bm25.h5"))
    with pytest.raises(CorruptIndexError, match="do not match its documents"):
        Bm25.from_arrays(NAMES[:-1], bm25.arrays, bm25.settings, where=Path("bm25.h5"))


def test_invalid_settings_are_refused() -> None:
    for settings in ({"k1": -1}, {"b": 2}, {"analyzer": "klingon"}):
        with pytest.raises(ConfigError):
            Bm25.build(NAMES, TEXTS, **settings)
    with pytest.raises(ConfigError, match="ids and texts differ in number: 1 ids for 5 texts"):
        Bm25.build(["a"], TEXTS)


@pytest.mark.parametrize("package", ["bm25s", "Stemmer"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[bm25\]'"):
        Bm25.build(NAMES, TEXTS)


# --- as a part of an index ------------------------------------------------------------------------------------


def test_a_first_stage_finds_what_the_probe_does_not(changing: colstore.Index) -> None:
    changing.add([Document("rare", "zyzzyva " * 3)])
    changing.build_bm25()
    few = colstore.SearchParams(probes=1, candidates=1, scored=1, exact_tokens=0)
    query = "bees dance zyzzyva"
    hybrid = changing.search(query, 3, params=few, first_stage="bm25")
    exact = {hit.id: hit.score for hit in changing.rerank(query, [hit.id for hit in hybrid])}
    assert {hit.id: hit.score for hit in hybrid} == exact  # MaxSim ranks, whoever found them
    found = changing._session()._first_stage("bm25").documents("zyzzyva", 3)
    assert changing._live().names(found) == ["rare"]
    assert changing.search_many([query], 3, params=few, first_stage="bm25") == [hybrid]


def test_it_says_how_to_make_one_and_when_it_is_out_of_date(changing: colstore.Index) -> None:
    with pytest.raises(ConfigError, match="build_bm25"):
        changing.search("bees", first_stage="bm25")
    changing.build_bm25()
    before = changing.search("bees dance", 5, first_stage="bm25")
    changing.delete([before[0].id])
    after = changing.search("bees dance", 5, first_stage="bm25")
    assert before[0].id not in {hit.id for hit in after}
    changing.add([Document("late", "bees")])
    with pytest.raises(ConfigError, match="out of date"):
        changing.search("bees", first_stage="bm25")
    changing.build_bm25(analyzer="plain")
    assert "late" in {hit.id for hit in changing.search("bees", 30, first_stage="bm25")}
    changing.compact()
    assert changing.verify("deep").ok


def test_it_needs_a_text_and_texts(changing: colstore.Index, tmp_path: Path) -> None:
    changing.build_bm25()
    with pytest.raises(QueryError, match="read texts"):
        changing.search(np.ones((1, changing.dim)), first_stage="bm25")
    with pytest.raises(ConfigError, match="first_stage must be"):
        changing.search("bees", first_stage="splade")  # type: ignore[arg-type]  # on purpose
    rows = np.eye(4, dtype=np.float32)
    with (
        colstore.build_from_vectors(tmp_path / "v.colstore", ["a"], [rows]) as vectors,
        pytest.raises(ConfigError, match="texts"),
    ):
        vectors.build_bm25()


def test_damage_is_found_reported_and_repaired(changing: colstore.Index) -> None:
    changing.build_bm25()
    path = next(changing.path.glob("lexical-*.h5"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with (
        colstore.open(changing.path, encoder=FakeEncoder()) as opened,
        pytest.raises(ChecksumError, match="lexical"),
    ):
        opened.search("bees", first_stage="bm25")
    report = changing.verify("full")
    assert not report.ok
    assert report.nothing_lost
    assert changing.verify("full", repair=True).repaired
    changing.refresh()
    with pytest.raises(ConfigError, match="out of date"):
        changing.search("bees", first_stage="bm25")
    changing.build_bm25()
    assert changing.verify("full").ok


def test_it_is_counted_and_old_ones_go(changing: colstore.Index) -> None:
    assert changing.info().bytes["lexical"] == 0
    for _ in range(3):
        changing.build_bm25()
    size = changing.info().bytes["lexical"]
    assert size == next(iter(changing.path.glob("lexical-*.h5"))).stat().st_size
    changing.compact(clean=True)
    assert len(list(changing.path.glob("lexical-*.h5"))) <= 1


def test_an_index_without_it_has_the_manifest_it_always_had(changing: colstore.Index) -> None:
    manifest = max(changing.path.glob("manifest-*.json"))
    assert b"lexical" not in manifest.read_bytes()
    changing.build_bm25()
    assert b'"lexical"' in max(changing.path.glob("manifest-*.json")).read_bytes()
