"""Documents to the arrays that an index stores: the one path of building, adding, replacing and scoring passages.

::

    documents -> encoder -> pooling -> checked float16 vectors -> projection -> codec -> stored arrays
                 encoded_windows       Float16Vectors             Compressor

:func:`encoded_windows` reads and encodes ahead in threads of its own. A build keeps the float16 vectors in parts
(:mod:`colstore.indexing.parts`) until projection and codec are trained; an index that has both takes documents straight
through, by :class:`Ingest`.

From the float16 vectors on, what is stored of a token depends on that token, the projection and the codec alone: not on
the batch, the number of threads or the way in. Pooling depends on the document alone. An encoder promises the same but
for rounding (:class:`colstore.types.Encoder`): a transformer's vectors may differ in their last bits between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec, checked_vectors
from colstore.config import BuildConfig
from colstore.encode import Projection, TransformerEncoder, pool
from colstore.errors import CorpusError
from colstore.indexing.meters import EncodeMeter
from colstore.indexing.read_ahead import Stop, ahead, in_order
from colstore.indexing.segments import Batch, coarse_error, token_runs
from colstore.outputs import encode_documents
from colstore.reports import EXAMPLES_PER_KIND
from colstore.store import AddedTokens
from colstore.types import Document, EncodedText, Encoder

WINDOW_DOCUMENTS = 256
"""Documents that are sorted by length together before they are encoded. Parts end between windows, so a resumed build
has the same windows as an uninterrupted one, hence the same batches and the same bytes."""
BATCH_TOKENS = 16_384
"""Tokens that are compressed together."""

Admit = Callable[[list[Document]], list[Document]]
"""Returns the documents of a window that are to be encoded."""
Windows = Generator[tuple[list[Document], list[EncodedText]], None, None]
Float16Matrix = NDArray[np.float16]


# --- documents -> encoded documents --------------------------------------------------------------------------------


class LazyEncoder:
    """An encoder that is loaded when the first document without vectors comes.

    Parameters
    ----------
    load
        Returns the encoder; called once at most.
    """

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load
        self._encoder: Encoder | None = None

    def get(self) -> Encoder:
        """Return the encoder."""
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder


@dataclass(frozen=True, slots=True)
class _Window:
    """Some documents in a row; ``prepared`` is the encoder's preparation of those without vectors.

    ``tokens`` is 0 where the encoder tells their number only when it has encoded them.
    """

    documents: list[Document]
    encoder: Encoder | None
    prepared: Any
    characters: int
    tokens: int


def encoded_windows(
    documents: Iterator[Document],
    encoder: Encoder | LazyEncoder | None,
    meter: EncodeMeter,
    *,
    admit: Admit | None = None,
) -> Windows:
    """Yield windows of documents with their vectors, in order, while the next ones are encoded.

    One thread reads and tokenises, one runs the model; the caller stores what comes out. Errors of either come out
    here, after the windows before them. Close the generator (``contextlib.closing``) to stop both threads. A corpus of
    a single window, in which there is nothing to overlap, is encoded in the caller's thread.

    Parameters
    ----------
    documents
        Read in another thread once they are more than one window.
    encoder
        ``None`` where every document brings its vectors.
    meter
        Counts tokens, from the model's thread.
    admit
        Chooses, in the reader's thread, which documents of a window are encoded; the others are counted as done.

    Raises
    ------
    CorpusError
        A document without vectors, and no encoder; or whatever reading raises.
    """
    stop = Stop()
    first = list(islice(documents, WINDOW_DOCUMENTS))
    if len(first) < WINDOW_DOCUMENTS:
        yield from _encoded(_windows(iter(first), encoder, meter, admit, stop), meter, stop)
        return
    windows = _windows(chain(first, documents), encoder, meter, admit, stop)
    yield from ahead(_encoded(ahead(windows, consumer=stop), meter, stop), stop)


def _encoded(prepared: Generator[_Window, None, None], meter: EncodeMeter, stop: Stop) -> Windows:
    def tick(tokens: int) -> None:
        stop.check()
        meter.add(tokens=tokens)

    with closing(prepared) as windows:
        for window in windows:
            if window.tokens:
                meter.measure(window.characters, window.tokens)
            texts = _encode(window, tick)
            if not window.tokens:
                meter.measure(window.characters, sum(len(text.vectors) for text in texts))
            yield window.documents, texts


def _windows(
    documents: Iterator[Document],
    encoder: Encoder | LazyEncoder | None,
    meter: EncodeMeter,
    admit: Admit | None,
    stop: Stop,
) -> Generator[_Window, None, None]:
    while read := list(islice(documents, WINDOW_DOCUMENTS)):
        stop.check()  # whoever waited for a slow source may be gone, and what ``admit`` looks at with it
        window = read if admit is None else admit(read)
        characters = sum(len(document.passage) for document in read)
        if len(window) < len(read):
            meter.add(documents=len(read) - len(window))
        if window:
            yield _prepared(window, encoder, characters)


def _prepared(window: list[Document], encoder: Encoder | LazyEncoder | None, characters: int) -> _Window:
    """Tokenise the documents without vectors, where that can be done apart from encoding."""
    bare = [document for document in window if document.vectors is None]
    if not bare:
        return _Window(window, None, [], characters, 0)
    loaded = encoder.get() if isinstance(encoder, LazyEncoder) else encoder
    if loaded is None:
        raise CorpusError(f"document {bare[0].id!r} has no vectors, and there is no model to make them")
    texts = [document.passage for document in bare]
    if isinstance(loaded, TransformerEncoder):
        rows = loaded.prepare_documents(texts)
        return _Window(window, loaded, rows, characters, sum(len(row) for row in rows))
    return _Window(window, loaded, texts, characters, 0)


def _encode(window: _Window, tick: Callable[[int], None]) -> list[EncodedText]:
    """Return the vectors of each document: its own, or the encoder's."""
    encoder = window.encoder
    if encoder is None:
        texts: Sequence[EncodedText] = []
    elif isinstance(encoder, TransformerEncoder):
        texts = encoder.encode_prepared(window.prepared, tick)
    else:
        texts = encode_documents(encoder, window.prepared)
        tick(sum(len(text.vectors) for text in texts))
    rest = iter(texts)
    return [next(rest) if document.vectors is None else EncodedText(document.vectors) for document in window.documents]


# --- encoded documents -> stored arrays ----------------------------------------------------------------------------


class Float16Vectors:
    """Pools the vectors of a document, checks them, and rounds them to float16: what an index is made from.

    Parameters
    ----------
    config
        Says how to pool.
    dim
        Number of components that vectors must have; ``None`` takes it from the first document.
    """

    def __init__(self, config: BuildConfig, dim: int | None) -> None:
        self._config = config
        self.dim = dim

    def __call__(self, document_id: str, vectors: NDArray[Any]) -> Float16Matrix:
        """Return the vectors ``(tokens, dim)`` of a document that goes into the index.

        Raises
        ------
        VectorError
            Vectors of another shape or number of components, not finite, beyond float16, or with rows of zeros.
        """
        checked = checked_vectors(document_id, vectors, self.dim)
        if self._config.pool_factor != 1:
            rows = np.ascontiguousarray(vectors, np.float32)
            checked = checked_vectors(document_id, pool(rows, self._config.pool_factor, self._config.pooling), self.dim)
        self.dim = checked.shape[1]
        return checked


class Compressed(NamedTuple):
    """Stored arrays of some tokens, and how well the codec fits them (see :func:`coarse_error`)."""

    arrays: dict[str, NDArray[Any]]
    fit: AddedTokens


class Compressor:
    """Projects float16 vectors and encodes them with the codec.

    Parameters
    ----------
    codec
        Of the index.
    projection
        Of the index; ``None`` where it has none.
    """

    def __init__(self, codec: Codec, projection: Projection | None) -> None:
        self.codec, self.projection = codec, projection

    @property
    def dim(self) -> int:
        """Number of components of the vectors that go in."""
        return self.codec.centroids.dim if self.projection is None else self.projection.dim_in

    def __call__(self, vectors: NDArray[Any]) -> Compressed:
        """Return the stored arrays of vectors ``(tokens, dim)``, one row a token."""
        rows = vectors.astype(np.float32)
        if self.projection is not None:
            rows = self.projection.apply(rows)
        arrays = self.codec.encode(rows)
        return Compressed(arrays, AddedTokens(len(rows), coarse_error(self.codec, rows, arrays["codes"])))


class _CountsUnreadable(Protocol):
    unreadable: int
    unreadable_examples: list[str]


def note_unreadable(counts: _CountsUnreadable, documents: Sequence[Document], texts: Sequence[EncodedText]) -> None:
    """Count the documents of which most is unknown to the model's vocabulary, and keep the ids of the first few."""
    for document, text in zip(documents, texts, strict=True):
        if text.unreadable:
            counts.unreadable += 1
            if counts.unreadable <= EXAMPLES_PER_KIND:
                counts.unreadable_examples.append(document.id)


class Ingest:
    """The whole path into an index that has a codec.

    Parameters
    ----------
    encoder
        Encodes documents without vectors; without the index's projection. ``None`` where there is none.
    config
        Of the index.
    compressor
        Its codec and projection.
    threads
        Number of threads that compress.
    """

    def __init__(
        self, encoder: Encoder | LazyEncoder | None, config: BuildConfig, compressor: Compressor, threads: int
    ) -> None:
        self._encoder, self._config, self._compressor, self._threads = encoder, config, compressor, threads
        self._vectors = Float16Vectors(config, compressor.dim)
        self.truncated = 0
        """Documents so far that were longer than the model's limit."""
        self.unreadable = 0
        self.unreadable_examples: list[str] = []

    def batches(
        self, documents: Iterator[Document], meter: EncodeMeter, *, admit: Admit | None = None
    ) -> Generator[tuple[list[Document], Batch], None, None]:
        """Yield documents with their stored arrays, in order, some at a time; see :func:`encoded_windows`."""
        with (
            closing(encoded_windows(documents, self._encoder, meter, admit=admit)) as windows,
            closing(in_order(self._compressed, self._pieces(windows), self._threads)) as batches,
        ):
            yield from batches

    def _pieces(self, windows: Windows) -> Iterator[tuple[list[Document], list[Float16Matrix]]]:
        """Yield runs of documents of at most some thousand tokens, with their float16 vectors."""
        for documents, texts in windows:
            self.truncated += sum(text.truncated for text in texts)
            note_unreadable(self, documents, texts)
            matrices = [self._vectors(d.id, text.vectors) for d, text in zip(documents, texts, strict=True)]
            offsets = np.concatenate([[0], np.cumsum([len(matrix) for matrix in matrices])])
            for start, stop in token_runs(offsets, BATCH_TOKENS):
                yield documents[start:stop], matrices[start:stop]

    def _compressed(self, piece: tuple[list[Document], list[Float16Matrix]]) -> tuple[list[Document], Batch]:
        documents, matrices = piece
        arrays, fit = self._compressor(np.concatenate(matrices))
        records = [(document.title, document.text, document.metadata) for document in documents]
        counts = np.array([len(matrix) for matrix in matrices], np.int64)
        return documents, Batch([document.id for document in documents], counts, arrays, records, fit)


def vectors_of(documents: Iterable[Document]) -> int:
    """Return the number of token vectors that documents bring themselves, for the meter."""
    return sum(len(document.vectors) for document in documents if document.vectors is not None)
