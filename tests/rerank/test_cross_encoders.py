"""Cross-encoders of the published kinds, as tiny random checkpoints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore.errors import ConfigError, RerankerError
from colstore.rerank.cross_encoder import CrossEncoderReranker
from colstore.types import Reranker
from tests.rerank.cross_encoders import KINDS, Kind, make_cross_encoder

PAIRS = [
    ("what do bees do", "bees dance in the dark hive"),
    ("what do bees do", "the moon is red " * 6),
    ("red moon", "the moon is red"),
    ("red moon", "statins lower levels " * 40),
    ("why", "light"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("cross-encoders")
    return {kind: make_cross_encoder(folder / kind, kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pairs_score_does_not_depend_on_its_batch_mates(folders: dict[Kind, Path], kind: Kind) -> None:
    reranker = CrossEncoderReranker(folders[kind], device="cpu", dtype="float32")
    assert isinstance(reranker, Reranker)
    assert reranker.name == kind
    together = reranker.score(PAIRS)
    assert together.dtype == np.float32
    assert together.shape == (5,)
    assert len(set(together.tolist())) == 5
    alone = np.concatenate([reranker.score([pair]) for pair in PAIRS])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    reranker.token_budget = 40
    np.testing.assert_allclose(reranker.score(PAIRS[::-1]), alone[::-1], atol=2e-5)
    assert reranker.score([]).shape == (0,)


def test_scores_are_logits_as_the_library_computes_them(folders: dict[Kind, Path]) -> None:
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    reranker = CrossEncoderReranker(folders["bert"], device="cpu", dtype="float32")
    model = CrossEncoder(str(folders["bert"]), device="cpu", local_files_only=True)
    expected = model.predict([list(pair) for pair in PAIRS], activation_fn=Identity(), show_progress_bar=False)
    np.testing.assert_allclose(reranker.score(PAIRS), expected, atol=2e-5)


def test_several_labels_are_refused_by_name(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "nli", "bert", labels=3)
    with pytest.raises(RerankerError, match=r"nli.* returns 3 labels for a pair"):
        CrossEncoderReranker(folder)


def test_what_cannot_be_loaded_is_named(tmp_path: Path, folders: dict[Kind, Path]) -> None:
    with pytest.raises(RerankerError, match="no such folder"):
        CrossEncoderReranker(tmp_path / "nowhere")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(RerankerError, match="pickled"):
        CrossEncoderReranker(tmp_path / "pickled")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "model.safetensors").write_bytes(b"")
    with pytest.raises(RerankerError, match="cannot be loaded"):
        CrossEncoderReranker(tmp_path / "empty")
    for settings in ({"dtype": "int3"}, {"token_budget": 0}, {"max_tokens": 1}, {"revision": "main"}):
        with pytest.raises(ConfigError):
            CrossEncoderReranker(folders["bert"], **settings)
    with pytest.raises(ConfigError, match="at most 12"):
        CrossEncoderReranker(folders["bert"], max_tokens=100_000)


def test_long_passages_lose_their_end(folders: dict[Kind, Path]) -> None:
    reranker = CrossEncoderReranker(folders["xlm-roberta"], device="cpu", dtype="float32", max_tokens=20)
    long = "light " * 300
    one, two = reranker.score([("moon", long), ("moon", long + "dough")])
    assert one == pytest.approx(two, abs=1e-6)


def test_it_stands_behind_search(folders: dict[Kind, Path], index: colstore.Index) -> None:
    reranker = CrossEncoderReranker(folders["bert"], device="cpu", dtype="float32")
    found = index.search("red moon", 5, reranker=reranker)
    assert {hit.stage for hit in found} == {"bert"}
    scores = reranker.score([("red moon", f"{hit.title} {hit.text}") for hit in found])
    np.testing.assert_allclose([hit.score for hit in found], scores, atol=2e-5)


def test_the_callers_random_state_stays(folders: dict[Kind, Path]) -> None:
    import torch

    before = torch.random.get_rng_state()
    CrossEncoderReranker(folders["bert"], device="cpu").score(PAIRS)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_stage_imports_no_torch() -> None:
    code = (
        "import sys, colstore.index, colstore.rerank.stage, colstore.lexical.bm25, colstore.rerank.cross_encoder\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers', 'numba', 'bm25s'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
