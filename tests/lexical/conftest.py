"""The small index of texts of the reranking tests."""

from tests.rerank.conftest import changing, index, stored

__all__ = ["changing", "index", "stored"]
