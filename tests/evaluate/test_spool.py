"""Vectors on disk, and the exact arithmetic on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, CorpusError, StorageError, VectorError
from colstore.evaluate.baselines import FlatIndex, averaged, exact_rankings, maxsim
from colstore.evaluate.spool import Spool, open_spool, write_spool
from colstore.types import Document


def documents(count: int = 40) -> Iterator[Document]:
    for i in range(count):
        yield Document(str(i), " ".join(f"word{(i * j) % 17}" for j in range(1, 3 + i % 7)), title=f"title {i}")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return write_spool(tmp_path / "s", documents(), FakeEncoder(16), {"k": 1})


def test_what_went_in_comes_out(spool: Spool) -> None:
    encoder = FakeEncoder(16)
    expected_vectors = [text.vectors for text in encoder.encode_documents([d.passage for d in documents()])]
    assert spool.ids == [str(i) for i in range(40)]
    assert list(spool.passages()) == [d.passage for d in documents()]
    for found, expected in zip(spool.vectors(), expected_vectors, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert spool.bytes == spool.tokens * 16 * 4
    assert spool.has_texts
    assert spool.encode_seconds > 0


@pytest.mark.parametrize("tokens", [1, 7, 64, 10_000])
def test_blocks_cover_everything_once_whatever_their_size(spool: Spool, tokens: int) -> None:
    rows, seen = [], 0
    for first, matrix, starts in spool.blocks(tokens):
        assert first == seen
        assert starts[0] == 0
        assert len(matrix) <= tokens or len(starts) == 1
        seen += len(starts)
        rows.append(matrix)
    assert seen == len(spool)
    np.testing.assert_array_equal(np.concatenate(rows), np.concatenate(list(spool.vectors())))


def test_a_kept_spool_is_used_again_by_its_key_alone(spool: Spool) -> None:
    again = open_spool(spool.folder, {"k": 1})
    assert again is not None
    assert again.ids == spool.ids
    with pytest.raises(ConfigError, match="another corpus or model"):
        open_spool(spool.folder, {"k": 2})


def test_an_unfinished_spool_is_none(spool: Spool, tmp_path: Path) -> None:
    (spool.folder / "spool.json").unlink()
    assert open_spool(spool.folder, {"k": 1}) is None
    assert open_spool(tmp_path / "nowhere", {"k": 1}) is None


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        open_spool(tmp_path, {})
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "spool.json").write_text("[]")
    with pytest.raises(ConfigError, match="does not describe vectors"):
        open_spool(tmp_path, {})


def test_a_shortened_file_is_reported(spool: Spool) -> None:
    path = spool.folder / "vectors.f32"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StorageError, match="shorter"):
        list(spool.vectors())


def test_documents_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no documents"):
        write_spool(tmp_path, iter(()), FakeEncoder(), {})
    two = [Document("a", vectors=np.eye(2)), Document("b", vectors=np.eye(3))]
    with pytest.raises(VectorError, match="'b' has vectors of 3 components"):
        write_spool(tmp_path, iter(two), None, {})
    with pytest.raises(CorpusError, match="no model"):
        write_spool(tmp_path, iter([Document("a", "text")]), None, {})


def test_vectors_of_the_callers_own_cost_no_encoding(tmp_path: Path) -> None:
    spool = write_spool(tmp_path, iter([Document("a", vectors=np.eye(2))]), None, {})
    assert spool.encode_seconds == 0
    assert not spool.has_texts


@given(st.integers(0, 2**32 - 1))
def test_maxsim_agrees_with_its_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    texts = [generator.normal(size=(generator.integers(1, 6), 5)).astype(np.float32) for _ in range(4)]
    query = generator.normal(size=(3, 5)).astype(np.float32)
    starts = np.cumsum([0] + [len(text) for text in texts[:-1]])
    wanted = [sum(max(float(q @ token) for token in text) for q in query) for text in texts]
    np.testing.assert_allclose(maxsim(query, np.concatenate(texts), starts), wanted, rtol=1e-4, atol=1e-5)


def test_the_exact_rankings_ranks_by_maxsim_over_block_borders(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = FakeEncoder(16)
    query = encoder.encode_queries(["word3 word5 title"])[0]
    texts = list(spool.vectors())
    scores = {str(i): float((query @ text.T).max(axis=1).sum()) for i, text in enumerate(texts)}
    wanted = sorted(scores, key=lambda name: (-round(scores[name], 4), name))[:12]
    blocks = Spool.blocks
    monkeypatch.setattr(Spool, "blocks", lambda self: blocks(self, 9))
    run, spent = exact_rankings(spool, {"q": query}, 12)
    assert {name for name, _ in run["q"]} == set(wanted)
    found = [score for _, score in run["q"]]
    assert found == sorted(found, reverse=True)
    np.testing.assert_allclose(found, [scores[name] for name, _ in run["q"]], rtol=1e-5)
    assert len(spent) == 1
    assert spent[0] > 0


def test_averages() -> None:
    rows = np.array([[1, 0], [-1, 0], [0, 3]], np.float32)
    assert averaged(rows, np.array([0, 2])).tolist() == [[0, 0], [0, 1]]  # what cancels out is similar to nothing


def test_a_flat_index_finds_by_cosine() -> None:
    index = FlatIndex(["x", "y"], np.eye(2, dtype=np.float32))
    assert [name for name, _ in index.search(np.array([0.2, 0.9], np.float32), k=5)] == ["y", "x"]
    assert index.bytes == 16
