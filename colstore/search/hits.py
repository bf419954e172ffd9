"""Document numbers to hits. Texts and metadata are read when they are first looked at, a block of them at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from colstore.kernels.calls import Ints
from colstore.search.searcher import Ranked, Searcher
from colstore.store import Segment
from colstore.types import Hit, Hits, Json, Passage

_DEFERRED = ("title", "text", "metadata", "passage")


class StoredHit(Hit):
    """A hit whose title, text, metadata and passage are read when first looked at, also after the index was closed.

    Made by :func:`stored_hit` only, which leaves those four slots empty, so that Python calls :meth:`__getattr__` for
    them. Copies and pickles are ordinary hits.
    """

    __slots__ = ("_local", "_passage", "_segment")
    _segment: Segment
    _local: int
    _passage: int | None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the fields have several types
        if name not in _DEFERRED:
            raise AttributeError(name)
        if name == "passage":
            passage = self._stored_passage()
            object.__setattr__(self, "passage", passage)
            return passage
        values: dict[str, str | Mapping[str, Json] | None]
        if name == "metadata":
            values = {"metadata": self._segment.metadata(self._local)}
        else:
            title, text = self._segment.title_and_text(self._local) or (None, None)
            values = {"title": title, "text": text}
        for field, value in values.items():
            object.__setattr__(self, field, value)
        return values[name]

    def _stored_passage(self) -> Passage | None:
        if self._passage is None:
            return None
        return passage_of(self.text, self._segment.passage_span(self._local, self._passage), self._passage)

    def __reduce__(self) -> tuple[type[Hit], tuple[Any, ...]]:
        return Hit, tuple(self.values())

    def placed(self, rank: int, score: float, stage: str) -> Hit:
        """Return the hit with another rank, score and stage; texts that were not read yet stay unread."""
        if not hasattr(self, "_segment"):  # made by dataclasses.replace
            return Hit.placed(self, rank, score, stage)
        return stored_hit(rank, self.id, score, self.similarity, stage, self._segment, self._local, self._passage)

    def __repr__(self) -> str:
        return f"Hit(rank={self.rank}, id={self.id!r}, score={self.score:.4f}, stage={self.stage!r})"


def passage_of(text: str | None, span: tuple[int, int] | None, number: int) -> Passage | None:
    """Return a passage of a text: a span of it, or, with ``None``, the whole; ``None`` where its end is not known."""
    if span is None:
        return None if text is None else Passage(text, 0, len(text), number)
    start, end = span
    return Passage(None if text is None else text[start:end], start, end, number)


def stored_hit(
    rank: int,
    name: str,
    score: float,
    similarity: float | None,
    stage: str,
    segment: Segment,
    local: int,
    passage: int | None,
) -> Hit:
    """Return the hit of the document with local number ``local`` in a segment, by the passage of this number in it."""
    hit = object.__new__(StoredHit)
    _set_rank(hit, rank)
    _set_id(hit, name)
    _set_score(hit, score)
    _set_similarity(hit, similarity)
    _set_stage(hit, stage)
    _set_segment(hit, segment)
    _set_local(hit, local)
    _set_passage(hit, passage)
    return hit


def _setter(owner: type, field: str) -> Any:  # noqa: ANN401 - a slot's own setter, four times as fast as object.__setattr__
    return owner.__dict__[field].__set__


_set_rank, _set_id, _set_score, _set_similarity, _set_stage = (
    _setter(Hit, field) for field in ("rank", "id", "score", "similarity", "stage")
)
_set_segment, _set_local, _set_passage = (_setter(StoredHit, field) for field in ("_segment", "_local", "_passage"))


def hits_of(searcher: Searcher, ranked: Ranked, k: int, *, tokens: int, names: Mapping[int, str] | None = None) -> Hits:
    """Return the first ``k`` ranked documents as hits; documents with equal scores are ordered by their ids.

    Parameters
    ----------
    searcher
        The searcher that ranked them.
    ranked
        Documents with their MaxSim scores, best first.
    k
        Largest number of hits.
    tokens
        Number of query tokens, which the similarity is a mean over.
    names
        Ids by document number, where they are known already.
    """
    documents, scores, best = ranked.documents, ranked.scores, ranked.passages
    ids = searcher.names(documents) if names is None else [names[number] for number in documents.tolist()]
    if (scores[1:] >= scores[:-1]).any():  # ties
        order = sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:k]
        documents, scores, ids = documents[order], scores[order], [ids[i] for i in order]
        best = None if best is None else best[order]
    similarities = (scores[:k].astype(np.float64) / tokens).tolist()
    ranks = range(1, len(similarities) + 1)
    stages = repeat("maxsim")
    segments, numbers = _places(searcher, documents[:k].tolist())
    passages: Iterable[int | None] = repeat(0 if searcher.shows_passages else None) if best is None else best.tolist()
    return Hits(map(stored_hit, ranks, ids, scores.tolist(), similarities, stages, segments, numbers, passages))


def unscored_hits(searcher: Searcher, numbers: Ints, *, names: Mapping[int, str], stage: str) -> list[Hit]:
    """Return documents that nothing has scored as hits without a place (rank 0, score minus infinity), in their order.

    Parameters
    ----------
    searcher
        The searcher of the index.
    numbers
        Document numbers, ``(n,)`` int64.
    names
        Ids by document number.
    stage
        The stage that the hits name.
    """
    ids = [names[number] for number in numbers.tolist()]
    segments, local = _places(searcher, numbers.tolist())
    hits = map(
        stored_hit, repeat(0), ids, repeat(-math.inf), repeat(None), repeat(stage), segments, local, repeat(None)
    )
    return list(hits)


def _places(searcher: Searcher, numbers: Sequence[int]) -> tuple[Iterable[Segment], Sequence[int]]:
    """Return the segment of each document, as a handle that survives closing the index, and its local number."""
    if len(searcher.views) == 1:
        return repeat(searcher.views[0].records), numbers
    located = [searcher.locate(number) for number in numbers]
    return [view.records for view, _ in located], [local for _, local in located]
