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
from colstore.search.candidates import ScoredText
from colstore.search.query import PreparedQuery, check_query
from colstore.snapshot.document_encoder import ModelCache, document_encoder, stored_projection
from colstore.snapshot.snapshot import Snapshot
from colstore.store import Passages
from colstore.threads import available_cores
from colstore.types import Document, Encoder, FloatMatrix, Passage


class PassageScorer:
    """Scores texts by MaxSim, on the arrays that the index would store of them.

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
        self._shows_passages = snapshot.config.passages is not None
        self._ingest = Ingest(encoder, snapshot.config, compressor, available_cores())

    def score(self, query: FloatMatrix, texts: Sequence[str]) -> list[ScoredText]:
        """Return MaxSim of each text with query vectors ``(tokens, dim)``: the score it would have in the index."""
        prepared = PreparedQuery(check_query(query, self._codec.centroids.dim), self._codec)
        documents: Iterator[Document] = (Document(f"text {i}", text) for i, text in enumerate(texts))
        return [
            scored
            for some, batch in self._ingest.batches(documents, EncodeMeter(None, None))
            for scored in self._scored(some, batch, scores_of(prepared, self._codec, batch))
        ]

    def _scored(self, documents: Sequence[Document], batch: Batch, scores: Floats) -> Iterator[ScoredText]:
        """Yield the score of the best passage of each document, and this passage."""
        passages = batch.passages or Passages.whole(batch.counts)
        starts = np.cumsum(passages.counts) - passages.counts
        for document, start, count in zip(documents, starts.tolist(), passages.counts.tolist(), strict=True):
            best = start + int(np.argmax(scores[start : start + count]))
            begin, end = passages.spans[best].tolist() if count > 1 else (0, len(document.text))
            passage = Passage(document.text[begin:end], begin, end, best - start) if self._shows_passages else None
            yield ScoredText(float(scores[best]), passage)


def scores_of(query: PreparedQuery, codec: Codec, batch: Batch) -> Floats:
    """Return MaxSim of encoded passages, ``(passages,)`` float32, by the kernels that score stored ones."""
    offsets = np.concatenate([[0], np.cumsum(batch.passage_tokens)]).astype(np.int64)
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
