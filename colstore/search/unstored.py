"""Candidates that the index does not hold, scored by their text exactly as if they had been added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from colstore.codec import Codec
from colstore.errors import EncoderError
from colstore.indexing.ingest import Compressor, Ingest
from colstore.indexing.meters import EncodeMeter
from colstore.indexing.segments import Batch
from colstore.kernels import calls
from colstore.kernels.calls import Floats
from colstore.search.query import PreparedQuery, check_query
from colstore.snapshot.document_encoder import ModelCache, document_encoder, stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.threads import available_cores
from colstore.types import Document, Encoder, FloatMatrix


class PassageScorer:
    """Scores passages by MaxSim, on the arrays that the index would store of them.

    Parameters
    ----------
    snapshot
        The index's open generation.
    given
        The caller's encoder, if the index was opened with one.
    models
        Where the model of the index is kept in memory.

    Raises
    ------
    EncoderError
        The index was built from vectors, or its model cannot be loaded.
    """

    def __init__(self, snapshot: Snapshot, given: Encoder | None, models: ModelCache | None = None) -> None:
        self._codec = snapshot.codec
        compressor = Compressor(snapshot.codec, stored_projection(snapshot.path, snapshot.manifest))
        encoder = document_encoder(snapshot.path, snapshot.manifest, given, models=models)
        if encoder.dim != compressor.dim:
            raise EncoderError(f"the encoder makes {encoder.dim} components, this index takes {compressor.dim}")
        self._ingest = Ingest(encoder, snapshot.config, compressor, available_cores())

    def score(self, query: FloatMatrix, passages: Sequence[str]) -> list[float]:
        """Return MaxSim of each passage with query vectors ``(tokens, dim)``: the score it would have in the index."""
        prepared = PreparedQuery(check_query(query, self._codec.centroids.dim), self._codec)
        documents: Iterator[Document] = (Document(f"passage {i}", text) for i, text in enumerate(passages))
        return [
            float(score)
            for _, batch in self._ingest.batches(documents, EncodeMeter(None, None))
            for score in scores_of(prepared, self._codec, batch)
        ]


def scores_of(query: PreparedQuery, codec: Codec, batch: Batch) -> Floats:
    """Return MaxSim of encoded documents, ``(documents,)`` float32, by the kernels that score stored ones."""
    offsets = np.concatenate([[0], np.cumsum(batch.counts)]).astype(np.int64)
    starts, stops = offsets[:-1], offsets[1:]
    arrays, centroids = batch.arrays, codec.centroids
    total = np.zeros(len(starts), np.float32)
    for number, query_pass in enumerate(query.passes):
        if codec.bits == 16:
            rows, vectors = query.sources[number], arrays["vectors"]
            rows = np.pad(rows, ((0, 0), (0, vectors.shape[1] - rows.shape[1])))
            total += calls.dense(rows, vectors, starts, stops)[0]
            continue
        payload, codes, scales = arrays["residuals"], arrays["codes"], arrays["scales"].view(np.uint16)
        table = query.table(number)
        _, tokens = calls.score(query_pass, table, codec.bits, payload, codes, scales, starts, stops)
        every = np.arange(len(starts))
        total += calls.refine(
            query_pass, codec.bits, payload, codes, scales, starts, every, tokens, centroids.values, centroids.scale
        )
    return total
