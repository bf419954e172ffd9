"""A real bi-encoder, with the pooling it came with."""

from __future__ import annotations

import numpy as np
import pytest

from colstore.errors import EncoderError
from colstore.evaluate.bi_encoder import SentenceBiEncoder, unit_vectors


def test_similar_sentences_are_near(minilm: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = SentenceBiEncoder(minilm, device="cpu")
    passages = unit_vectors(model.vectors(["Bees dance to tell where food is.", "Iron rusts in humid air."]))
    query = unit_vectors(model.query_vector("how do bees talk about food?"))
    assert passages.shape == (2, 384)
    assert passages.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, rtol=1e-5)
    near, far = passages @ query
    assert near > far + 0.3
    assert capfd.readouterr().err == ""


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(EncoderError):
        SentenceBiEncoder("./no-such-model")


def test_zeros_stay_zeros() -> None:
    assert unit_vectors(np.array([[0, 0], [3, 4]], np.float32)).tolist() == [[0, 0], pytest.approx([0.6, 0.8])]
