"""Every encoder that ships keeps the protocol."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from colstore.encode import FakeEncoder, ProjectedEncoder, fit_projection_from_texts, load_encoder
from colstore.testing import EncoderConformance
from colstore.types import Encoder
from tests.encode.checkpoints import LAYOUTS, MakeCheckpoint


class TestFake(EncoderConformance):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return FakeEncoder()


class TestProjected(EncoderConformance):
    @pytest.fixture
    def encoder(self) -> Encoder:
        whole = FakeEncoder(dim=32)
        words = [f"word{number}" for number in range(200)]
        return ProjectedEncoder(whole, fit_projection_from_texts(whole, words, dim=24))


@pytest.mark.parametrize("encoder", LAYOUTS, indirect=True)
class TestTransformers(EncoderConformance):
    @pytest.fixture
    def encoder(self, request: pytest.FixtureRequest, tiny_encoder: Callable[[str], Encoder]) -> Encoder:
        return tiny_encoder(request.param)

    def test_torch_is_left_as_it_was(self, encoder: Encoder) -> None:
        import torch

        before = (torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled())
        encoder.encode_documents(["bees"])
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (torch.get_num_threads(), torch.is_grad_enabled()) == before[1:]


class TestMiniLM(EncoderConformance):
    @pytest.fixture
    def encoder(self, minilm_encoder: Encoder) -> Encoder:
        return minilm_encoder


class TestLowPrecision(EncoderConformance):
    """bfloat16 has three digits, so batch-mates show in the third; rows are still float32 and of length 1."""

    @pytest.fixture
    def encoder(self, checkpoint: MakeCheckpoint) -> Encoder:
        return load_encoder(checkpoint("stanford", "bert"), device="cpu", dtype="bfloat16")

    test_results_come_in_the_callers_order = None  # type: ignore[assignment]
    test_a_text_does_not_depend_on_its_batch_mates = None  # type: ignore[assignment]

    def test_rows_are_normalised_in_float32(self, encoder: Encoder) -> None:
        rows = encoder.encode_documents(["bees dance in the dark hive"])[0].vectors
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
