"""Documents to token vectors: reading, tokenising, the model, and pooling, each while the next is at work."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from colstore.encode import TransformerEncoder
from colstore.errors import CorpusError
from colstore.indexing.meters import EncodeMeter
from colstore.indexing.read_ahead import Stop, ahead
from colstore.outputs import encode_documents
from colstore.types import Document, EncodedText, Encoder

WINDOW_DOCUMENTS = 256
"""Documents that are sorted by length together before they are encoded. Parts end between windows, so a resumed build
has the same windows as an uninterrupted one, hence the same batches and the same bytes."""


@dataclass(frozen=True, slots=True)
class Window:
    """Some documents in a row; ``prepared`` is what their encoder has made of those without vectors.

    ``tokens`` is 0 where the encoder tells their number only when it has encoded them.
    """

    documents: list[Document]
    prepared: Any
    characters: int
    tokens: int


def encoded_windows(
    documents: Iterator[Document], encoder: Encoder | None, meter: EncodeMeter
) -> Generator[tuple[list[Document], list[EncodedText]], None, None]:
    """Yield windows of documents with their vectors, in order, while the next ones are being made.

    One thread reads and tokenises, one runs the model; the caller stores what comes out.

    Parameters
    ----------
    documents
        Read in another thread from now on.
    encoder
        ``None`` where every document brings its vectors.
    meter
        Counts tokens, from the model's thread.

    Raises
    ------
    CorpusError
        A document without vectors, and no encoder; or whatever reading raises.
    """
    stop = Stop()
    yield from ahead(_encoded(documents, encoder, meter, stop), stop)


def _encoded(
    documents: Iterator[Document], encoder: Encoder | None, meter: EncodeMeter, stop: Stop
) -> Generator[tuple[list[Document], list[EncodedText]], None, None]:
    def tick(tokens: int) -> None:
        stop.check()
        meter.add(tokens=tokens)

    with closing(ahead(_windows(documents, encoder), consumer=stop)) as windows:
        for window in windows:
            if window.tokens:
                meter.measure(window.characters, window.tokens)
            made = _encode(window, encoder, tick)
            if not window.tokens:
                meter.measure(window.characters, sum(len(text.vectors) for text in made))
            yield window.documents, made


def _windows(documents: Iterator[Document], encoder: Encoder | None) -> Generator[Window, None, None]:
    while window := list(islice(documents, WINDOW_DOCUMENTS)):
        bare = [document for document in window if document.vectors is None]
        if bare and encoder is None:
            raise CorpusError(f"document {bare[0].id!r} has no vectors, and there is no model to make them")
        texts = [document.passage for document in bare]
        characters = sum(len(document.passage) for document in window)
        if isinstance(encoder, TransformerEncoder):
            rows = encoder.prepare_documents(texts)
            yield Window(window, rows, characters, sum(len(row) for row in rows))
        else:
            yield Window(window, texts, characters, 0)


def _encode(window: Window, encoder: Encoder | None, tick: Callable[[int], None]) -> list[EncodedText]:
    """Return the vectors of each document: its own, or the encoder's."""
    if not window.prepared or encoder is None:
        made: list[EncodedText] = []
    elif isinstance(encoder, TransformerEncoder):
        made = encoder.encode_prepared(window.prepared, tick)
    else:
        made = encode_documents(encoder, window.prepared)
        tick(sum(len(text.vectors) for text in made))
    return _in_order(window.documents, made)


def _in_order(documents: Sequence[Document], made: Sequence[EncodedText]) -> list[EncodedText]:
    rest = iter(made)
    return [next(rest) if document.vectors is None else EncodedText(document.vectors) for document in documents]
