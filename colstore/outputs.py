"""What an encoder returns, checked at one place: encoders are written by others, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from colstore.errors import EncoderError
from colstore.types import EncodedText, Encoder, FloatMatrix
from colstore.values import as_array

EncodeTexts = Callable[[Sequence[str]], list[EncodedText]]
"""The method ``encode_query_texts`` of encoders that report which queries they cannot read whole."""


def encode_query(encoder: Encoder, text: str) -> FloatMatrix:
    """Return the token vectors of one query, ``(tokens, dim)`` float32.

    A query is always encoded by itself, because other texts in the batch would change the last digits.

    Raises
    ------
    EncoderError
        The encoder returned something else.
    """
    return encoded_query(encoder, text).vectors


def encoded_query(encoder: Encoder, text: str) -> EncodedText:
    """Return the token vectors of one query, and whether the model could read all of it.

    Encoders of colstore report that in their method ``encode_query_texts``, which other encoders may have, too. Without
    it, nothing is known to be missing.

    Raises
    ------
    EncoderError
        The encoder returned something else.
    """
    reporting: EncodeTexts | None = getattr(encoder, "encode_query_texts", None)
    if reporting is None:
        return EncodedText(_one_matrix(encoder, encoder.encode_queries([text])))
    texts = reporting([text])
    matrix = _one_matrix(encoder, [one.vectors for one in texts])
    return EncodedText(matrix, texts[0].truncated, texts[0].unreadable)


def _one_matrix(encoder: Encoder, matrices: object) -> FloatMatrix:
    if not isinstance(matrices, Sequence | np.ndarray) or len(matrices) != 1:
        raise EncoderError(
            f"{_name(encoder)}.encode_queries returned {_shape(matrices)} for one text: it must return a list with one "
            "(tokens, dim) float32 matrix for each text"
        )
    matrix = as_array(matrices[0])
    if matrix.dtype.kind != "f" or matrix.ndim != 2 or matrix.shape[1] != encoder.dim:
        raise EncoderError(
            f"{_name(encoder)}.encode_queries returned {_shape(matrices[0])} for a query: it must return a "
            f"(tokens, {encoder.dim}) float32 matrix for each text"
        )
    return matrix


def encode_documents(encoder: Encoder, texts: Sequence[str]) -> list[EncodedText]:
    """Return the token vectors of documents, in the order of ``texts``.

    Raises
    ------
    EncoderError
        The encoder returned something else than one :class:`colstore.EncodedText` for each text.
    """
    encoded = encoder.encode_documents(texts)
    return checked_documents(encoder, encoded, len(texts))


def checked_documents(encoder: Encoder, encoded: Sequence[EncodedText], count: int) -> list[EncodedText]:
    """Return what :meth:`Encoder.encode_documents` returned for ``count`` texts, or say what it must return.

    Raises
    ------
    EncoderError
        It is not a list of ``count`` objects of :class:`colstore.EncodedText`.
    """
    if not isinstance(encoded, Sequence) or len(encoded) != count:
        raise EncoderError(
            f"{_name(encoder)}.encode_documents returned {_shape(encoded)} for {count} texts: it must return a list "
            "with one colstore.EncodedText(vectors) for each text"
        )
    for text in encoded:
        if not isinstance(text, EncodedText):
            raise EncoderError(
                f"{_name(encoder)}.encode_documents returned {_shape(text)} for a text: wrap the vectors of each text, "
                "as colstore.EncodedText(vectors)"
            )
    return [text if isinstance(text.vectors, np.ndarray) else _with_array(text) for text in encoded]


def _with_array(text: EncodedText) -> EncodedText:
    return replace(text, vectors=as_array(text.vectors))


def _name(encoder: Encoder) -> str:
    return type(encoder).__name__


def _shape(value: object) -> str:
    """Return what a value is, as far as an error message needs it."""
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
