"""Documents of several passages: the score is that of the best one, however the document is reached."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import EncodedText, Passage, PassageConfig, SearchParams
from colstore.errors import ConfigError
from colstore.snapshot.snapshot import Snapshot
from colstore.testing import FakeEncoder, FakeReranker
from colstore.types import FloatMatrix, Json

LIMIT = 16
ENCODER = FakeEncoder(dim=32, max_tokens=LIMIT)
PROBING = SearchParams(exact_tokens=0)
COUNT = 400


def _sentences(generator: random.Random, count: int) -> str:
    words = [" ".join(f"w{generator.randrange(900)}" for _ in range(generator.randint(2, 9))) for _ in range(count)]
    return " ".join(f"{sentence.capitalize()}." for sentence in words)


def _documents() -> list[dict[str, Any]]:
    generator = random.Random(0)
    return [
        {"id": f"d{i}", "title": f"t{i}", "text": _sentences(generator, generator.randint(1, 12)), "n": i}
        for i in range(COUNT)
    ]


DOCUMENTS = _documents()
IDS = [document["id"] for document in DOCUMENTS]
QUERY = " ".join(DOCUMENTS[7]["text"].lower().replace(".", "").split()[-8:])
LONG_QUERY = " ".join(document["text"].split()[0].lower() for document in DOCUMENTS[:50])  # two passes of the kernels


@pytest.fixture(scope="module", params=[16, 4, 1])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[colstore.Index]:
    path = tmp_path_factory.mktemp("passages") / "x.colstore"
    with colstore.build(path, DOCUMENTS, model=ENCODER, bits=request.param, passages=True, centroids=64) as built:
        assert built.report is not None
        assert built.report.passages > 2 * COUNT
        assert built.report.truncated == 0
        assert built.info().passages_per_document == round(built.report.passages / COUNT, 2)
        yield built


def matrices(path: Path, name: str) -> list[FloatMatrix]:
    """Return the decoded vectors of each passage of a document."""
    snapshot = Snapshot.open(path)
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        local = int(segment.ids.find_many([name])[0])
        if local >= 0 and (deleted is None or local not in deleted):
            first, offsets = segment.passage_tables()
            bounds = [int(offsets[j]) for j in range(int(first[local]), int(first[local + 1]) + 1)]
            return [
                snapshot.codec.decode({key: segment.rows(key, a, b) for key in snapshot.codec.token_arrays})
                for a, b in pairwise(bounds)
            ]
    raise AssertionError(name)


def expected(index: colstore.Index, query: str, name: str) -> list[float]:
    """Return MaxSim of each passage of a document, computed on the decoded vectors."""
    vectors = index.encoder.encode_queries([query])[0]
    return [float((vectors @ rows.T).max(axis=1).sum()) for rows in matrices(index.path, name)]


@pytest.mark.parametrize("query", [QUERY, LONG_QUERY])
def test_the_score_is_that_of_the_best_passage(index: colstore.Index, query: str) -> None:
    hits = index.rerank(query, IDS)
    assert len(hits) == COUNT
    for hit in hits[:40]:
        scores = expected(index, query, hit.id)
        assert hit.score == pytest.approx(max(scores), abs=2e-2)
        assert hit.passage is not None
        assert scores[hit.passage.number] == pytest.approx(max(scores), abs=2e-2)
    every = {name: max(expected(index, query, name)) for name in IDS}
    best = sorted(every.values(), reverse=True)[:10]
    assert [hit.score for hit in hits[:10]] == pytest.approx(best, abs=2e-2)


@pytest.mark.parametrize("query", [QUERY, LONG_QUERY])
def test_every_search_gives_the_same_score_and_as_many_documents_as_asked_for(
    index: colstore.Index, query: str
) -> None:
    scores = {hit.id: (hit.score, hit.passage) for hit in index.rerank(query, IDS)}
    for k in (1, 10, 60):
        everything = index.search(query, k=k, params=SearchParams(exact=True))
        assert [hit.id for hit in everything] == [hit.id for hit in index.rerank(query, IDS, k=k)]
        for hits in (everything, index.search(query, k=k), index.search(query, k=k, params=PROBING, threads=2)):
            assert len({hit.id for hit in hits}) == k
            assert all((hit.score, hit.passage) == scores[hit.id] for hit in hits)
    assert index.search(QUERY, k=1, params=PROBING)[0].id == "d7"
    early = index.rerank(query, IDS, k=5, early_exit=300)
    assert all((hit.score, hit.passage) == scores[hit.id] for hit in early[:5])


def test_hits_name_their_passage(index: colstore.Index) -> None:
    hit = index.search(QUERY, k=1)[0]
    assert hit.id == "d7"
    assert hit.passage is not None
    assert hit.text is not None
    assert hit.passage.number > 0
    assert hit.passage.text == hit.text[hit.passage.start : hit.passage.end]
    assert QUERY.split()[-1] in hit.passage.text.lower()
    assert hit.to_json()["passage"] == dict(hit.passage)
    for again in (copy.copy(hit), pickle.loads(pickle.dumps(hit)), hit.placed(3, 1.0, "x")):
        assert again.passage == hit.passage


def test_filters_and_lists_of_ids(index: colstore.Index) -> None:
    scores = {hit.id: hit.score for hit in index.rerank(QUERY, IDS)}
    hits = index.search(QUERY, k=5, where={"n": {"gte": 100}}, params=PROBING)
    assert len(hits) == 5
    assert all(hit.metadata["n"] >= 100 and hit.score == scores[hit.id] for hit in hits)  # type: ignore[operator]
    assert index.search(QUERY, k=5, ids=["d7", "d9"])[0].id == "d7"


def test_a_reranker_reads_the_passage_with_the_title(index: colstore.Index) -> None:
    read: list[tuple[str, str]] = []
    reranker = colstore.CallableReranker(lambda pairs: read.extend(pairs) or [1.0] * len(pairs))  # type: ignore[func-returns-value]
    hit = index.search(QUERY, k=1, reranker=colstore.RerankStage(reranker, depth=1))[0]
    assert hit.passage is not None
    assert read == [(QUERY, f"t7 {hit.passage.text}")]
    assert index.search(QUERY, k=3, reranker=FakeReranker())


def test_texts_that_are_not_stored_are_split_alike(index: colstore.Index) -> None:
    copies = [{"id": f"c{d['id']}", "text": d["text"]} for d in DOCUMENTS[:30]]
    texts = {str(d["id"]): str(d["text"]) for d in copies}
    found = index.rerank(LONG_QUERY, list(texts), missing="score", texts=texts)
    index.add(copies)
    stored = index.rerank(LONG_QUERY, list(texts))
    assert [(hit.id, hit.score, hit.passage) for hit in found] == [(hit.id, hit.score, hit.passage) for hit in stored]
    index.delete(list(texts))


def test_changes_keep_the_passages(index: colstore.Index, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(index.path, tmp_path / "copy")
    with colstore.open(tmp_path / "copy", encoder=ENCODER) as changed:
        before = {hit.id: (hit.score, hit.passage) for hit in changed.rerank(LONG_QUERY, IDS)}
        changed.delete(IDS[:50])
        assert all(hit.id not in IDS[:50] for hit in changed.search(QUERY, k=60, params=PROBING))
        changed.add(DOCUMENTS[:50])
        changed.replace(DOCUMENTS[100:120])
        changed.compact()
        assert {hit.id: (hit.score, hit.passage) for hit in changed.rerank(LONG_QUERY, IDS)} == before
        assert changed.verify("deep").ok
        changed.compact(retrain=True)
        passages = {hit.id: hit.passage for hit in changed.rerank(QUERY, ["d7"])}
        assert passages["d7"] == index.search(QUERY, k=1)[0].passage
        assert changed.verify("deep").ok
        assert changed.get(["d7"])[0].text == DOCUMENTS[7]["text"]
        assert len(changed.vectors(["d7"])[0]) == sum(map(len, matrices(tmp_path / "copy", "d7")))


def test_documents_that_fit_are_stored_as_without_passages(tmp_path: Path) -> None:
    short = [{**document, "text": document["text"][:40]} for document in DOCUMENTS[:60]]
    for name, passages in {"with": True, "without": False}.items():
        colstore.build(tmp_path / name, short, model=ENCODER, passages=passages).close()
    for file in ("segments/000001-0001.h5", "codec-000001.h5"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()
    with colstore.open(tmp_path / "with", encoder=ENCODER) as index:
        hit = index.search("w1", k=1)[0]
        assert hit.text is not None
        assert hit.passage == Passage(hit.text, 0, len(hit.text), 0)
    with colstore.open(tmp_path / "without", encoder=ENCODER) as index:
        assert index.search("w1", k=1)[0].passage is None


def test_without_texts_a_passage_still_has_its_place(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", DOCUMENTS, model=ENCODER, store_texts=False) as index:
        hit = index.search(QUERY, k=1)[0]
        assert hit.passage is not None
        assert hit.passage.text is None
        text = DOCUMENTS[7]["text"][hit.passage.start : hit.passage.end]
        assert QUERY.split()[-1] in text.lower()


def test_pooling_works_within_a_passage(tmp_path: Path) -> None:
    with colstore.build(tmp_path / "x", DOCUMENTS, model=ENCODER, pool_factor=2) as index:
        assert index.report is not None
        assert index.report.passages > 2 * COUNT
        assert all(len(rows) <= LIMIT // 2 + 1 for rows in matrices(index.path, "d7"))


def test_an_interrupted_build_goes_on_with_the_same_passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 20)
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_CHARACTERS", 900)
    colstore.build(tmp_path / "whole", DOCUMENTS, model=ENCODER).close()
    monkeypatch.setattr("colstore.indexing.parts.PART_DOCUMENTS", 40)

    def broken() -> Iterator[dict[str, Any]]:
        yield from DOCUMENTS[:130]
        raise OSError("the source went away")

    with pytest.raises(OSError, match="went away"):
        colstore.build(tmp_path / "parts", broken(), model=ENCODER)
    colstore.build(tmp_path / "parts", DOCUMENTS, model=ENCODER, resume=True).close()
    for file in ("segments/000001-0001.h5", "codec-000001.h5"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


class Bare:
    """An encoder that cannot count its tokens."""

    dim = 32
    settings: Mapping[str, Json] = {"kind": "mine", "model": "mine", "dim": 32}

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        return ENCODER.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        return ENCODER.encode_documents(texts)


def test_an_encoder_that_cannot_count_tokens(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="passages need an encoder that can count tokens, and Bare cannot"):
        colstore.build(tmp_path / "x", DOCUMENTS, model=Bare(), passages=True)
    with pytest.raises(ConfigError, match="passages need an encoder"):
        colstore.create(tmp_path / "x", model=Bare(), config=colstore.BuildConfig(passages=PassageConfig(overlap=3)))
    with colstore.build(tmp_path / "x", DOCUMENTS, model=Bare()) as index:
        assert index.report is not None
        assert index.report.truncated > 0


def test_vectors_of_ones_own_are_one_passage(tmp_path: Path) -> None:
    own = colstore.Document("own", DOCUMENTS[7]["text"], vectors=np.eye(32, dtype=np.float32))
    with colstore.build(tmp_path / "x", [own, *DOCUMENTS[:20]], model=ENCODER) as index:
        hit = index.rerank(QUERY, ["own"])[0]
        assert hit.passage == Passage(own.text, 0, len(own.text), 0)
        assert index.verify("deep").ok
