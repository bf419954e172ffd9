"""One vector a text, by a model that was trained for it: the other way to have no interaction."""

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
    """One vector for a whole text. Vectors need not have length 1: they are brought to it."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each passage, ``(texts, dim)``."""
        ...

    def query_vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question, ``(dim,)``."""
        ...


class SentenceBiEncoder:
    """A sentence-transformers model with the pooling and the prompts it came with.

    Parameters
    ----------
    model
        Folder or hub name, or ``"embedded"``.
    trust_remote_code, device
        As for :func:`colstore.encode.load_encoder`.

    Raises
    ------
    EncoderError
        It cannot be loaded.
    """

    def __init__(self, model: str, *, trust_remote_code: bool = False, device: str | None = None) -> None:
        require("sentence_transformers", extra="encode", purpose="A bi-encoder")
        from sentence_transformers import SentenceTransformer

        checkpoint = find_checkpoint(model, revision=None, trust_remote_code=trust_remote_code, allow_pickle=False)
        folder = str(checkpoint.folder)
        try:
            with without_bars():
                loaded = SentenceTransformer(folder, device=device, trust_remote_code=trust_remote_code)
        except Exception as error:  # the one boundary to what loading may raise
            raise EncoderError(f"bi-encoder {model!r} could not be loaded: {type(error).__name__}: {error}") from error
        self._model: Any = loaded
        self.name = model

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each passage, ``(texts, dim)`` float32."""
        return np.asarray(
            self._model.encode_document(list(texts), batch_size=BATCH, show_progress_bar=False), np.float32
        )

    def query_vector(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question, ``(dim,)`` float32."""
        return np.asarray(self._model.encode_query(text, show_progress_bar=False), np.float32)


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep the library's progress bars off the terminal while it loads."""
    from transformers.utils import logging as notices

    shown = notices.is_progress_bar_enabled()
    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            notices.enable_progress_bar()  # type: ignore[no-untyped-call]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors (along the last axis) brought to length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
