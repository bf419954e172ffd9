"""Models that the caller has made: wrapped, described such that an index can load them again, and left as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore.encode import load_encoder
from colstore.encode.instances import IN_MEMORY, as_encoder
from colstore.errors import EncoderError
from colstore.testing import EncoderConformance
from colstore.types import Encoder
from tests.encode.checkpoints import MakeCheckpoint

TEXTS = ("bees dance", "an old river", "statins lower crp")
DOCUMENTS = [{"id": f"d{i}", "text": text} for i, text in enumerate(TEXTS)]


def loaded(folder: Path) -> Any:
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(str(folder), device="cpu", local_files_only=True)


@pytest.fixture
def folder(checkpoint: MakeCheckpoint) -> Path:
    return checkpoint("stanford", "bert")


def changed(folder: Path) -> Any:
    """Return a model whose weights are no longer those of its folder."""
    import torch

    model = loaded(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    return model


class TestWrapped(EncoderConformance):
    @pytest.fixture
    def encoder(self, folder: Path) -> Encoder:
        return as_encoder(loaded(folder))


class TestInMemory(EncoderConformance):
    @pytest.fixture
    def encoder(self, folder: Path) -> Encoder:
        return as_encoder(changed(folder))


@pytest.mark.parametrize("layout", ["stanford", "pylate", "native"])
def test_a_model_is_described_as_the_one_at_its_path(checkpoint: MakeCheckpoint, layout: str) -> None:
    folder = checkpoint(layout, "bert")
    encoder, expected = as_encoder(loaded(folder)), load_encoder(folder, device="cpu")
    assert {**encoder.settings} == {**expected.settings, "model": str(folder)}
    ours, theirs = encoder.encode_documents(TEXTS), expected.encode_documents(TEXTS)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


def test_the_callers_model_keeps_its_limits(folder: Path) -> None:
    model = loaded(folder)
    model[0].document_length = 9
    before = (model[0].query_length, dict(model[0].query_expansion))
    encoder = as_encoder(model)
    assert encoder.settings["document_length"] == 9
    assert (model[0].query_length, dict(model[0].query_expansion), model[0].document_length) == (*before, 9)


def test_an_index_of_a_model_is_searched_and_grows_without_it(tmp_path: Path, folder: Path) -> None:
    colstore.build(tmp_path / "x", DOCUMENTS, model=loaded(folder)).close()
    colstore.build(tmp_path / "y", DOCUMENTS, model=folder).close()
    with colstore.open(tmp_path / "x") as index, colstore.open(tmp_path / "y") as expected:
        assert index.search("bees dance") == expected.search("bees dance")
        assert index.add([{"id": "d9", "text": "sugar moon"}]).added == 1


def test_a_model_that_is_in_memory_only_is_needed_for_adding(tmp_path: Path, folder: Path) -> None:
    model = changed(folder)
    assert as_encoder(model).settings["model"] == IN_MEMORY
    colstore.build(tmp_path / "x", DOCUMENTS, model=model).close()
    with colstore.open(tmp_path / "x") as index:
        assert index.search("bees dance", 1)[0].id == "d0"  # by the frozen encoder
        with pytest.raises(EncoderError, match="in memory"):
            index.add([{"id": "d9", "text": "sugar moon"}])
    with colstore.open(tmp_path / "x", encoder=model) as index:
        assert index.add([{"id": "d9", "text": "sugar moon"}]).added == 1
    with (
        colstore.open(tmp_path / "x", encoder=loaded(folder)) as index,
        pytest.raises(EncoderError, match="fingerprint"),
    ):
        index.add([{"id": "d10", "text": "sugar moon"}])


def test_an_index_of_vectors_is_opened_with_a_model(tmp_path: Path, folder: Path) -> None:
    model = loaded(folder)
    vectors = [text.vectors for text in as_encoder(model).encode_documents(TEXTS)]
    colstore.build_from_vectors(tmp_path / "x", ["a", "b", "c"], vectors).close()
    with colstore.open(tmp_path / "x", encoder=model) as index:
        assert index.search("bees dance", 1)[0].id == "a"
