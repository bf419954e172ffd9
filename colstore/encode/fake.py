"""A deterministic encoder without a model, for tests of colstore and of software built on it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from colstore.encode.tokens import check_texts
from colstore.errors import ConfigError
from colstore.types import EncodedText, FloatMatrix, Json

MAX_DIM = 65_536
_WORD = re.compile(r"\w+")


class FakeEncoder:
    """An encoder with one unit vector for each word, derived from the word's hash.

    Texts that share words have high scores, and other texts have low scores. The vectors are the same on every machine,
    in every version of numpy and in every batch. A text without words has one vector, that of the empty word.

    Parameters
    ----------
    dim
        Number of components of a vector, 1 to 65,536.
    seed
        Seed of the hash; another seed gives other vectors.
    max_tokens
        Longer documents are cut to this number of words and reported as truncated; ``None`` means no limit.

    Raises
    ------
    ConfigError
        ``dim`` or ``max_tokens`` is out of range.

    Examples
    --------
    >>> encoder = FakeEncoder(dim=8)
    >>> query, = encoder.encode_queries(["Bees dance"])
    >>> document, = encoder.encode_documents(["do bees sleep?"])
    >>> query.shape, document.vectors.shape, document.truncated
    ((2, 8), (3, 8), False)
    >>> round(float((query @ document.vectors.T).max(axis=1)[0]), 5)  # "bees" is in both
    1.0
    """

    def __init__(self, dim: int = 32, seed: int = 0, *, max_tokens: int | None = None) -> None:
        if not 1 <= dim <= MAX_DIM:  # the settings in an untrusted index may contain any number
            raise ConfigError(f"dim must lie in 1..{MAX_DIM}, got {dim}")
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"max_tokens must be at least 1, got {max_tokens}")
        self._dim = dim
        self._seed = seed
        self._max_tokens = max_tokens

    @property
    def dim(self) -> int:
        """Number of components of a token vector."""
        return self._dim

    @property
    def settings(self) -> Mapping[str, Json]:
        """Settings that create the same encoder again."""
        return {
            "kind": "fake",
            "model": "fake",
            "dim": self._dim,
            "seed": self._seed,
            "max_tokens": self._max_tokens,
        }

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        """Return a ``(words, dim)`` float32 matrix of unit rows for each query."""
        return [self._vectors(self._words(text)) for text in check_texts(texts)]

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return the vectors of each document, and whether it was truncated to ``max_tokens`` words."""
        return [self._document(text) for text in check_texts(texts)]

    @property
    def document_length(self) -> int | None:
        """Largest number of words of a document."""
        return self._max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words of each text."""
        return [len(_WORD.findall(text.lower())) for text in check_texts(texts)]

    def _document(self, text: str) -> EncodedText:
        words = self._words(text)
        kept = words[: self._max_tokens]
        return EncodedText(self._vectors(kept), truncated=len(kept) < len(words))

    @staticmethod
    def _words(text: str) -> list[str]:
        return _WORD.findall(text.lower()) or [""]

    def _vectors(self, words: list[str]) -> FloatMatrix:
        return np.stack([_word_vector(word, self._dim, self._seed) for word in words])


@lru_cache(maxsize=65_536)
def _word_vector(word: str, dim: int, seed: int) -> FloatMatrix:
    """Return the ``(dim,)`` unit vector of a word."""
    # derived from a hash, because numpy's random generators may change between versions
    digest = hashlib.shake_256(f"{seed}:{word}".encode("utf-8", "surrogatepass")).digest(4 * dim)
    uniform = np.frombuffer(digest, dtype="<u4").astype(np.float64) + 0.5
    centred = uniform / 2**31 - 1.0  # never exactly zero, because of the added half
    vector = (centred / np.linalg.norm(centred)).astype(np.float32)
    vector.setflags(write=False)
    return vector
