"""Candidates that are not in the index, scored by their text as if they were: encoded, pooled, compressed, decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colstore.encode import pool
from colstore.errors import EncoderError, VectorError
from colstore.outputs import encode_documents
from colstore.snapshot.document_encoder import document_encoder, stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.types import Encoder, FloatMatrix


class PassageScorer:
    """Scores passages by MaxSim, in the very steps of a build.

    Parameters
    ----------
    snapshot
        Of the index.
    given
        The caller's encoder, if the index was opened with one.

    Raises
    ------
    EncoderError
        The index was built from vectors, or its model cannot be loaded.
    """

    def __init__(self, snapshot: Snapshot, given: Encoder | None) -> None:
        self._codec, self._config = snapshot.codec, snapshot.config
        self._encoder = document_encoder(snapshot.path, snapshot.manifest, given)
        self._projection = stored_projection(snapshot.path, snapshot.manifest)
        dim = self._codec.centroids.dim if self._projection is None else self._projection.dim_in
        if self._encoder.dim != dim:
            raise EncoderError(f"the encoder makes {self._encoder.dim} components, this index takes {dim}")

    def score(self, query: FloatMatrix, passages: Sequence[str]) -> list[float]:
        """Return MaxSim of each passage with query vectors ``(tokens, dim)``."""
        rows = np.asarray(query, np.float32)
        return [
            float((rows @ self._as_stored(text.vectors).T).max(axis=1).sum())
            for text in encode_documents(self._encoder, list(passages))
        ]

    def _as_stored(self, vectors: FloatMatrix) -> FloatMatrix:
        """Return what the index would give back for the vectors of a document."""
        if self._config.pool_factor != 1:
            vectors = pool(vectors, self._config.pool_factor, self._config.pooling)
        rows = np.ascontiguousarray(vectors, np.float32)
        if self._projection is not None:
            rows = self._projection.apply(rows)
        if not np.isfinite(rows).all():
            raise VectorError("the encoder made vectors that are not finite")
        return self._codec.decode(self._codec.encode(rows))
