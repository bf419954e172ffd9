"""Documents to the arrays that an index stores: the one path of building, adding, replacing and scoring passages.

::

    documents -> passages -> encoder -> pooling -> checked float16 vectors -> projection -> codec -> stored arrays
                 encoded_windows                   Float16Vectors             Compressor

A document that is too long for the model is encoded as several passages (:mod:`colstore.indexing.split`), each like a
document of its own; from then on they stay together, as the token vectors of one document.

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
from colstore.config import BuildConfig, PassageConfig
from colstore.encode import Projection, TransformerEncoder, pool
from colstore.errors import CorpusError
from colstore.indexing.meters import EncodeMeter
from colstore.indexing.read_ahead import Stop, ahead, in_order
from colstore.indexing.segments import Batch, coarse_error, token_runs
from colstore.indexing.split import PassageSplitter, Piece, token_counter
from colstore.outputs import encode_documents
from colstore.reports import EXAMPLES_PER_KIND
from colstore.store import AddedTokens, Passages
from colstore.types import Document, EncodedText, Encoder

WINDOW_DOCUMENTS = 256
"""Documents that are sorted by length together before they are encoded. Parts end between windows, so a resumed build
has the same windows as an uninterrupted one, hence the same batches and the same bytes."""
WINDOW_CHARACTERS = 1_048_576
"""Characters of text from which a window of documents with passages is encoded in parts, so that memory is bounded."""
BATCH_TOKENS = 16_384
"""Tokens that are compressed together."""

Admit = Callable[[list[Document]], list[Document]]
"""Returns the documents of a window that are to be encoded."""
Float16Matrix = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """Token vectors of one document.

    Parameters
    ----------
    passages
        The vectors of each of its passages, ``(tokens, dim)``.
    spans
        Where each passage begins and ends in the text, in characters.
    truncated
        Whether a passage was longer than the model's limit.
    unreadable
        Whether most of more than half of the passages is unknown to the model's vocabulary.
    """

    passages: Sequence[NDArray[Any]]
    spans: Sequence[tuple[int, int]]
    truncated: bool = False
    unreadable: bool = False

    @property
    def vectors(self) -> NDArray[Any]:
        """The vectors of all passages, one after another."""
        return self.passages[0] if len(self.passages) == 1 else np.concatenate(self.passages)


Windows = Generator[tuple[list[Document], list[EncodedDocument]], None, None]


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
    """Some documents in a row, and the passages of those without vectors; ``prepared`` is the encoder's preparation.

    ``tokens`` is 0 where the encoder tells their number only when it has encoded them.
    """

    documents: list[Document]
    encoder: Encoder | None
    pieces: list[list[Piece]]
    prepared: Any
    characters: int
    tokens: int


def encoded_windows(
    documents: Iterator[Document],
    encoder: Encoder | LazyEncoder | None,
    meter: EncodeMeter,
    *,
    admit: Admit | None = None,
    passages: PassageConfig | None = None,
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
    passages
        How to split documents that are too long for the model; ``None`` leaves each of them one passage.

    Raises
    ------
    CorpusError
        A document without vectors, and no encoder; or whatever reading raises.
    """
    stop = Stop()
    first = list(islice(documents, WINDOW_DOCUMENTS))
    if len(first) < WINDOW_DOCUMENTS:
        yield from _encoded(_windows(iter(first), encoder, meter, admit, stop, passages), meter, stop)
        return
    windows = _windows(chain(first, documents), encoder, meter, admit, stop, passages)
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
    passages: PassageConfig | None,
) -> Generator[_Window, None, None]:
    while read := list(islice(documents, WINDOW_DOCUMENTS)):
        stop.check()  # whoever waited for a slow source may be gone, and what ``admit`` looks at with it
        window = read if admit is None else admit(read)
        left_out = sum(len(document.passage) for document in read) - sum(len(document.passage) for document in window)
        if len(window) < len(read):
            meter.add(documents=len(read) - len(window))
        for part in [window] if passages is None else _parts(window):
            stop.check()
            yield _prepared(part, encoder, left_out, passages)
            left_out = 0


def _parts(window: list[Document]) -> Iterator[list[Document]]:
    """Yield the documents of a window in runs of at most so many characters, or of one longer document."""
    run: list[Document] = []
    characters = 0
    for document in window:
        length = len(document.text)
        if run and characters + length > WINDOW_CHARACTERS:
            yield run
            run, characters = [], 0
        run.append(document)
        characters += length
    if run:
        yield run


def _prepared(
    window: list[Document], encoder: Encoder | LazyEncoder | None, left_out: int, passages: PassageConfig | None
) -> _Window:
    """Tokenise the documents without vectors, where that can be done apart from encoding."""
    characters = left_out + sum(len(document.passage) for document in window)
    bare = [document for document in window if document.vectors is None]
    if not bare:
        return _Window(window, None, [], [], characters, 0)
    loaded = encoder.get() if isinstance(encoder, LazyEncoder) else encoder
    if loaded is None:
        raise CorpusError(f"document {bare[0].id!r} has no vectors, and there is no model to make them")
    pieces = _pieces(bare, loaded, passages)
    texts = [piece.text for each in pieces for piece in each]
    if isinstance(loaded, TransformerEncoder):
        rows = loaded.prepare_documents(texts)
        return _Window(window, loaded, pieces, rows, characters, sum(len(row) for row in rows))
    return _Window(window, loaded, pieces, texts, characters, 0)


def _pieces(documents: list[Document], encoder: Encoder, passages: PassageConfig | None) -> list[list[Piece]]:
    """Return the passages of each document; one each where the encoder cannot count tokens."""
    counter = None if passages is None else token_counter(encoder)
    if passages is None or counter is None:
        return [[Piece(document.passage, 0, len(document.text))] for document in documents]
    return PassageSplitter(counter, passages).split(documents)


def _encode(window: _Window, tick: Callable[[int], None]) -> list[EncodedDocument]:
    """Return the vectors of each document: its own, or the encoder's."""
    encoder = window.encoder
    if encoder is None:
        texts: Sequence[EncodedText] = []
    elif isinstance(encoder, TransformerEncoder):
        texts = encoder.encode_prepared(window.prepared, tick)
    else:
        texts = encode_documents(encoder, window.prepared)
        tick(sum(len(text.vectors) for text in texts))
    rest, pieces = iter(texts), iter(window.pieces)
    return [
        _joined(next(pieces), rest)
        if document.vectors is None
        else EncodedDocument([document.vectors], [(0, len(document.text))])
        for document in window.documents
    ]


def _joined(pieces: list[Piece], texts: Iterator[EncodedText]) -> EncodedDocument:
    """Return a document of the next encoded texts."""
    parts = [next(texts) for _ in pieces]
    spans = [(piece.start, piece.end) for piece in pieces]
    return EncodedDocument(
        [part.vectors for part in parts],
        spans,
        truncated=any(part.truncated for part in parts),
        unreadable=2 * sum(part.unreadable for part in parts) > len(parts),
    )


# --- encoded documents -> stored arrays ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Float16Documents:
    """What goes into an index of some documents: the vectors of each, ``(tokens, dim)``, and their passages."""

    matrices: list[Float16Matrix]
    passages: Passages

    @property
    def stored_passages(self) -> Passages | None:
        """The passages; ``None`` where each document is one."""
        return self.passages if self.passages.several else None


class Float16Vectors:
    """Pools the vectors of a passage, checks them, and rounds them to float16: what an index is made from.

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
        """Return the vectors ``(tokens, dim)`` of a passage of a document that go into the index.

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

    def of(self, documents: Sequence[Document], encoded: Sequence[EncodedDocument]) -> Float16Documents:
        """Return what goes into the index of documents; errors as when called with their vectors."""
        parts = [
            [self(document.id, vectors) for vectors in each.passages]
            for document, each in zip(documents, encoded, strict=True)
        ]
        passages = Passages.of([[len(part) for part in each] for each in parts], [each.spans for each in encoded])
        return Float16Documents([each[0] if len(each) == 1 else np.concatenate(each) for each in parts], passages)


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


def note_unreadable(counts: _CountsUnreadable, documents: Sequence[Document], texts: Sequence[EncodedDocument]) -> None:
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
        """Documents so far that were longer than the model's limit, and lost their ends."""
        self.unreadable = 0
        self.unreadable_examples: list[str] = []
        self.passages = 0
        """Passages so far."""

    def batches(
        self, documents: Iterator[Document], meter: EncodeMeter, *, admit: Admit | None = None
    ) -> Generator[tuple[list[Document], Batch], None, None]:
        """Yield documents with their stored arrays, in order, some at a time; see :func:`encoded_windows`."""
        with (
            closing(
                encoded_windows(documents, self._encoder, meter, admit=admit, passages=self._config.passages)
            ) as windows,
            closing(in_order(self._compressed, self._pieces(windows), self._threads)) as batches,
        ):
            yield from batches

    def _pieces(self, windows: Windows) -> Iterator[tuple[list[Document], Float16Documents]]:
        """Yield runs of documents of at most some thousand tokens, with their float16 vectors."""
        for documents, texts in windows:
            self.truncated += sum(text.truncated for text in texts)
            note_unreadable(self, documents, texts)
            found = self._vectors.of(documents, texts)
            self.passages += len(found.passages.tokens)
            offsets = np.concatenate([[0], np.cumsum([len(matrix) for matrix in found.matrices])])
            for start, stop in token_runs(offsets, BATCH_TOKENS):
                passages = found.passages.between(start, stop)
                yield documents[start:stop], Float16Documents(found.matrices[start:stop], passages)

    def _compressed(self, piece: tuple[list[Document], Float16Documents]) -> tuple[list[Document], Batch]:
        documents, found = piece
        arrays, fit = self._compressor(np.concatenate(found.matrices))
        records = [(document.title, document.text, document.metadata) for document in documents]
        counts = np.array([len(matrix) for matrix in found.matrices], np.int64)
        ids = [document.id for document in documents]
        return documents, Batch(ids, counts, arrays, records, fit, found.stored_passages)


def vectors_of(documents: Iterable[Document]) -> int:
    """Return the number of token vectors that documents bring themselves, for the meter."""
    return sum(len(document.vectors) for document in documents if document.vectors is not None)
