"""New centroids for an index: trained on what it stores, and every document encoded with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from colstore.codec import Codec
from colstore.indexing.ingest import Compressor
from colstore.indexing.meters import StageMeter
from colstore.indexing.read_ahead import in_order
from colstore.indexing.segments import Batch, mean_error
from colstore.indexing.train import Block, TokenVectors, train_codec
from colstore.kernels.calls import Ints
from colstore.reports import Listener
from colstore.snapshot.live_segment import LiveSegment, live_counts
from colstore.store import AddedTokens
from colstore.threads import available_cores
from colstore.types import FloatMatrix
from colstore.updating.change import Change
from colstore.updating.merge import check_same_content, content, live_batches


def retrain(change: Change, listener: Listener | None = None) -> None:
    """Train a codec on the live documents of a change, and put segments encoded with it in the place of all others.

    From an untrained index this is what a build does: the vectors are the same float16 ones. From a codec of 8 bits or
    less each component is rounded a second time, which the report's ``loss`` says.

    Parameters
    ----------
    change
        With at least one live document. It commits the new codec together with its other changes.
    listener
        Called with the progress.

    Raises
    ------
    StorageError
        The new segments do not hold what the old ones held.
    """
    sources, old = list(change.sources), change.codec
    vectors = TokenVectors(live_counts(sources)[1], old.centroids.dim, lambda: _blocks(sources, old))
    rounds = StageMeter(listener, "train", "rounds", None)
    codec = train_codec(vectors, None, change.config, available_cores(), rounds.of, rotation=old.centroids.rotation)
    again = _Again(change, sources, codec, StageMeter(listener, "compress", "tokens", vectors.tokens))
    before = content(again.written(), again.rewritten_arrays)
    check_same_content(before, content(again.read_back(), again.rewritten_arrays), live_counts(sources))
    change.report.merged += len(sources)
    change.report.loss = again.loss if change.is_trained else None
    change.report.trained = True
    change.take_codec(codec, again.segments, again.error)


class _Encoded(NamedTuple):
    """A batch as it was stored before, as it is stored now, and how well the new codec fits it."""

    before: Batch
    after: Batch
    fit: AddedTokens
    loss: AddedTokens


class _Again:
    """Encodes live documents again, and sums up what that costs in accuracy."""

    def __init__(self, change: Change, sources: list[LiveSegment], codec: Codec, meter: StageMeter) -> None:
        self._change, self._sources, self._meter = change, sources, meter
        self._old, self._codec, self._compressor = change.codec, codec, Compressor(codec, None)
        self._first = len(change.sources)
        self._fits: list[AddedTokens] = []
        self._losses: list[AddedTokens] = []

    @property
    def rewritten_arrays(self) -> frozenset[str]:
        """Names of the token arrays whose bytes differ before and after."""
        if self._old.bits == self._codec.bits == 16:
            return frozenset({"codes"})
        return frozenset({*self._old.token_arrays, *self._codec.token_arrays})

    def written(self) -> Iterator[Batch]:
        """Write all live documents with the new codec, and yield them as they were before."""
        batches = (batch for source in self._sources for batch in live_batches(source, self._old))
        done = 0
        with (
            self._change.sink(self._codec) as sink,
            closing(in_order(self._encoded, batches, available_cores())) as encoded,
        ):
            for item in encoded:
                sink.append(item.after)
                self._fits.append(item.fit)
                self._losses.append(item.loss)
                done += item.fit.tokens
                self._meter(done, done)
                yield item.before
            sink.seal()

    def _encoded(self, batch: Batch) -> _Encoded:
        vectors = self._old.decode(batch.arrays)
        arrays, fit = self._compressor(vectors)
        loss = AddedTokens(len(vectors), _mean_loss(vectors, self._codec.decode(arrays)))
        return _Encoded(batch, replace(batch, arrays=arrays, added=None), fit, loss)

    @property
    def segments(self) -> list[LiveSegment]:
        """The new segments."""
        return self._change.sources[self._first :]

    def read_back(self) -> Iterator[Batch]:
        """Yield the documents of the new segments."""
        return (batch for source in self.segments for batch in live_batches(source, self._codec))

    @property
    def error(self) -> float:
        """Mean of 1 - cosine between the tokens and their new centroids."""
        mean = mean_error(self._fits)
        return 0.0 if mean is None else mean.error

    @property
    def loss(self) -> float | None:
        """Mean of 1 - cosine between the tokens as decoded before and after."""
        mean = mean_error(self._losses)
        return None if mean is None else mean.error


def _blocks(sources: list[LiveSegment], codec: Codec) -> Iterator[Block]:
    for source in sources:
        for batch in live_batches(source, codec):

            def rows_at(numbers: Ints, batch: Batch = batch) -> FloatMatrix:
                return codec.decode({name: array[numbers] for name, array in batch.arrays.items()})

            yield int(batch.counts.sum()), rows_at


def _mean_loss(before: FloatMatrix, after: FloatMatrix) -> float:
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return max(0.0, float(1.0 - (np.einsum("ij,ij->i", before, after) / np.maximum(lengths, 1e-30)).mean()))
