"""The encoder over a pipeline: what it refuses, and calls from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from colstore.encode import load_encoder
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import EncoderError
from tests.encode.checkpoints import MakeCheckpoint


@pytest.fixture
def encoder(checkpoint: MakeCheckpoint) -> TransformerEncoder:
    loaded = load_encoder(checkpoint("native", "bert"), device="cpu")
    assert isinstance(loaded, TransformerEncoder)
    return loaded


def test_threads_take_turns(encoder: TransformerEncoder) -> None:
    texts = [f"bees dance {'a lot ' * number}" for number in range(24)]
    expected = [encoder.encode_queries([text])[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: encoder.encode_queries([text])[0], texts))
        documents = list(pool.map(lambda text: encoder.encode_documents([text])[0].truncated, texts))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert documents == [text.truncated for text in encoder.encode_documents(texts)]


def test_a_mask_that_drops_every_token(encoder: TransformerEncoder) -> None:
    mask: Any = encoder.model[2]
    mask.keep_only_token_ids = [29_999]
    with pytest.raises(EncoderError, match="no vector for a text"):
        encoder.encode_documents(["bees"])


def test_a_library_that_prepares_texts_in_its_own_way(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = encoder.model.preprocess

    def as_a_chat(*arguments: Any, **options: Any) -> Any:
        return {**prepare(*arguments, **options), "modality": "message"}

    monkeypatch.setattr(encoder.model, "preprocess", as_a_chat)
    with pytest.raises(EncoderError, match="in its own way"):
        TransformerEncoder(encoder.model, encoder.settings, token_budget=8)


def test_a_tokenizer_that_does_not_tell_what_it_cut(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(encoder.model.tokenizer), "is_fast", False)
    with pytest.raises(EncoderError, match="no fast tokenizer"):
        TransformerEncoder(encoder.model, encoder.settings, token_budget=8)
