"""Candidates of another system, ranked from their stored codes. Only the candidates' bytes are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.kernels.calls import Floats, Ints
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import LAST, NOT_REACHED, NOT_STORED, ranked_hits
from colstore.search.filters import checked_ids, find
from colstore.search.hits import hits_of, unscored_hits
from colstore.search.query import PreparedQuery
from colstore.search.searcher import Ranked, Searcher
from colstore.types import FloatMatrix, Hit, Passage
from colstore.values import as_integer

OnMissing = Literal["error", "last", "score"]
ON_MISSING: tuple[OnMissing, ...] = get_args(OnMissing)
BATCH = 32
"""Candidates that early exit scores at once; the result does not depend on it."""

Texts = Mapping[str, str] | Callable[[str], str | None]


class ScoredText(NamedTuple):
    """The MaxSim score of a text that the index does not hold, and the passage of it that has this score."""

    score: float
    passage: Passage | None


ScoreTexts = Callable[[Sequence[str]], Sequence[ScoredText]]
"""Scores texts that the index does not hold, for the query at hand."""


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """How candidates are ranked.

    Parameters
    ----------
    k
        Number of hits to return; ``None`` returns every candidate.
    missing
        What to do with candidates that the index holds no vectors of: ``"error"``; ``"last"`` ranks them below all
        others, in their own order; ``"score"`` scores them by their text (see ``texts``), and ranks those without a
        text last.
    texts
        Passages by id: a mapping, or a function that returns a passage or ``None``.
    fusion
        How to combine the first stage's score with MaxSim; ``None`` ranks by MaxSim alone.
    early_exit
        Stop after this many candidates in a row (in the first stage's order) that did not reach the best ``k``. The
        rest keep that order below. ``None`` scores all candidates.

    Raises
    ------
    QueryError, ConfigError
        A setting is invalid, or two of them exclude each other.
    """

    k: int | None = None
    missing: OnMissing = "error"
    texts: Texts | None = None
    fusion: Fusion | None = None
    early_exit: int | None = None

    def __post_init__(self) -> None:
        if self.k is not None:
            object.__setattr__(self, "k", as_integer("k", self.k, 1, error=QueryError))
        if self.missing not in ON_MISSING:
            raise ConfigError(f"missing must be one of {ON_MISSING}, got {self.missing!r}")
        if self.missing == "score" and self.texts is None:
            raise ConfigError("missing='score' needs texts: a mapping from ids to passages, or a function")
        if self.texts is not None and not callable(self.texts) and not isinstance(self.texts, Mapping):
            raise ConfigError(f"texts must map ids to passages, or be a function, got {type(self.texts).__name__}")
        if self.early_exit is not None:
            object.__setattr__(self, "early_exit", as_integer("early_exit", self.early_exit, 1))
        if self.early_exit is not None and self.k is None:
            raise ConfigError("early_exit needs k: it stops when no candidate reaches the best k any more")
        if self.early_exit is not None and self.fusion is not None:
            raise ConfigError("early_exit and fusion exclude each other: a fused rank needs every score")

    def text_of(self, name: str) -> str | None:
        """Return the passage of a candidate, if it is at hand."""
        if self.missing != "score" or self.texts is None:
            return None
        text = self.texts(name) if callable(self.texts) else self.texts.get(name)
        return text if text and text.strip() else None


def rerank(
    searcher: Searcher,
    vectors: FloatMatrix,
    ids: Sequence[str],
    options: RerankOptions,
    *,
    scores: Sequence[float] | None = None,
    score_texts: ScoreTexts | None = None,
    threads: int = 1,
) -> list[Hit]:
    """Return the best ``k`` candidates, then those that nothing has scored. An id that occurs twice counts once.

    Parameters
    ----------
    searcher
        The searcher of the index.
    vectors
        Query vectors, ``(tokens, dim)``.
    ids
        Ids of the candidates, in the first stage's order.
    options
        How to rank them.
    scores
        The first stage's scores, one for each id, finite.
    score_texts
        Scores passages of candidates that are not stored; ``None`` leaves such candidates last, with their text.
    threads
        Number of threads that share the scoring.

    Raises
    ------
    UnknownIdError
        An id that is not in the index, with ``missing="error"``.
    QueryError
        The ids are not a list of strings, ids and scores differ in number, or a fusion lacks the scores it needs.
    """
    names, first = _distinct(ids, scores, options.fusion)
    numbers = find(searcher.views, names)
    stored = np.flatnonzero(numbers >= 0)
    lost = [names[i] for i in np.flatnonzero(numbers < 0).tolist()]
    if lost and options.missing == "error":
        raise _unknown(lost, len(names))
    query = searcher.prepare(vectors)
    hits = _rank(searcher, query, numbers[stored], [names[i] for i in stored.tolist()], options, threads)
    texts = {name: text for name in lost if (text := options.text_of(name)) is not None}
    if texts and score_texts is not None:
        hits = _with_scored(hits, texts, score_texts(list(texts.values())), query.tokens)
        lost = [name for name in lost if name not in texts]
    if options.fusion is not None:
        hits = _with_first_stage(hits, options.fusion, dict(zip(names, first, strict=True)))
    hits += [Hit(0, name, LAST, text=texts.get(name), stage=NOT_STORED) for name in lost]
    return ranked_hits(hits)


def _rank(
    searcher: Searcher, query: PreparedQuery, numbers: Ints, names: Sequence[str], options: RerankOptions, threads: int
) -> list[Hit]:
    """Return the hits of stored candidates, in the first stage's order."""
    if not len(numbers):
        return []
    if options.early_exit is not None and options.k is not None:
        return _until_settled(searcher, query, numbers, names, options.k, options.early_exit, threads)
    k = None if options.fusion is not None else options.k
    ranked = searcher.rank(query, numbers, k=k, threads=threads)
    known = dict(zip(numbers.tolist(), names, strict=True))
    return hits_of(searcher, ranked, k or len(numbers), tokens=query.tokens, names=known)


def _until_settled(
    searcher: Searcher, query: PreparedQuery, numbers: Ints, names: Sequence[str], k: int, patience: int, threads: int
) -> list[Hit]:
    scores = np.empty(len(numbers), np.float32)
    passages = np.zeros(len(numbers), np.int64)
    reached = 0
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        ranked = searcher.rank(query, part, threads=threads)
        order = _order(ranked, part)
        scores[start : start + len(part)] = ranked.scores[order]
        if ranked.passages is not None:
            passages[start : start + len(part)] = ranked.passages[order]
        stopped = stop_at(scores[: start + len(part)], k, patience)
        reached = stopped or start + len(part)
        if stopped:
            break
    known = dict(zip(numbers.tolist(), names, strict=True))
    order = np.argsort(-scores[:reached], kind="stable")
    own_passages = None if searcher.numbers is None else passages[:reached][order]
    best = Ranked(numbers[:reached][order], scores[:reached][order], own_passages)
    hits = hits_of(searcher, best, reached, tokens=query.tokens, names=known)
    return hits + unscored_hits(searcher, numbers[reached:], names=known, stage=NOT_REACHED)


def stop_at(scores: Floats, k: int, patience: int) -> int | None:
    """Return after how many candidates early exit stops, because ``patience`` in a row did not reach the best ``k``.

    ``None`` where it does not stop.

    >>> stop_at(np.array([5, 4, 3, 2, 6, 1, 1, 1], np.float32), k=2, patience=2)
    4
    >>> stop_at(np.array([5, 4, 3, 2, 6, 1], np.float32), k=2, patience=3)
    """
    best: list[float] = []
    idle = 0
    for place, score in enumerate(scores.tolist(), start=1):
        if len(best) < k or score > best[-1]:
            best = sorted([*best, score], reverse=True)[:k]
            idle = 0
        else:
            idle += 1
        if idle >= patience:
            return place
    return None


def _order(ranked: Ranked, numbers: Ints) -> Ints:
    """Return the position of each document of ``numbers`` in a ranking."""
    order = np.argsort(ranked.documents)
    positions: Ints = order[np.searchsorted(ranked.documents[order], numbers)]
    return positions


def _with_first_stage(hits: Sequence[Hit], fusion: Fusion, first: Mapping[str, float]) -> list[Hit]:
    """Return the hits ranked by both scores; where these are equal, MaxSim's order stands."""
    fused = fusion.fused([first[hit.id] for hit in hits], [hit.score for hit in hits])
    order = np.argsort(-fused, kind="stable").tolist()
    return [hits[i].placed(0, float(fused[i]), f"{hits[i].stage}+first-stage") for i in order]


def _with_scored(hits: list[Hit], texts: Mapping[str, str], scored: Sequence[ScoredText], tokens: int) -> list[Hit]:
    """Return the hits together with those that were scored by their text, above those that were not reached."""
    encoded = [
        Hit(0, name, found.score, found.score / tokens, text=texts[name], stage="encoded", passage=found.passage)
        for name, found in zip(texts, scored, strict=True)
    ]
    return sorted([*hits, *encoded], key=lambda hit: (hit.stage == NOT_REACHED, -hit.score, hit.id))


def _distinct(
    ids: Sequence[str], scores: Sequence[float] | None, fusion: Fusion | None
) -> tuple[list[str], list[float]]:
    """Return each id once, and the first stage's score of each: minus its position where there are no scores."""
    names = checked_ids(ids)
    if scores is None:
        if fusion is not None and fusion.needs_scores:
            raise QueryError(
                f"fusion {fusion.rule!r} needs the first stage's scores; without them there is 'reciprocal'"
            )
        values = [float(-rank) for rank in range(len(names))]
    else:
        values = _as_floats(scores)
        if len(values) != len(names) or not np.isfinite(values).all():
            raise QueryError(f"one finite score is needed for each of the {len(names)} candidates, got {len(values)}")
    once: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        once.setdefault(name, value)
    return list(once), list(once.values())


def _as_floats(scores: Sequence[float]) -> list[float]:
    try:
        return [float(score) for score in scores]
    except (TypeError, ValueError) as error:
        raise QueryError(f"scores must be numbers, one for each candidate: {error}") from error


def _unknown(lost: Sequence[str], count: int) -> UnknownIdError:
    shown = ", ".join(repr(name) for name in lost[:5])
    return UnknownIdError(
        f"{len(lost)} of {count} candidates are not in the index, such as {shown}: rank them below the others with "
        "missing='last', or score them by their text with missing='score' and texts="
    )
