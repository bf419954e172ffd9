"""What every encoder must do."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest

from colstore.types import Encoder, FloatMatrix, TokenCounter

TEXTS = (
    "Bees dance in the dark.",
    "statins",
    "",
    "A much longer text, about the rivers that run to the sea and the wind that drives them on. " * 3,
    "naïve 蜜蜂 🐝 e\u0301 \x00\x07 \u202e tab\tline\nend",
    "Bees dance in the dark.",
    "!?.,;:",
)
TOLERANCE = 1e-4
"""Largest difference of a component that other texts in a batch may make."""


class EncoderConformance:
    """Tests of the protocol :class:`colstore.Encoder`. Derive from it, and define the fixture ``encoder``.

    The encoder should make unit vectors, and find a text by its own words.

    >>> class TestMine(EncoderConformance):
    ...     @pytest.fixture
    ...     def encoder(self): ...
    """

    def test_is_an_encoder(self, encoder: Encoder) -> None:
        assert isinstance(encoder, Encoder)
        assert encoder.dim >= 1

    def test_settings_are_plain_json_and_name_kind_model_and_dim(self, encoder: Encoder) -> None:
        settings = json.loads(json.dumps(dict(encoder.settings)))
        assert settings == dict(encoder.settings)
        assert settings["kind"]
        assert settings["model"]
        assert settings["dim"] == encoder.dim

    def test_counting_tokens_tells_which_documents_are_truncated(self, encoder: Encoder) -> None:
        if not isinstance(encoder, TokenCounter):
            pytest.skip("the encoder does not count tokens, so long texts are not split into passages")
        texts = [*TEXTS, TEXTS[3] * 200]
        limit = encoder.document_length
        for text, count in zip(encoder.encode_documents(texts), encoder.count_tokens(texts), strict=True):
            assert text.truncated == (limit is not None and count > limit)

    def test_changing_the_settings_one_got_changes_nothing(self, encoder: Encoder) -> None:
        before = dict(encoder.settings)
        got = encoder.settings
        if isinstance(got, dict):  # else they cannot be changed at all
            got["model"] = "another"
        assert dict(encoder.settings) == before

    def test_matrices_are_float32_of_unit_rows(self, encoder: Encoder) -> None:
        for matrix in [*encoder.encode_queries(TEXTS), *_vectors(encoder, TEXTS)]:
            assert matrix.dtype == np.float32
            assert matrix.ndim == 2
            assert matrix.shape[0] >= 1
            assert matrix.shape[1] == encoder.dim
            np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-3)

    def test_nothing_in_nothing_out(self, encoder: Encoder) -> None:
        assert encoder.encode_queries([]) == []
        assert encoder.encode_documents([]) == []

    def test_an_empty_text_has_vectors(self, encoder: Encoder) -> None:
        assert len(encoder.encode_queries([""])[0]) >= 1
        assert len(encoder.encode_documents([""])[0].vectors) >= 1

    def test_results_come_in_the_callers_order(self, encoder: Encoder) -> None:
        order = list(range(len(TEXTS)))
        random.Random(3).shuffle(order)
        shuffled = [TEXTS[at] for at in order]
        _assert_close(encoder.encode_queries(shuffled), [encoder.encode_queries(TEXTS)[at] for at in order])
        _assert_close(_vectors(encoder, shuffled), [_vectors(encoder, TEXTS)[at] for at in order])

    def test_a_text_does_not_depend_on_its_batch_mates(self, encoder: Encoder) -> None:
        _assert_close(encoder.encode_queries(TEXTS), [encoder.encode_queries([text])[0] for text in TEXTS])
        _assert_close(_vectors(encoder, TEXTS), [_vectors(encoder, [text])[0] for text in TEXTS])

    def test_the_same_call_gives_the_same_bytes(self, encoder: Encoder) -> None:
        for first, second in zip(_vectors(encoder, TEXTS), _vectors(encoder, TEXTS), strict=True):
            assert first.tobytes() == second.tobytes()

    def test_short_texts_are_not_truncated_and_very_long_ones_work(self, encoder: Encoder) -> None:
        assert [text.truncated for text in encoder.encode_documents(["bees", ""])] == [False, False]
        huge = "bees dance " * 1_000
        assert np.isfinite(encoder.encode_documents([huge])[0].vectors).all()
        assert np.isfinite(encoder.encode_queries([huge])[0]).all()

    def test_a_query_finds_the_text_with_its_own_words(self, encoder: Encoder) -> None:
        query = encoder.encode_queries(["an old river runs to the sea"])[0]
        documents = _vectors(encoder, ["statins lower crp levels", "an old river runs to the sea"])
        scores = [float((query @ document.T).max(axis=1).sum()) for document in documents]
        assert scores[1] > scores[0]

    def test_one_string_is_not_a_sequence_of_texts(self, encoder: Encoder) -> None:
        with pytest.raises(TypeError, match="wrap it in a list"):
            encoder.encode_queries("bees")
        with pytest.raises(TypeError, match="wrap it in a list"):
            encoder.encode_documents("bees")

    def test_what_is_no_string_is_refused_by_its_place(self, encoder: Encoder) -> None:
        with pytest.raises(TypeError, match=r"texts\[1\] is a int"):
            encoder.encode_documents(["bees", 7])  # type: ignore[list-item]

    def test_the_callers_random_state_is_left_alone(self, encoder: Encoder) -> None:
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002 - the legacy state is what could be disturbed
        expected = (random.Random(5).random(), np.random.RandomState(5).rand())
        encoder.encode_documents(TEXTS)
        assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


def _vectors(encoder: Encoder, texts: Sequence[str]) -> list[FloatMatrix]:
    return [text.vectors for text in encoder.encode_documents(texts)]


def _assert_close(found: Sequence[FloatMatrix], expected: Sequence[FloatMatrix]) -> None:
    assert [matrix.shape for matrix in found] == [matrix.shape for matrix in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)
