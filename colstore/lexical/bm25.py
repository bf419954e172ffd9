"""BM25 with eager scoring: term contributions are computed once per document, and a search adds them up.

Building imports bm25s. Searching needs only the arrays, and PyStemmer where the terms are stemmed. Scores follow
Lucene's variant (Kamphuis et al. 2020, as in "BM25S", arXiv 2407.03618): the sum, over the terms of the query and with
repetitions, of ``idf * tf / (tf + k1 * (1 - b + b * length / mean length))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorruptIndexError
from colstore.extras import require
from colstore.lexical.analyzers import Analyzer, term_extractor
from colstore.types import Json

K1, B = 1.5, 0.75
ARRAYS = {"data": "<f4", "indices": "<u4", "indptr": "<u8", "terms": "|u1"}
"""Stored arrays and their dtypes: ``data`` and ``indices``, ``(n,)``, hold the contributions and the documents that
they belong to, sorted by term; ``indptr``, ``(terms + 1,)``, holds the start of each term in them; ``terms`` holds the
terms in UTF-8, one per line."""


class Bm25:
    """Ranks documents by BM25. Immutable, and safe to share between threads.

    Create one with :meth:`build` or :meth:`from_arrays`.

    Parameters
    ----------
    ids
        The id of each document, ``(documents,)``.
    arrays
        The arrays of :data:`ARRAYS`.
    settings
        ``analyzer``, ``k1``, ``b`` and ``documents`` (their number).
    """

    def __init__(self, ids: Sequence[str], arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Json]) -> None:
        self.ids, self.settings = ids, dict(settings)
        self.arrays = {name: arrays[name] for name in ARRAYS}
        self._row_of_term: dict[str, int] | None = None
        self._lock = Lock()
        self._extract = term_extractor(self.settings["analyzer"])  # type: ignore[arg-type]  # checked there

    @classmethod
    def build(
        cls, ids: Iterable[str], texts: Iterable[str], *, analyzer: Analyzer = "english", k1: float = K1, b: float = B
    ) -> Self:
        """Build a BM25 index of texts.

        Parameters
        ----------
        ids
            The id of each text. Texts with equal scores rank in this order.
        texts
            As many texts as ids; they are read once.
        analyzer
            How texts are split into terms, see :data:`colstore.lexical.analyzers.ANALYZERS`.
        k1
            Saturation of the term frequency, at least 0.
        b
            Strength of the length normalisation, from 0 to 1.

        Raises
        ------
        MissingDependencyError
            bm25s (or PyStemmer) is not installed.
        ConfigError
            A setting is invalid, or ids and texts differ in number.

        Examples
        --------
        >>> bm25 = Bm25.build(["d1", "d2"], ["bees dance for bees", "the moon turns red"])
        >>> [(name, round(score, 3)) for name, score in bm25.search("dancing bees", k=5)]
        [('d1', 0.673)]
        """
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigError(f"k1 must be at least 0 and b between 0 and 1, got {k1!r} and {b!r}")
        names, extract = list(ids), term_extractor(analyzer)
        vocabulary: dict[str, int] = {}
        term_numbers = [[vocabulary.setdefault(term, len(vocabulary)) for term in extract(text)] for text in texts]
        if len(names) != len(term_numbers):
            raise ConfigError(f"ids and texts differ in number: {len(names)} ids for {len(term_numbers)} texts")
        arrays = {**_contributions(term_numbers, vocabulary, k1, b), "terms": _packed(vocabulary)}
        settings: dict[str, Json] = {"analyzer": analyzer, "k1": float(k1), "b": float(b), "documents": len(names)}
        return cls(names, arrays, settings)

    def __len__(self) -> int:
        return len(self.ids)

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return the score of every document, ``(documents,)`` float32; 0 where it shares no term with the query."""
        data, indices, indptr = (self.arrays[name] for name in ("data", "indices", "indptr"))
        total = np.zeros(len(self.ids), np.float32)
        row_of_term = self._vocabulary()
        for term in self._extract(text):
            if (row := row_of_term.get(term)) is not None:
                part = slice(int(indptr[row]), int(indptr[row + 1]))
                total[indices[part]] += data[part]  # a document occurs at most once in the row of a term
        return total

    def best(self, text: str, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the positions ``(n,)`` and scores ``(n,)`` of the best documents, best first.

        There are at most ``k``, and only documents with a score above 0. Equal scores rank by position.
        """
        scores = self.scores(text)
        positions = np.flatnonzero(scores > 0)
        if len(positions) > k:
            lowest = np.partition(scores[positions], len(positions) - k)[len(positions) - k]
            positions = positions[scores[positions] >= lowest]
        ranked = positions[np.argsort(-scores[positions], kind="stable")][:k]
        return ranked, scores[ranked]

    def search(self, text: str, k: int) -> list[tuple[str, float]]:
        """Return the ids and scores of the ``k`` best documents, best first.

        There are fewer than ``k`` where fewer documents share a term with the query.

        Raises
        ------
        ConfigError
            ``k`` is below 1.
        """
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k!r}")
        positions, scores = self.best(text, k)
        return [(self.ids[i], score) for i, score in zip(positions.tolist(), scores.tolist(), strict=True)]

    @classmethod
    def from_arrays(
        cls, ids: Sequence[str], arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Json], *, where: Path
    ) -> Self:
        """Return an index over stored arrays, after checking that they fit together.

        Parameters
        ----------
        ids, arrays, settings
            As for the class.
        where
            The file that the arrays come from, for error messages.

        Raises
        ------
        CorruptIndexError
            The arrays or the settings do not fit together.
        """
        if set(settings) != {"analyzer", "k1", "b", "documents"} or settings["documents"] != len(ids):
            raise CorruptIndexError(
                "the settings of the BM25 index do not match its documents: build it again", file=where
            )
        for name, dtype in ARRAYS.items():
            if name not in arrays or arrays[name].dtype.str != dtype or arrays[name].ndim != 1:
                raise CorruptIndexError(f"array {name!r} of the BM25 index is not {dtype}: build it again", file=where)
        indptr, indices = arrays["indptr"], arrays["indices"]
        fits = len(indptr) and indptr[0] == 0 and indptr[-1] == len(indices) == len(arrays["data"])
        if not fits or (indptr[1:] < indptr[:-1]).any() or (len(indices) and int(indices.max()) >= len(ids)):
            raise CorruptIndexError("the arrays of the BM25 index do not fit together: build it again", file=where)
        try:
            index = cls(ids, arrays, settings)
            terms = len(index._vocabulary())
        except (ConfigError, UnicodeDecodeError) as error:
            raise CorruptIndexError(f"the BM25 index is invalid: {error}", file=where) from error
        if terms != len(indptr) - 1:
            raise CorruptIndexError(
                f"the BM25 index has {terms} terms for {len(indptr) - 1} rows: build it again", file=where
            )
        return index

    def _vocabulary(self) -> dict[str, int]:
        """Return the row of each term; the mapping is made on first use."""
        with self._lock:
            if self._row_of_term is None:
                text = self.arrays["terms"].tobytes().decode()
                self._row_of_term = {term: row for row, term in enumerate(text.split("\n"))} if text else {}
            return self._row_of_term


def _packed(vocabulary: Mapping[str, int]) -> NDArray[np.uint8]:
    """Return the terms in the order of their rows, one per line, as UTF-8 bytes ``(n,)``."""
    return np.frombuffer("\n".join(vocabulary).encode(), dtype=np.uint8)


def _contributions(
    term_numbers: list[list[int]], vocabulary: dict[str, int], k1: float, b: float
) -> dict[str, NDArray[Any]]:
    """Return the arrays of :data:`ARRAYS` except the terms, as computed by bm25s."""
    if not vocabulary:
        return {"data": np.zeros(0, "<f4"), "indices": np.zeros(0, "<u4"), "indptr": np.zeros(1, "<u8")}
    require("bm25s", extra="bm25", purpose="BM25")
    import bm25s

    engine = bm25s.BM25(k1=k1, b=b, method="lucene", backend="numpy", csc_backend="numpy")
    engine.index((term_numbers, dict(vocabulary)), create_empty_token=False, show_progress=False)
    scores = engine.scores
    return {
        "data": np.ascontiguousarray(scores["data"], "<f4"),
        "indices": np.ascontiguousarray(scores["indices"], "<u4"),
        "indptr": np.ascontiguousarray(scores["indptr"], "<u8"),
    }
