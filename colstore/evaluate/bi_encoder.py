"""Bi-encoders: models that were trained to produce one vector per text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from colstore.encode.checkpoint import find_checkpoint
from colstore.errors import EncoderError
from colstore.extras import require

BATCH = 64


@runtime_checkable
class BiEncoder(Protocol):
    """Encodes a whole text as one vector. The vectors may have any length; they are scaled to length 1."""

    @property
    def name(self) -> str:
        """Name of the model, for the report."""
        ...

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each passage, ``(texts, dim)`` float32."""
        ...

    def query_vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a query, ``(dim,)`` float32."""
        ...


class SentenceBiEncoder:
    """A sentence-transformers model with its own pooling and prompts.

    Parameters
    ----------
    model
        A folder, a hub name, or ``"embedded"``.
    trust_remote_code, allow_pickle, device
        As for :func:`colstore.encode.load_encoder`.

    Raises
    ------
    EncoderError
        The model cannot be loaded.
    """

    def __init__(
        self, model: str, *, trust_remote_code: bool = False, allow_pickle: bool = False, device: str | None = None
    ) -> None:
        require("sentence_transformers", extra="encode", purpose="A bi-encoder")
        from sentence_transformers import SentenceTransformer

        checkpoint = find_checkpoint(
            model, revision=None, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
        )
        folder = str(checkpoint.folder)
        try:
            with without_progress_bars():
                loaded = SentenceTransformer(folder, device=device, trust_remote_code=trust_remote_code)
        except Exception as error:  # loading runs code of other libraries, which may raise anything
            raise EncoderError(f"bi-encoder {model!r} could not be loaded: {type(error).__name__}: {error}") from error
        self._model: Any = loaded
        self.name = model

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each passage, ``(texts, dim)`` float32."""
        return np.asarray(
            self._model.encode_document(list(texts), batch_size=BATCH, show_progress_bar=False), np.float32
        )

    def query_vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a query, ``(dim,)`` float32."""
        return np.asarray(self._model.encode_query(text, show_progress_bar=False), np.float32)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hide the progress bars of transformers while a model loads."""
    from transformers.utils import logging as notices

    were_shown = notices.is_progress_bar_enabled()
    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if were_shown:
            notices.enable_progress_bar()  # type: ignore[no-untyped-call]


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors, along the last axis, scaled to length 1; zero vectors stay as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
