"""Every reranker that ships keeps the protocol."""

from __future__ import annotations

import pytest

from colstore.rerank.cross_encoder import CrossEncoderReranker
from colstore.rerank.rerankers import CallableReranker
from colstore.testing import FakeReranker, RerankerConformance
from colstore.types import Reranker
from tests.rerank.cross_encoders import make_cross_encoder


class TestFake(RerankerConformance):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker()


class TestCallable(RerankerConformance):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return CallableReranker(lambda pairs: [-len(passage) for _, passage in pairs], name="shorter")


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderReranker:
    folder = make_cross_encoder(tmp_path_factory.mktemp("model") / "bert", "bert")
    return CrossEncoderReranker(folder, device="cpu", dtype="float32")


class TestCrossEncoder(RerankerConformance):
    @pytest.fixture
    def reranker(self, cross_encoder: CrossEncoderReranker) -> Reranker:
        return cross_encoder
