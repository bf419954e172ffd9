"""BM25 on bm25s: every term's contribution to every document is worked out once, and asking adds them up.

Building imports bm25s; asking needs only the arrays (and PyStemmer, for stemmed ones). Scores follow Lucene's variant
(Kamphuis et al. 2020, as in "BM25S", arXiv 2407.03618): a sum over the terms of the question, each as often as it is
there, of ``idf * tf / (tf + k1 * (1 - b + b * length / mean length))``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.errors import ConfigError, CorruptIndexError, IndexNotFoundError
from colstore.extras import require
from colstore.lexical.analyzers import Analyzer, terms_of
from colstore.types import Json

K1, B = 1.5, 0.75
ARRAYS = {"data": "<f4", "indices": "<u4", "indptr": "<u8", "terms": "|u1"}
"""Stored arrays: contributions ``(n,)`` and their documents ``(n,)`` by term, where each term starts ``(terms + 1,)``,
and the terms themselves, one a line, UTF-8."""
_SETTINGS = "bm25.json"


class Bm25:
    """Ranks documents by BM25. Immutable, and safe to share between threads.

    Make one with :meth:`build`, :meth:`load` or :meth:`from_arrays`.
    """

    def __init__(self, ids: Sequence[str], arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Json]) -> None:
        self.ids, self.settings = ids, dict(settings)
        self.arrays = {name: arrays[name] for name in ARRAYS}
        self._places: dict[str, int] | None = None
        self._lock = Lock()
        self._terms = terms_of(self.settings["analyzer"])  # type: ignore[arg-type]  # checked there

    @classmethod
    def build(
        cls, ids: Iterable[str], texts: Iterable[str], *, analyzer: Analyzer = "english", k1: float = K1, b: float = B
    ) -> Self:
        """Index texts.

        Parameters
        ----------
        ids
            A name for each text; ties in score go to the text that came first.
        texts
            As many; read once.
        analyzer
            How a text becomes terms, see :data:`colstore.lexical.analyzers.ANALYZERS`.
        k1, b
            Of BM25.

        Raises
        ------
        MissingDependencyError
            bm25s (or PyStemmer) is not installed.
        ConfigError
            Settings that cannot be, or as many ids as texts there are not.

        Examples
        --------
        >>> bm25 = Bm25.build(["d1", "d2"], ["bees dance for bees", "the moon turns red"])
        >>> [(name, round(score, 3)) for name, score in bm25.search("dancing bees", k=5)]
        [('d1', 0.673)]
        """
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ConfigError(f"k1 must be at least 0 and b between 0 and 1, got {k1!r} and {b!r}")
        names, cut = list(ids), terms_of(analyzer)
        vocabulary: dict[str, int] = {}
        numbers = [[vocabulary.setdefault(term, len(vocabulary)) for term in cut(text)] for text in texts]
        if len(names) != len(numbers):
            raise ConfigError(f"{len(names)} ids for {len(numbers)} texts")
        arrays = {**_contributions(numbers, vocabulary, k1, b), "terms": _packed(vocabulary)}
        settings: dict[str, Json] = {"analyzer": analyzer, "k1": float(k1), "b": float(b), "documents": len(names)}
        return cls(names, arrays, settings)

    def __len__(self) -> int:
        return len(self.ids)

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return the score of every document, ``(documents,)`` float32; 0 where no term of the question is in it."""
        data, indices, indptr = (self.arrays[name] for name in ("data", "indices", "indptr"))
        total = np.zeros(len(self.ids), np.float32)
        places = self._vocabulary()
        for term in self._terms(text):
            if (place := places.get(term)) is not None:
                part = slice(int(indptr[place]), int(indptr[place + 1]))
                total[indices[part]] += data[part]  # a term names a document once
        return total

    def best(self, text: str, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return positions ``(n,)`` and scores ``(n,)`` of the ``k`` best documents that score at all, best first.

        Ties go to the earlier position.
        """
        scores = self.scores(text)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            last = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= last]
        order = found[np.argsort(-scores[found], kind="stable")][:k]
        return order, scores[order]

    def search(self, text: str, k: int) -> list[tuple[str, float]]:
        """Return ids and scores of the ``k`` best documents, best first; fewer where fewer share a term with it."""
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k!r}")
        places, scores = self.best(text, k)
        return [(self.ids[place], score) for place, score in zip(places.tolist(), scores.tolist(), strict=True)]

    def save(self, folder: Path) -> None:
        """Write arrays as ``.npy`` and the rest as JSON; the folder is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        (folder / _SETTINGS).write_text(json.dumps({**self.settings, "ids": list(self.ids)}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; arrays are mapped, not read.

        Raises
        ------
        IndexNotFoundError
            There is none.
        CorruptIndexError
            It is not what was written.
        """
        if not (folder / _SETTINGS).is_file():
            raise IndexNotFoundError(f"{folder}: there is no BM25 index here")
        try:
            settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
            ids = settings.pop("ids")
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CorruptIndexError(f"the BM25 index cannot be read ({error}): build it again", file=folder) from error
        return cls.from_arrays(ids, arrays, settings, where=folder)

    @classmethod
    def from_arrays(
        cls, ids: Sequence[str], arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Json], *, where: Path
    ) -> Self:
        """Return an index over stored arrays, after checking that they fit together.

        Raises
        ------
        CorruptIndexError
            They do not.
        """
        if set(settings) != {"analyzer", "k1", "b", "documents"} or settings["documents"] != len(ids):
            raise CorruptIndexError("the settings of the BM25 index do not fit: build it again", file=where)
        for name, dtype in ARRAYS.items():
            if name not in arrays or arrays[name].dtype.str != dtype or arrays[name].ndim != 1:
                raise CorruptIndexError(f"array {name!r} of the BM25 index is not {dtype}: build it again", file=where)
        indptr, indices = arrays["indptr"], arrays["indices"]
        fits = len(indptr) and indptr[0] == 0 and indptr[-1] == len(indices) == len(arrays["data"])
        if not fits or (indptr[1:] < indptr[:-1]).any() or (len(indices) and int(indices.max()) >= len(ids)):
            raise CorruptIndexError("the arrays of the BM25 index do not fit together: build it again", file=where)
        try:
            made = cls(ids, arrays, settings)
            known = len(made._vocabulary())
        except (ConfigError, UnicodeDecodeError) as error:
            raise CorruptIndexError(f"the BM25 index cannot be: {error}", file=where) from error
        if known != len(indptr) - 1:
            raise CorruptIndexError(f"{known} terms for {len(indptr) - 1} rows: build it again", file=where)
        return made

    def _vocabulary(self) -> dict[str, int]:
        """Return the row of each term; made when first asked for."""
        with self._lock:
            if self._places is None:
                listed = self.arrays["terms"].tobytes().decode()
                self._places = {term: place for place, term in enumerate(listed.split("\n"))} if listed else {}
            return self._places


def _packed(vocabulary: Mapping[str, int]) -> NDArray[np.uint8]:
    """Return the terms in the order of their rows, one a line."""
    return np.frombuffer("\n".join(vocabulary).encode(), dtype=np.uint8)


def _contributions(
    numbers: list[list[int]], vocabulary: dict[str, int], k1: float, b: float
) -> dict[str, NDArray[Any]]:
    """Return the contributions by term, as bm25s works them out."""
    if not vocabulary:
        return {"data": np.zeros(0, "<f4"), "indices": np.zeros(0, "<u4"), "indptr": np.zeros(1, "<u8")}
    require("bm25s", extra="bm25", purpose="BM25")
    import bm25s

    engine = bm25s.BM25(k1=k1, b=b, method="lucene", backend="numpy", csc_backend="numpy")
    engine.index((numbers, dict(vocabulary)), create_empty_token=False, show_progress=False)
    made = engine.scores
    return {
        "data": np.ascontiguousarray(made["data"], "<f4"),
        "indices": np.ascontiguousarray(made["indices"], "<u4"),
        "indptr": np.ascontiguousarray(made["indptr"], "<u8"),
    }
