"""Somebody else's candidates, ranked from their stored codes: only their bytes are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from colstore.errors import ConfigError, QueryError, UnknownIdError
from colstore.kernels.calls import Floats, Ints
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import LAST, NOT_REACHED, NOT_STORED, ranked_hits
from colstore.search.filters import checked_ids, find
from colstore.search.hits import hits_of
from colstore.search.query import PreparedQuery
from colstore.search.searcher import Ranked, Searcher
from colstore.types import FloatMatrix, Hit

OnMissing = Literal["error", "last", "score"]
ON_MISSING: tuple[OnMissing, ...] = get_args(OnMissing)
BATCH = 32
"""Candidates that early exit scores at once; the outcome does not depend on it."""

Texts = Mapping[str, str] | Callable[[str], str | None]
ScoreTexts = Callable[[Sequence[str]], Sequence[float]]
"""MaxSim scores of passages that the index does not hold, for the query at hand."""


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """How candidates are ranked.

    Parameters
    ----------
    k
        Hits wanted; ``None`` returns every candidate.
    missing
        Candidates that the index holds no vectors of: ``"error"``; ``"last"``, below all others, in the order they
        came in; ``"score"``, by their text (see ``texts``), and last where there is none.
    texts
        Passages by id, or a function that returns one (``None``: there is none).
    fusion
        Of the first stage's score and MaxSim; ``None`` ranks by MaxSim alone.
    early_exit
        Stop after so many candidates in a row (in the first stage's order) that did not come among the best ``k``; the
        rest keep that order below. ``None`` scores all.
    """

    k: int | None = None
    missing: OnMissing = "error"
    texts: Texts | None = None
    fusion: Fusion | None = None
    early_exit: int | None = None

    def __post_init__(self) -> None:
        if self.k is not None and (not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1):
            raise QueryError(f"k must be a whole number of at least 1 (or None), got {self.k!r}")
        if self.missing not in ON_MISSING:
            raise ConfigError(f"missing must be one of {ON_MISSING}, got {self.missing!r}")
        if self.missing == "score" and self.texts is None:
            raise ConfigError("missing='score' needs texts: a mapping from ids to passages, or a function")
        if self.early_exit is not None and self.early_exit < 1:
            raise ConfigError(f"early_exit must be at least 1 (or None), got {self.early_exit!r}")
        if self.early_exit is not None and self.k is None:
            raise ConfigError("early_exit needs k: it watches whether anything comes among the best k")
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
    """Return the best ``k`` candidates, and then those that nothing has scored; one that comes twice counts once.

    Parameters
    ----------
    searcher
        Over the index.
    vectors
        Of the query, ``(tokens, dim)``.
    ids
        In the first stage's order.
    options
        What is wanted.
    scores
        Of the first stage, one for each id; finite.
    score_texts
        Scores passages of candidates that are not stored; ``None`` leaves them last, with their text.
    threads
        That share the scoring.

    Raises
    ------
    UnknownIdError
        An id that is not in the index, with ``missing="error"``.
    QueryError
        As many scores as ids there are not, or a fusion without the scores it needs.
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
        hits = _with_scored(hits, texts, score_texts(list(texts.values())))
        lost = [name for name in lost if name not in texts]
    if options.fusion is not None:
        hits = _with_first_stage(hits, options.fusion, dict(zip(names, first, strict=True)))
    hits += [Hit(0, name, LAST, texts.get(name), stage=NOT_STORED) for name in lost]
    return ranked_hits(hits)


def _rank(
    searcher: Searcher, query: PreparedQuery, numbers: Ints, names: Sequence[str], options: RerankOptions, threads: int
) -> list[Hit]:
    """Return the hits of stored candidates, in the first stage's order."""
    if not len(numbers):
        return []
    if options.early_exit is not None and options.k is not None:
        return _until_settled(searcher, query, numbers, names, options.k, options.early_exit, threads)
    wanted = None if options.fusion is not None else options.k
    ranked = searcher.rank(query, numbers, k=wanted, threads=threads)
    known = dict(zip(numbers.tolist(), names, strict=True))
    return hits_of(searcher, ranked, wanted or len(numbers), names=known)


def _until_settled(
    searcher: Searcher, query: PreparedQuery, numbers: Ints, names: Sequence[str], k: int, patience: int, threads: int
) -> list[Hit]:
    scores = np.empty(len(numbers), np.float32)
    reached = 0
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        ranked = searcher.rank(query, part, threads=threads)
        scores[start : start + len(part)] = _in_order(ranked, part)
        stopped = stop_at(scores[: start + len(part)], k, patience)
        reached = stopped or start + len(part)
        if stopped:
            break
    known = dict(zip(numbers.tolist(), names, strict=True))
    order = np.argsort(-scores[:reached], kind="stable")
    hits = hits_of(searcher, Ranked(numbers[:reached][order], scores[:reached][order]), reached, names=known)
    rest = Ranked(numbers[reached:], -np.arange(len(numbers) - reached, dtype=np.float32))
    late = hits_of(searcher, rest, len(rest.documents), names=known, stage=NOT_REACHED)
    return hits + [hit.placed(0, LAST, hit.stage) for hit in late]


def stop_at(scores: Floats, k: int, patience: int) -> int | None:
    """Return after how many candidates early exit stops: ``patience`` in a row are not among the best ``k`` so far.

    ``None`` where that does not come to pass.

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


def _in_order(ranked: Ranked, numbers: Ints) -> Floats:
    """Return the scores of documents in the order of ``numbers``."""
    order = np.argsort(ranked.documents)
    found: Floats = ranked.scores[order][np.searchsorted(ranked.documents[order], numbers)]
    return found


def _with_first_stage(hits: Sequence[Hit], fusion: Fusion, first: Mapping[str, float]) -> list[Hit]:
    """Rank hits anew by both scores; where they are equal, MaxSim's order stands."""
    fused = fusion.fused([first[hit.id] for hit in hits], [hit.score for hit in hits])
    order = np.argsort(-fused, kind="stable").tolist()
    return [hits[i].placed(0, float(fused[i]), f"{hits[i].stage}+first-stage") for i in order]


def _with_scored(hits: list[Hit], texts: Mapping[str, str], scores: Sequence[float]) -> list[Hit]:
    """Return the hits with those that were scored by their text among them, above what was not reached."""
    made = [Hit(0, name, score, texts[name], stage="encoded") for name, score in zip(texts, scores, strict=True)]
    return sorted([*hits, *made], key=lambda hit: (hit.stage == NOT_REACHED, -hit.score, hit.id))


def _distinct(
    ids: Sequence[str], scores: Sequence[float] | None, fusion: Fusion | None
) -> tuple[list[str], list[float]]:
    """Return each id once, and the first stage's score of each: by rank where there are none."""
    names = checked_ids(ids)
    if scores is None:
        if fusion is not None and fusion.needs_scores:
            raise QueryError(
                f"fusion {fusion.rule!r} needs the first stage's scores; without them there is 'reciprocal'"
            )
        values = [float(-rank) for rank in range(len(names))]
    else:
        values = [float(score) for score in scores]
        if len(values) != len(names) or not np.isfinite(values).all():
            raise QueryError(f"one finite score is needed for each of the {len(names)} candidates, got {len(values)}")
    once: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        once.setdefault(name, value)
    return list(once), list(once.values())


def _unknown(lost: Sequence[str], count: int) -> UnknownIdError:
    shown = ", ".join(repr(name) for name in lost[:5])
    return UnknownIdError(
        f"{len(lost)} of {count} candidates are not in the index, such as {shown}: keep them below the others with "
        "missing='last', or score them by their text with missing='score'"
    )
