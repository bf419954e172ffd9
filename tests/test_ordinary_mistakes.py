"""What people pass by mistake: each is an error of colstore that says what to do, never one of another library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import errors
from colstore.testing import FakeEncoder, FakeReranker
from colstore.types import EncodedText, FloatMatrix, Json

DOCUMENTS = [{"id": f"d{i}", "text": f"page {i} about ships", "year": 2000 + i} for i in range(8)]
ROWS = np.eye(4, dtype=np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mistakes") / "x.colstore"
    colstore.build(path, DOCUMENTS, model=FakeEncoder(dim=16)).close()
    return path


@pytest.fixture
def index(path: Path) -> Iterator[colstore.Index]:
    with colstore.open(path) as opened:
        yield opened


def made(mistake: Callable[[], Any], kind: type[errors.ColstoreError], *said: str) -> None:
    """Make a mistake, and read the message."""
    with pytest.raises(errors.ColstoreError) as caught:
        mistake()
    assert type(caught.value) is kind, repr(caught.value)
    for part in said:
        assert part in str(caught.value)


# --- queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        (None, "a text or token vectors"),
        (b"ships", "a text or token vectors"),
        ({"text": "ships"}, "a text or token vectors"),
        (7, "must be a text"),
        (["ships", "boats"], "must be a text"),
        ([[1.0, 2.0], [3.0]], "must be a text"),
        (np.ones(16), "(tokens, 16)"),
        (np.ones((2, 4)), "(tokens, 16)"),
        (np.zeros((2, 16)), "zeros"),
    ],
)
def test_a_query_that_is_none(index: colstore.Index, query: Any, said: str) -> None:
    made(lambda: index.search(query), errors.QueryError, said)
    made(lambda: index.search_many([query]), errors.QueryError, said)


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", True, None, np.float64(3), np.True_])
def test_a_k_that_is_no_number_of_hits(index: colstore.Index, k: Any) -> None:
    made(lambda: index.search("ships", k), errors.QueryError, "k must be an integer of at least 1", repr(k))
    made(lambda: index.search_many(["ships"], k=k), errors.QueryError, "k must be")
    made(lambda: index.tune(k=k), errors.QueryError, "k must be")
    made(lambda: index.calibrate(["ships"], FakeReranker(), k=k), errors.QueryError, "k must be")
    if k is not None:
        made(lambda: index.rerank("ships", ["d1"], k=k), errors.QueryError, "k must be")


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_that_are_no_number(index: colstore.Index, threads: Any) -> None:
    for mistake in (
        lambda: index.search("ships", threads=threads),
        lambda: index.search_many(["ships"] * 3, threads=threads),
        lambda: index.rerank("ships", ["d1"], threads=threads),
        lambda: list(index.rerank_run({"q": ["d1"]}, {"q": "ships"}, threads=threads)),
    ):
        made(mistake, errors.ConfigError, "threads", "None takes all cores")


@pytest.mark.parametrize(
    ("queries", "said"),
    [("ships", "['ships']"), ({"q1": "ships"}, "list(queries.values())"), (3, "a list of queries"), (None, "a list")],
)
def test_queries_that_are_no_list(index: colstore.Index, queries: Any, said: str) -> None:
    made(lambda: index.search_many(queries), errors.QueryError, "search_many", said)
    made(lambda: index.calibrate(queries, FakeReranker()), errors.QueryError, "calibrate", said)
    if queries is not None:  # which stands for queries made from documents
        made(lambda: index.tune(queries), errors.QueryError, "tune", said)


def test_settings_of_a_search(index: colstore.Index) -> None:
    made(lambda: index.search("ships", params={"probes": 4}), errors.ConfigError, "SearchParams")  # type: ignore[arg-type]
    made(lambda: index.search("ships", first_stage="splade"), errors.ConfigError, "'bm25'")  # type: ignore[arg-type]
    made(lambda: index.search("ships", first_stage="bm25"), errors.ConfigError, "BM25")
    made(lambda: index.search("ships", where={"colour": "red"}), errors.QueryError, "year")
    made(lambda: index.search("ships", ids=["d1", "nowhere"]), errors.UnknownIdError, "nowhere")
    for settings in ({"probes": 0}, {"scored": 1.5}, {"candidates": "many"}, {"k": True}, {"exact_tokens": -1}):
        name = next(iter(settings))
        made(partial(colstore.SearchParams, **settings), errors.ConfigError, f"{name} must be an integer")


def test_settings_of_tuning(index: colstore.Index) -> None:
    shares: tuple[Any, ...] = (0, 1.1, "much", float("nan"), True)
    for recall in shares:
        made(partial(index.tune, recall=recall), errors.ConfigError, "recall must be")
        made(partial(index.calibrate, ["page 1"], FakeReranker(), keep=recall), errors.ConfigError, "keep must be")
    made(lambda: index.tune([]), errors.QueryError, "no queries")
    made(lambda: index.tune(progress=True), errors.ConfigError, "progress must be a function")  # type: ignore[arg-type]
    made(lambda: index.tune(reranker=FakeReranker()), errors.QueryError, "needs queries")
    made(lambda: index.tune([ROWS], reranker=FakeReranker()), errors.QueryError, "texts")
    made(lambda: index.calibrate([], FakeReranker()), errors.QueryError, "no queries")
    made(lambda: index.calibrate(["a", "b"], FakeReranker(), judgements=[{}]), errors.QueryError, "judgements")


# --- rerankers --------------------------------------------------------------------------------------------------


class Predicting:
    """As a CrossEncoder of sentence-transformers: it predicts, and can be called."""

    def predict(self, pairs: Any) -> Any: ...

    def __call__(self, pairs: Any) -> Any: ...


@pytest.mark.parametrize(
    ("reranker", "said"),
    [
        ("cross-encoder/ms-marco", "CrossEncoderReranker('cross-encoder/ms-marco')"),
        (lambda pairs: [0.0] * len(pairs), "CallableReranker(function"),
        (FakeReranker, "FakeReranker(...)"),
        (Predicting(), "CallableReranker(model.predict"),
        (7, "got 7"),
    ],
)
def test_a_reranker_that_is_none(index: colstore.Index, reranker: Any, said: str) -> None:
    for mistake in (
        lambda: index.search("ships", reranker=reranker),
        lambda: index.search_many(["ships"], reranker=reranker),
        lambda: index.rerank("ships", ["d1"], reranker=reranker),
        lambda: list(index.rerank_run({"q": ["d1"]}, {"q": "ships"}, reranker=reranker)),
        lambda: index.calibrate(["ships"], reranker),
        lambda: index.tune(["ships"], reranker=reranker),
        lambda: colstore.RerankStage(reranker),
    ):
        made(mistake, errors.ConfigError, "reranker must be", said)


@pytest.mark.parametrize("scores", [None, "high", [1.0], [[1.0, 2.0]], [float("nan")] * 8, ["a"] * 8, {"d1": 1.0}])
def test_a_reranker_that_returns_something_else(index: colstore.Index, scores: Any) -> None:
    odd = colstore.CallableReranker(lambda _: scores, name="odd")
    made(lambda: index.search("ships", reranker=odd), errors.RerankerError, "reranker 'odd' returned")


def test_a_reranker_and_vectors(index: colstore.Index) -> None:
    made(lambda: index.search(np.ones((2, 16)), reranker=FakeReranker()), errors.QueryError, "as a text")
    made(lambda: colstore.CallableReranker("model"), errors.ConfigError, "function")  # type: ignore[arg-type]
    made(lambda: colstore.CallableReranker(len, name="two words"), errors.ConfigError, "one word")


def test_settings_of_a_stage() -> None:
    for settings, said in (
        ({"depth": 0}, "depth must be an integer"),
        ({"depth": 2.5}, "depth must be an integer"),
        ({"max_pairs": 0}, "never"),
        ({"max_milliseconds": 0}, "exceed 0"),
        ({"max_milliseconds": "soon"}, "max_milliseconds must be a"),
        ({"threshold": -1}, "threshold must be"),
        ({"policy": "sometimes"}, "always"),
        ({"fusion": "sum"}, "reciprocal"),
        ({"fusion": 0.5}, "colstore.Fusion"),
    ):
        made(partial(colstore.RerankStage, FakeReranker(), **settings), errors.ConfigError, said)


# --- candidates and runs ----------------------------------------------------------------------------------------


def test_candidates(index: colstore.Index) -> None:
    made(lambda: index.rerank("ships", "d1"), errors.QueryError, "ids must be a list", "['d1']")
    made(lambda: index.rerank("ships", [1, 2]), errors.QueryError, "strings")  # type: ignore[list-item]
    made(lambda: index.rerank("ships", ["d1", "nowhere"]), errors.UnknownIdError, "nowhere", "missing='last'")
    made(lambda: index.rerank("ships", ["d1"], scores=["high"]), errors.QueryError, "numbers")  # type: ignore[list-item]
    made(lambda: index.rerank("ships", ["d1"], scores=[1, 2]), errors.QueryError, "one finite score")
    made(lambda: index.rerank("ships", ["d1"], fusion="sum"), errors.ConfigError, "reciprocal")
    made(lambda: index.rerank("ships", ["d1"], fusion=0.5), errors.ConfigError, "colstore.Fusion")  # type: ignore[arg-type]
    made(lambda: index.rerank("ships", ["d1"], k=1, early_exit=0), errors.ConfigError, "early_exit")
    made(
        lambda: index.rerank("ships", ["x"], missing="score", texts=["passage"]),  # type: ignore[arg-type]  # on purpose
        errors.ConfigError,
        "texts must map",
    )


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"q1": "d1"}, "run['q1'] must map document ids to scores"),
        ({"q1": {"d1": "high"}}, "must be a finite number"),
        ({"q1": {1: 2.0}}, "the id 1"),
        ([("q1", "d1", 1.0)], "colstore.RunLine"),
        ([{"query_id": "q1", "doc_id": "d1"}], "colstore.RunLine"),
        (7, "a path, lines or a mapping"),
    ],
)
def test_a_run_that_is_none(index: colstore.Index, run: Any, said: str) -> None:
    with pytest.raises(errors.ColstoreError, match=re.escape(said)):
        list(index.rerank_run(run, {"q1": "ships"}))


def test_the_queries_of_a_run(index: colstore.Index) -> None:
    run = {"q1": ["d1"]}
    made(lambda: list(index.rerank_run(run, ["ships"])), errors.QueryError, "colstore.Query(id, text)")  # type: ignore[list-item]
    made(lambda: list(index.rerank_run(run, 7)), errors.QueryError, "Query")  # type: ignore[arg-type]
    made(lambda: list(index.rerank_run(run, {"other": "ships"})), errors.QueryError, "on_unknown_query='skip'")
    made(lambda: list(index.rerank_run(run, {"q1": None})), errors.QueryError, "a text or token vectors")  # type: ignore[arg-type]
    made(lambda: list(index.rerank_run({"q1": ["x"]}, {"q1": "ships"})), errors.UnknownIdError, "q1")


# --- models -----------------------------------------------------------------------------------------------------


class SentenceTransformer:
    """As the class of this name: one vector for each text."""

    def encode(self, texts: Sequence[str]) -> Any: ...


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (None, "got None"),
        (7, "got 7"),
        (FakeEncoder, "FakeEncoder(...)"),
        (SentenceTransformer(), "pass its name or folder"),
        (object(), "encode_documents"),
    ],
)
def test_a_model_that_is_none(tmp_path: Path, path: Path, model: Any, said: str) -> None:
    made(lambda: colstore.build(tmp_path / "x", DOCUMENTS, model=model), errors.ConfigError, "model must be", said)
    assert not (tmp_path / "x").exists()
    if model is not None:
        made(lambda: colstore.open(path, encoder=model), errors.ConfigError, "encoder must be", said)


def test_a_name_in_place_of_an_encoder(path: Path) -> None:
    made(lambda: colstore.open(path, encoder="embedded"), errors.ConfigError, "load_encoder('embedded')")  # type: ignore[arg-type]
    made(lambda: colstore.open(path, encoder=FakeEncoder(dim=8)), errors.EncoderError, "16 components")


class Returning:
    """An encoder that returns what it should not."""

    dim = 16
    settings: Mapping[str, Json] = {"kind": "mine", "model": "mine", "dim": 16}

    def __init__(self, documents: Callable[[int], Any], queries: Callable[[int], Any]) -> None:
        self._documents, self._queries = documents, queries

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        made_of: list[EncodedText] = self._documents(len(texts))
        return made_of

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        made_of: list[FloatMatrix] = self._queries(len(texts))
        return made_of


def good_documents(count: int) -> list[EncodedText]:
    return [EncodedText(np.eye(3, 16, dtype=np.float32)) for _ in range(count)]


def good_queries(count: int) -> list[FloatMatrix]:
    return [np.eye(3, 16, dtype=np.float32) for _ in range(count)]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (lambda n: [np.ones((3, 16), np.float32)] * n, "colstore.EncodedText(vectors)"),
        (lambda n: np.ones((n, 3, 16), np.float32), "a list"),
        (lambda n: good_documents(n - 1), "for 8 texts"),
        (lambda _: None, "a list"),
        (lambda n: (text for text in good_documents(n)), "a list"),
    ],
)
def test_an_encoder_that_returns_other_documents(tmp_path: Path, documents: Any, said: str) -> None:
    encoder = Returning(documents, good_queries)
    made(lambda: colstore.build(tmp_path / "x", DOCUMENTS, model=encoder), errors.EncoderError, "Returning", said)


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        (lambda n: [np.ones(16, np.float32)] * n, "(tokens, 16)"),
        (lambda n: [np.ones((3, 8), np.float32)] * n, "(tokens, 16)"),
        (good_documents, "(tokens, 16)"),
        (lambda _: [], "for one text"),
        (lambda _: None, "for one text"),
    ],
)
def test_an_encoder_that_returns_other_queries(tmp_path: Path, queries: Any, said: str) -> None:
    encoder = Returning(good_documents, queries)
    made(lambda: colstore.build(tmp_path / "x", DOCUMENTS, model=encoder), errors.EncoderError, "Returning", said)
    assert not (tmp_path / "x").exists()  # one query is tried before anything is written


# --- building ---------------------------------------------------------------------------------------------------


class Frame:
    """As a DataFrame: iterating yields the names of its columns."""

    columns = ("id", "text")

    def to_dict(self, orient: str) -> Any: ...

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


def test_a_corpus_that_is_none(tmp_path: Path, index: colstore.Index) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "a", "text": "ships"}\n', encoding="utf-8")
    with (tmp_path / "c.jsonl").open(encoding="utf-8") as file:
        corpora: tuple[tuple[Any, str], ...] = (
            (Frame(), "to_dict('records')"),
            (file, "pass its path"),
            ({"id": "a", "text": "ships"}, "wrap it in a list"),
            (colstore.Document("a", "ships"), "wrap a single document"),
            (None, "corpus"),
            (7, "corpus"),
        )
        for corpus, said in corpora:
            made(partial(colstore.build, tmp_path / "x", corpus, model=FakeEncoder()), errors.CorpusError, said)
            made(partial(index.add, corpus), errors.CorpusError, said)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bits": 3}, "bits must be one of"),
        ({"bits": True}, "bits must be one of"),
        ({"bits": "4"}, "bits must be one of"),
        ({"pool_factor": 0.5}, "pool_factor must be a finite number of at least 1"),
        ({"pooling": "mean"}, "pooling must be one of"),
        ({"centroids": 0}, "centroids must be an integer"),
        ({"centroids": 8.0}, "centroids must be an integer"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": None, "store_texts": "no"}, "store_texts must be True or False"),
        ({"config": {"bits": 4}}, "colstore.BuildConfig"),
        ({"config": colstore.BuildConfig(bits=2), "bits": 4}, "bits=4 contradicts config, which has bits=2"),
        ({"config": colstore.BuildConfig(), "store_texts": False}, "store_texts=False contradicts"),
        ({"progress": True}, "progress must be a function"),
    ],
)
def test_settings_of_a_build(tmp_path: Path, settings: Any, said: str) -> None:
    target = tmp_path / "x"
    made(lambda: colstore.build(target, DOCUMENTS, model=FakeEncoder(), **settings), errors.ConfigError, said)
    made(lambda: colstore.build_from_vectors(target, ["a"], [ROWS], **settings), errors.ConfigError, said)
    assert not target.exists()


def test_settings_of_a_build_from_texts(tmp_path: Path) -> None:
    for settings, said in (({"dim": 0}, "dim"), ({"dim": 2.5}, "dim"), ({"first_stage": "splade"}, "'bm25'")):
        made(
            partial(colstore.build, tmp_path / "x", DOCUMENTS, model=FakeEncoder(), **settings),
            errors.ConfigError,
            said,
        )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"titles": ["one"]}, "the titles end after 1"),
        ({"texts": ["one", "two"], "titles": ["a", "b", "c"]}, "end after 2"),
        ({"metadata": [{"n": 1}]}, "ids, vectors and metadata must be equally many"),
        ({"texts": "ab"}, "texts must be a list"),
        ({"metadata": 7}, "metadata must be a list"),
        ({"metadata": ["a", "b"]}, "metadata"),
        ({"titles": [1, 2]}, "title"),
    ],
)
def test_columns_of_vectors(tmp_path: Path, columns: Any, said: str) -> None:
    with pytest.raises(errors.CorpusError, match=re.escape(said)):
        colstore.build_from_vectors(tmp_path / "x", ["a", "b"], [ROWS, ROWS], **columns)
    assert not (tmp_path / "x").exists()


# --- an index that is not there ---------------------------------------------------------------------------------


def test_paths_and_generations(path: Path, tmp_path: Path) -> None:
    for call in (colstore.open, colstore.verify, colstore.history):
        made(partial(call, str(tmp_path / "nowhere")), errors.IndexNotFoundError, "nowhere")
    made(lambda: colstore.recover(str(path), 99), errors.UnknownGenerationError, "99", "there are 1")
    made(lambda: colstore.recover(str(path), "1"), errors.ConfigError, "generation must be an integer")  # type: ignore[arg-type]
    unknown: Any = "thorough"
    for call in (colstore.verify, colstore.history):
        made(partial(call, str(path), unknown), errors.ConfigError, "deep")
    assert colstore.verify(str(path)).ok
    assert [generation.number for generation in colstore.history(str(path))] == [1]


def test_a_closed_index(path: Path) -> None:
    index = colstore.open(path)
    index.close()
    index.close()
    for mistake in (
        lambda: index.search("ships"),
        lambda: index.search_many(["ships"]),
        lambda: index.rerank("ships", ["d1"]),
        lambda: index.rerank_run({"q": ["d1"]}, {"q": "ships"}),
        lambda: index.vectors(["d1"]),
        lambda: index.add(DOCUMENTS),
        lambda: index.delete(["d1"]),
        lambda: index.refresh(),
        lambda: index.tune(),
        lambda: index.info(),
        lambda: index.encoder,
        lambda: "d1" in index,
    ):
        made(mistake, errors.IndexClosedError, "open it again")
    assert "closed" in repr(index)
    assert "closed" in index._repr_html_()
