"""Batches by token budget, and the fake encoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.encode import FakeEncoder
from colstore.encode.tokens import token_budget_batches
from colstore.errors import ConfigError


@given(lengths=st.lists(st.integers(1, 50), max_size=60), budget=st.integers(1, 120))
def test_every_text_once_within_the_budget_longest_first(lengths: list[int], budget: int) -> None:
    batches = [batch.tolist() for batch in token_budget_batches(lengths, budget)]
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    widths = [max(lengths[position] for position in batch) for batch in batches]
    assert widths == sorted(widths, reverse=True)
    for batch, width in zip(batches, widths, strict=True):
        assert len(batch) == 1 or len(batch) * width <= budget


def test_fake_vectors_are_the_same_on_every_machine() -> None:
    found = FakeEncoder(dim=4, seed=7).encode_queries(["Bees"])[0]
    expected = [[0.7810908, 0.11085346, -0.41441303, 0.45372954]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_fake_seed_and_words_decide() -> None:
    bees = FakeEncoder().encode_queries(["bees"])[0]
    np.testing.assert_array_equal(bees, FakeEncoder().encode_documents(["BEES!"])[0].vectors)
    assert abs(float((bees @ FakeEncoder().encode_queries(["wasps"])[0].T).item())) < 0.9
    assert not np.allclose(bees, FakeEncoder(seed=1).encode_queries(["bees"])[0])


def test_fake_cuts_documents_but_not_queries() -> None:
    encoder = FakeEncoder(max_tokens=2)
    found = encoder.encode_documents(["one two", "one two three"])
    assert [(len(text.vectors), text.truncated) for text in found] == [(2, False), (2, True)]
    assert len(encoder.encode_queries(["one two three"])[0]) == 3


def test_fake_vectors_cannot_be_spoilt_for_the_next_caller() -> None:
    encoder = FakeEncoder()
    encoder.encode_queries(["bees"])[0][:] = 0
    assert np.linalg.norm(encoder.encode_queries(["bees"])[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"max_tokens": 0}])
def test_fake_arguments_that_cannot_be(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        FakeEncoder(**arguments)
