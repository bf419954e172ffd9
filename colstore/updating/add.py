"""Documents in: encoded as those that are there, compressed by the trained codec, committed as one generation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Literal, get_args

import numpy as np

from colstore.codec import checked_vectors
from colstore.config import OnError
from colstore.corpus import CorpusSource, ReadReport, read_documents
from colstore.encode import pool
from colstore.errors import ConfigError, CorpusError, DuplicateIdError, EncoderError
from colstore.indexing.segments import Batch, SegmentSink, coarse_error
from colstore.outputs import encode_documents
from colstore.reports import ChangeReport, Listener, Progress
from colstore.snapshot.document_encoder import ModelOptions, document_encoder, stored_projection
from colstore.store import AddedTokens
from colstore.types import Document, EncodedText, Encoder, FloatMatrix
from colstore.updating.change import Change

OnDuplicate = Literal["error", "replace", "skip"]
ON_DUPLICATE: tuple[OnDuplicate, ...] = get_args(OnDuplicate)
WINDOW_DOCUMENTS = 512
"""Documents that are looked up, encoded and compressed together."""


def add(
    path: Path,
    corpus: CorpusSource,
    *,
    on_duplicate: OnDuplicate = "error",
    on_error: OnError = "error",
    encoder: Encoder | None = None,
    options: ModelOptions | None = None,
    wait: float = 0.0,
    progress: Listener | None = None,
) -> ChangeReport:
    """Add documents to an index: all of them, or, if anything goes wrong, none.

    Parameters
    ----------
    path
        Of the index.
    corpus
        As for :func:`colstore.build`.
    on_duplicate
        An id that is in the index, or came before in the corpus: ``"error"``, ``"replace"`` (the newest counts), or
        ``"skip"`` (the oldest does; counted).
    on_error
        A document that cannot be read: ``"error"``, or ``"skip"``: count it and go on.
    encoder
        For texts; by default the one that the index was built with.
    options
        Of loading that one.
    wait
        Seconds to wait for another writer; 0 asks once.
    progress
        Called every now and then.

    Raises
    ------
    CorpusError, DuplicateIdError, VectorError, EncoderError, IndexLockedError, StorageError, CorruptIndexError
        The index is then what it was.
    """
    if on_duplicate not in ON_DUPLICATE:
        raise ConfigError(f"on_duplicate must be one of {ON_DUPLICATE}, got {on_duplicate!r}")
    intake = ReadReport()
    documents = read_documents(
        corpus, on_error=on_error, on_duplicate="keep" if on_duplicate == "replace" else on_duplicate, report=intake
    )
    with Change(path, wait) as change:
        vectors = _Vectors(change, encoder, options)
        meter = _Meter(progress)
        with change.sink() as sink:
            while window := list(islice(documents, WINDOW_DOCUMENTS)):
                admitted = _admitted(window, change, sink, on_duplicate)
                for batch in vectors.batches(admitted):
                    sink.append(batch)
                meter.add(len(window))
            sink.seal()
        change.report.note_read(intake)
        if not change.is_empty:
            change.merge_due()
            change.commit()
        return change.finish()


def _admitted(
    window: Sequence[Document], change: Change, sink: SegmentSink, on_duplicate: OnDuplicate
) -> list[Document]:
    """Return the documents of a window that go in; what they replace is marked as deleted."""
    report = change.report
    if on_duplicate == "replace":
        newest = {document.id: document for document in window}
        report.skip("superseded", len(window) - len(newest))
        window = list(newest.values())
        if sink.open_ids & newest.keys():  # a segment cannot hold an id twice
            sink.seal()
    places = change.find([document.id for document in window])
    known = [document.id for document, place in zip(window, places, strict=True) if place is not None]
    if not known:
        report.added += len(window)
        return list(window)
    if on_duplicate == "error":
        shown = ", ".join(repr(name) for name in known[:5])
        raise DuplicateIdError(
            f"{len(known)} of these ids are in the index already, such as {shown}: nothing was added; replace "
            "them with on_duplicate='replace', or leave them out with on_duplicate='skip'"
        )
    if on_duplicate == "skip":
        report.skip("duplicate", len(known))
        fresh = [document for document, place in zip(window, places, strict=True) if place is None]
        report.added += len(fresh)
        return fresh
    old = [place for place in places if place is not None]
    superseded = sum(change.is_new(number) for number, _ in old)
    report.skip("superseded", superseded)
    report.replaced += len(old) - superseded
    report.added += len(window) - len(old)
    change.delete(old)
    return list(window)


class _Vectors:
    """Makes the stored arrays of new documents, in the very steps of a build."""

    def __init__(self, change: Change, encoder: Encoder | None, options: ModelOptions | None) -> None:
        self._change, self._given, self._options = change, encoder, options
        self._encoder: Encoder | None = None
        self._projection = stored_projection(change.path, change.snapshot.manifest)
        self._dim = change.codec.centroids.dim if self._projection is None else self._projection.dim_in

    def batches(self, documents: Sequence[Document]) -> Iterator[Batch]:
        """Yield the documents, encoded."""
        if not documents:
            return
        codec = self._change.codec
        stored = [self._stored(*pair) for pair in zip(documents, self._encoded(documents), strict=True)]
        rows = np.concatenate(stored).astype(np.float32)
        if self._projection is not None:
            rows = self._projection.apply(rows)
        arrays = codec.encode(rows)
        records = [(document.title, document.text, document.metadata) for document in documents]
        counts = np.array([len(matrix) for matrix in stored], np.int64)
        added = AddedTokens(len(rows), coarse_error(codec, rows, arrays["codes"]))
        yield Batch([document.id for document in documents], counts, arrays, records, added)

    def _encoded(self, documents: Sequence[Document]) -> list[FloatMatrix]:
        """Return vectors of each document: its own, or the encoder's."""
        bare = [document for document in documents if document.vectors is None]
        made: Iterator[EncodedText] = iter(())
        if bare:
            encoder = self._load(bare[0])
            made = iter(encode_documents(encoder, [document.passage for document in bare]))
        encoded = [next(made) if document.vectors is None else EncodedText(document.vectors) for document in documents]
        self._change.report.truncated += sum(text.truncated for text in encoded)
        return [text.vectors for text in encoded]

    def _load(self, document: Document) -> Encoder:
        if self._encoder is None:
            manifest = self._change.snapshot.manifest
            if manifest.encoder is None:
                raise CorpusError(f"document {document.id!r} has no vectors, and this index has no model to make them")
            self._encoder = document_encoder(self._change.path, manifest, self._given, self._options)
            if self._encoder.dim != self._dim:
                raise EncoderError(f"the encoder makes {self._encoder.dim} components, this index takes {self._dim}")
        return self._encoder

    def _stored(self, document: Document, vectors: FloatMatrix) -> FloatMatrix:
        config = self._change.config
        if config.pool_factor != 1:
            vectors = pool(vectors, config.pool_factor, config.pooling)
        return checked_vectors(document.id, vectors, self._dim).astype(np.float32)


class _Meter:
    """Tells a listener how many documents were taken."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener, self._start, self._done = listener, perf_counter(), 0

    def add(self, documents: int) -> None:
        self._done += documents
        if self._listener is not None:
            self._listener(Progress("add", self._done, None, "documents", 0, perf_counter() - self._start))
