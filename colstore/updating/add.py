"""Adding and replacing documents: on the one path of :mod:`colstore.indexing.ingest`, committed as one generation.

When to train
-------------
Centroids need tokens to be trained on, and their number should follow the size of the index. An index that was created
empty therefore keeps its documents as float16, and scores them all at each search, until it holds :data:`TRAIN_FROM`
tokens. The addition that reaches these trains the codec that the index was created for, and encodes everything with it,
in its own commit. The same happens again, to any index, each time it holds :data:`GROWTH` times the tokens that its
codec was trained for; but not at 1 bit, where rounding the stored codes once more costs more than it gains, and not
where the caller chose the number of centroids.

Measured on 3,000 documents of SciFact (474,649 tokens of 128 components, grown from 10 documents; recall@10 of the
exact ranking by the default search / with everything scored):

====  ============  ==============  =========================================
bits  built         once at 32,768  again at four times that
====  ============  ==============  =========================================
4     .931 / .978   .774 / .969     .902 / .970 (each doubling: .922 / .959)
2     .893 / .922   .762 / .902     .853 / .893
1     .822 / .832   .718 / .806     .738 / .770
====  ============  ==============  =========================================

Training once at 8,192 tokens instead comes to .656 / .956, at 131,072 to .886 / .971. `scripts/bench_growing.py` has
the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from colstore.config import OnError
from colstore.corpus import CorpusSource, Reading, ReadReport, read_documents
from colstore.errors import ConfigError, DuplicateIdError, EncoderError
from colstore.indexing.ingest import Compressor, Ingest, LazyEncoder, vectors_of
from colstore.indexing.kmeans import centroid_count
from colstore.indexing.meters import EncodeMeter, corpus_size
from colstore.indexing.segments import SegmentSink
from colstore.reports import ChangeReport, Listener
from colstore.snapshot.document_encoder import ModelCache, ModelOptions, document_encoder, stored_projection
from colstore.snapshot.live_segment import live_counts
from colstore.threads import available_cores
from colstore.types import Document, Encoder
from colstore.updating.change import Change
from colstore.updating.retrain import retrain

OnDuplicate = Literal["error", "replace", "skip"]
ON_DUPLICATE: tuple[OnDuplicate, ...] = get_args(OnDuplicate)
TRAIN_FROM = 32_768
"""Tokens from which an index is trained; below, a search scores everything anyway."""
GROWTH = 4
"""An index is trained again when it holds so many times the tokens that its codec was trained for."""
RETRAIN_UP_TO = 2_097_152
"""Tokens up to which an addition trains again: it then takes half a minute at most. Beyond there is advice."""


def add(
    path: Path,
    corpus: CorpusSource,
    *,
    on_duplicate: OnDuplicate = "error",
    on_error: OnError = "error",
    encoder: Encoder | None = None,
    options: ModelOptions | None = None,
    models: ModelCache | None = None,
    wait: float = 0.0,
    progress: Listener | None = None,
    reading: Reading | None = None,
) -> ChangeReport:
    """Add documents to an index: all of them, or, if anything goes wrong, none.

    Documents are read and encoded ahead, each in a thread of its own.

    Parameters
    ----------
    path
        Directory of the index.
    corpus
        As for :func:`colstore.build`.
    on_duplicate
        What to do with an id that is in the index, or came before in the corpus: ``"error"``, ``"replace"`` (the newest
        document stays), or ``"skip"`` (the oldest stays; counted).
    on_error
        What to do with a document that cannot be read: ``"error"``, or ``"skip"`` (counted).
    encoder
        Encodes texts; by default the encoder that the index was built with.
    options
        How to load that one.
    models
        Keeps it for later additions.
    wait
        Seconds to wait for another writer; 0 tries once.
    progress
        Called from time to time with the progress.
    reading
        How the corpus is read, see :func:`colstore.read_documents`.

    Returns
    -------
    ChangeReport
        What was added, replaced and left out.

    Raises
    ------
    CorpusError, DuplicateIdError, VectorError, EncoderError, IndexLockedError, StorageError, CorruptIndexError
        The index is unchanged then. So it is after any other exception, of the corpus or Ctrl-C.
    """
    if on_duplicate not in ON_DUPLICATE:
        raise ConfigError(f"on_duplicate must be one of {ON_DUPLICATE}, got {on_duplicate!r}")
    read = ReadReport()
    on_second = "keep" if on_duplicate == "replace" else on_duplicate
    documents = read_documents(corpus, on_error=on_error, on_duplicate=on_second, report=read, **(reading or {}))
    meter = EncodeMeter(progress, None if progress is None else corpus_size(corpus, reading), "add")
    with Change(path, wait) as change:
        if not any(source.documents for source in change.sources) and change.is_trained:
            change.start_over()
        ingest = _ingest(change, encoder, options, models)
        admission = _Admission(change, on_duplicate)
        with change.sink() as sink, closing(ingest.batches(documents, meter, admit=admission.of_window)) as batches:
            for some, batch in batches:
                admission.make_room(some, sink)
                sink.append(batch if change.is_trained else replace(batch, added=None))
                meter.add(documents=len(some), ready=vectors_of(some))
            sink.seal()
        admission.note()
        change.report.truncated = ingest.truncated
        change.report.unreadable = ingest.unreadable
        change.report.unreadable_examples = ingest.unreadable_examples
        change.report.note_read(read)
        if not change.is_empty:
            _tidy(change, progress)
            change.commit()
        return change.finish()


def _tidy(change: Change, listener: Listener | None) -> None:
    """Train where the index has grown enough, or merge what is due."""
    if _training_is_due(change):
        retrain(change, listener)
    else:
        change.merge_due()


def _training_is_due(change: Change) -> bool:
    tokens = live_counts(change.sources)[1]
    if not change.is_trained or tokens < TRAIN_FROM:
        return tokens >= TRAIN_FROM
    if change.codec.bits == 1 or change.config.centroids is not None or tokens > RETRAIN_UP_TO:
        return False
    # Two signs: replacing documents adds tokens without growth, and tokens of few directions have few centroids.
    added = sum(source.entry.added.tokens for source in change.sources if source.entry.added is not None)
    trained_for = sum(source.segment.tokens for source in change.sources) - added
    few = centroid_count(tokens) ** 2 >= GROWTH * len(change.codec.centroids.values) ** 2
    return few and tokens >= GROWTH * trained_for


def _ingest(change: Change, encoder: Encoder | None, options: ModelOptions | None, models: ModelCache | None) -> Ingest:
    """Return the path into this index. Its model is loaded only if a document comes without vectors."""
    manifest = change.snapshot.manifest
    compressor = Compressor(change.codec, stored_projection(change.path, manifest))

    def load() -> Encoder:
        loaded = document_encoder(change.path, manifest, encoder, options, models)
        if loaded.dim != compressor.dim:
            raise EncoderError(f"the encoder makes {loaded.dim} components, this index takes {compressor.dim}")
        return loaded

    lazy = None if manifest.encoder is None else LazyEncoder(load)
    return Ingest(lazy, change.config, compressor, available_cores())


class _Admission:
    """Decides which documents come in, and counts them.

    Parameters
    ----------
    change
        The change that they belong to.
    on_duplicate
        See :func:`add`.
    """

    def __init__(self, change: Change, on_duplicate: OnDuplicate) -> None:
        self._change, self._on_duplicate = change, on_duplicate
        self._added = self._superseded = self._skipped = 0
        self._overwritten = 0  # within one window; counted apart, because the reader's thread does

    def of_window(self, window: list[Document]) -> list[Document]:
        """Return the documents of a window that are to be encoded; runs in the reader's thread.

        Ids that come twice in the corpus are the reader's business, but where the newest document stays.
        """
        if self._on_duplicate == "replace":
            newest = {document.id: document for document in window}
            self._overwritten += len(window) - len(newest)
            return list(newest.values())
        places = self._change.find([document.id for document in window])
        known = [document.id for document, place in zip(window, places, strict=True) if place is not None]
        if known and self._on_duplicate == "error":
            raise _duplicates(known)
        self._skipped += len(known)
        self._added += len(window) - len(known)
        return [document for document, place in zip(window, places, strict=True) if place is None]

    def make_room(self, documents: Sequence[Document], sink: SegmentSink) -> None:
        """Mark as deleted what documents replace, before they are written."""
        if self._on_duplicate != "replace":
            return
        ids = [document.id for document in documents]
        if not sink.open_ids.isdisjoint(ids):  # a segment cannot hold an id twice
            sink.seal()
        old = [place for place in self._change.find(ids) if place is not None]
        superseded = sum(self._change.is_new(number) for number, _ in old)
        self._superseded += superseded
        self._added += len(ids) - len(old)
        self._change.report.replaced += len(old) - superseded
        self._change.delete(old)

    def note(self) -> None:
        """Write the counts into the report."""
        report = self._change.report
        report.added += self._added
        report.skip("superseded", self._superseded + self._overwritten)
        report.skip("duplicate", self._skipped)


def _duplicates(ids: Sequence[str]) -> DuplicateIdError:
    shown = ", ".join(repr(name) for name in ids[:5])
    return DuplicateIdError(
        f"{len(ids)} of these ids are in the index already, such as {shown}: nothing was added; replace them with "
        "on_duplicate='replace', or leave them out with on_duplicate='skip'"
    )
