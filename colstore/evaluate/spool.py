"""Token vectors and passages of a corpus on disk, encoded once and read by every way to search that is compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorpusError, StorageError, VectorError
from colstore.indexing.ingest import encoded_windows
from colstore.indexing.meters import CorpusSize, EncodeMeter
from colstore.reports import Listener
from colstore.types import Document, Encoder, FloatMatrix, Json

VECTORS, PASSAGES, TABLE = "vectors.f32", "passages.jsonl", "spool.json"
BLOCK_TOKENS = 32_768
"""Number of token vectors that are in memory at a time."""


class Spool:
    """The token vectors of a corpus in float32, one document after the other, and its passages.

    Parameters
    ----------
    folder
        The folder of its three files.
    table
        The contents of ``spool.json``: ``ids``, ``lengths`` (tokens of each document), ``dim``, ``seconds`` (of
        encoding; 0 where the documents brought vectors), ``truncated``, ``has_texts``, and the ``key`` that identifies
        corpus and model.
    """

    def __init__(self, folder: Path, table: dict[str, Any]) -> None:
        self.folder, self.table = folder, table
        self.ids: list[str] = table["ids"]
        self.dim: int = table["dim"]
        self.offsets = np.concatenate([[0], np.cumsum(table["lengths"], dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """Number of token vectors."""
        return int(self.offsets[-1])

    @property
    def bytes(self) -> int:
        """Bytes of all token vectors."""
        return self.tokens * self.dim * 4

    @property
    def encode_seconds(self) -> float:
        """Seconds that encoding the documents took; 0 where they brought vectors."""
        return float(self.table["seconds"])

    @property
    def has_texts(self) -> bool:
        """Whether every document has a passage."""
        return bool(self.table["has_texts"])

    def blocks(self, tokens: int = BLOCK_TOKENS) -> Iterator[tuple[int, FloatMatrix, NDArray[np.int64]]]:
        """Yield consecutive documents, about ``tokens`` token vectors at a time.

        Yields
        ------
        tuple of int, FloatMatrix and NDArray
            The number of the first document, the vectors ``(tokens, dim)``, and the first row of each document,
            ``(documents,)``.
        """
        first = 0
        while first < len(self):
            fits = int(np.searchsorted(self.offsets, self.offsets[first] + tokens, side="right")) - 1
            stop = max(first + 1, fits)
            yield first, self._rows(first, stop), self.offsets[first:stop] - self.offsets[first]
            first = stop

    def vectors(self) -> Iterator[FloatMatrix]:
        """Yield the vectors of each document, ``(tokens, dim)`` float32."""
        for _, rows, starts in self.blocks():
            yield from np.split(rows, starts[1:])

    def passages(self) -> Iterator[str]:
        """Yield the passage of each document."""
        with (self.folder / PASSAGES).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    def _rows(self, first: int, stop: int) -> FloatMatrix:
        begin, end = int(self.offsets[first]), int(self.offsets[stop])
        count = (end - begin) * self.dim
        rows = np.fromfile(self.folder / VECTORS, np.float32, count, offset=begin * self.dim * 4)
        if len(rows) != count:
            raise StorageError(f"{self.folder / VECTORS}: is shorter than it should be: remove it and start again")
        return rows.reshape(-1, self.dim)


def write_spool(
    folder: Path,
    documents: Iterator[Document],
    encoder: Encoder | None,
    key: dict[str, Json],
    progress: Listener | None = None,
    size: CorpusSize | None = None,
) -> Spool:
    """Encode documents into a folder and return the spool.

    Parameters
    ----------
    folder
        An empty folder, or one with an unfinished spool; it is created if necessary.
    documents
        The documents, read as a stream. Those that bring vectors are not encoded.
    encoder
        Encodes documents without vectors; ``None`` where all documents bring vectors.
    key
        Identifies corpus and model; it is stored in the spool, see :func:`open_spool`.
    progress
        Called from time to time with the number of documents and tokens.
    size
        Size of the corpus for the progress; ``None`` where it is unknown.

    Raises
    ------
    CorpusError
        There are no documents, or one cannot be read.
    VectorError
        Documents have vectors of different dimensions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).unlink(missing_ok=True)
    table: dict[str, Any] = {"ids": [], "lengths": [], "dim": 0, "truncated": 0, "encoded": 0, "has_texts": True}
    table["unreadable"] = 0
    start = perf_counter()
    meter = EncodeMeter(progress, size)
    with (
        (folder / VECTORS).open("wb") as rows,
        (folder / PASSAGES).open("w", encoding="utf-8") as passages,
        closing(encoded_windows(documents, encoder, meter)) as windows,
    ):
        for window, encoded in windows:
            for document, text in zip(window, encoded, strict=True):
                np.ascontiguousarray(text.vectors, np.float32).tofile(rows)
                passages.write(json.dumps(document.passage) + "\n")
                _register(table, document, text.vectors)
                table["truncated"] += text.truncated
                table["unreadable"] += text.unreadable
            meter.add(documents=len(window))
    if not table["ids"]:
        raise CorpusError("the corpus contains no documents")
    table |= {"key": key, "seconds": perf_counter() - start if table["encoded"] else 0.0}
    (folder / TABLE).write_text(json.dumps(table), encoding="utf-8")
    return Spool(folder, table)


def open_spool(folder: Path, key: dict[str, Json]) -> Spool | None:
    """Return the spool in a folder; ``None`` where the folder is empty or the spool is unfinished.

    Parameters
    ----------
    folder
        The folder; it need not exist.
    key
        The key that the spool must have been written with.

    Raises
    ------
    ConfigError
        The folder holds other files, or the vectors of another corpus or model.
    """
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    other = present - {VECTORS, PASSAGES, TABLE}
    if other:
        raise ConfigError(f"{folder}: holds other files ({min(other)}): name an empty folder")
    if TABLE not in present:
        return None
    try:
        table = json.loads((folder / TABLE).read_text(encoding="utf-8"))
        is_same = table["key"] == key
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder / TABLE}: does not describe vectors ({error}): remove it") from error
    if not is_same:
        raise ConfigError(f"{folder}: holds vectors of another corpus or model: name another folder, or remove it")
    return Spool(folder, table)


def _register(table: dict[str, Any], document: Document, vectors: NDArray[Any]) -> None:
    """Add a document to the table."""
    table["dim"] = table["dim"] or vectors.shape[1]
    if vectors.shape[1] != table["dim"]:
        raise VectorError(
            f"document {document.id!r} has vectors of {vectors.shape[1]} components, but earlier documents have "
            f"{table['dim']}"
        )
    table["ids"].append(document.id)
    table["lengths"].append(len(vectors))
    table["encoded"] += document.vectors is None
    table["has_texts"] = table["has_texts"] and bool(document.passage)
