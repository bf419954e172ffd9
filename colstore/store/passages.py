"""The passages of documents: how a segment keeps a document of several parts, each of which is scored by itself.

A segment in which every document is a single passage keeps nothing of all this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from colstore.errors import VectorError
from colstore.store.ids import offset_dtype

NAMES = ("doc_passages", "passage_offsets", "passage_spans")
"""The arrays of a segment's passages, which are there together or not at all."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """The passages of some documents in a row.

    Parameters
    ----------
    counts
        Number of passages of each document, at least 1, ``(documents,)`` int64.
    tokens
        Number of tokens of each passage, ``(passages,)`` int64.
    spans
        Where each passage begins and ends in its document's text, in characters, ``(passages, 2)`` int64. For the
        passage of a document that has only one it is ``(0, 0)``, which stands for the whole text.
    """

    counts: Counts
    tokens: Counts
    spans: Counts

    @classmethod
    def of(cls, lengths: Sequence[Sequence[int]], spans: Sequence[Sequence[tuple[int, int]]]) -> Self:
        """Return the passages of documents.

        Parameters
        ----------
        lengths
            For each document, the number of tokens of each of its passages.
        spans
            For each document, where each of its passages begins and ends in the text.
        """
        counts = np.array([len(each) for each in lengths], np.int64)
        tokens = np.array([count for each in lengths for count in each], np.int64)
        places = [span if len(each) > 1 else (0, 0) for each in spans for span in each]
        return cls(counts, tokens, np.array(places, np.int64).reshape(-1, 2))

    @classmethod
    def whole(cls, token_counts: Sequence[int] | NDArray[np.integer]) -> Self:
        """Return the passages of documents that have one each, of these numbers of tokens."""
        tokens = np.asarray(token_counts, np.int64)
        return cls(np.ones(len(tokens), np.int64), tokens, np.zeros((len(tokens), 2), np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Passages]) -> Self:
        """Return the passages of several runs of documents, one after another."""
        none = cls.whole([])
        every = [none, *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in every]) for name in ("counts", "tokens", "spans")))

    @property
    def several(self) -> bool:
        """Whether a document has more than one passage."""
        return bool((self.counts != 1).any())

    def only(self, chosen: NDArray[np.bool_]) -> Passages:
        """Return the passages of the documents for which ``chosen``, ``(documents,)``, is true."""
        rows = np.repeat(chosen, self.counts)
        return Passages(self.counts[chosen], self.tokens[rows], self.spans[rows])

    def between(self, start: int, stop: int) -> Passages:
        """Return the passages of the documents ``start..stop``."""
        first, end = int(self.counts[:start].sum()), int(self.counts[:stop].sum())
        return Passages(self.counts[start:stop], self.tokens[first:end], self.spans[first:end])

    def table(self) -> Counts:
        """Return one row for each passage, ``(passages, 4)`` int64: number in its document, tokens, begin, end."""
        starts = np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        numbers = np.arange(len(self.tokens), dtype=np.int64) - starts
        return np.column_stack([numbers, self.tokens, self.spans])

    def check(self, token_counts: Sequence[int]) -> None:
        """Refuse passages that are not those of documents with these numbers of tokens.

        Raises
        ------
        VectorError
            A document has no passage, a passage no token, or the passages of a document have other tokens than it has.
        """
        fits = (
            len(self.counts) == len(token_counts)
            and bool((self.counts > 0).all())
            and int(self.counts.sum()) == len(self.tokens) == len(self.spans)
            and bool((self.tokens > 0).all())
        )
        if fits and len(self.tokens):
            starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
            fits = np.add.reduceat(self.tokens, starts).tolist() == list(token_counts)
        if not fits:
            raise VectorError("the passages do not fit the documents' tokens")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a segment stores of them, by name; nothing where every document is a single passage."""
        if not self.several:
            return {}
        return {
            "doc_passages": _ends(self.counts).astype(np.uint32),
            "passage_offsets": _ends(self.tokens).astype(offset_dtype(int(self.tokens.sum()))),
            "passage_spans": self.spans.astype(np.uint32),
        }


def _ends(counts: Counts) -> Counts:
    return np.array([0, *accumulate(counts.tolist())], np.int64)
