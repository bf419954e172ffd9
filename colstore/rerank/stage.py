"""The cross-encoder stage: which candidates it reads, within which budget, and where they then stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from colstore.errors import ConfigError
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import NOT_REACHED, NOT_STORED, Scores, Selection, merged, passage
from colstore.rerank.policy import POLICIES, Policy, contenders, spread
from colstore.rerank.rerankers import checked_scores
from colstore.types import Hit, Reranker

DEPTH = 50
ANCHORS = 8
"""Stored candidates that are read along with missing ones, to tell how the two scales compare."""
SPEED_MARGIN = 0.8
"""Part of the time left that the next pairs may take by the speed so far."""


@dataclass(frozen=True, slots=True)
class RerankStage:
    """When a reranker runs, and on what.

    Parameters
    ----------
    reranker
        Reads queries and passages together.
    policy
        ``"always"``: the first ``depth`` candidates. ``"uncertain"``: those among them that MaxSim cannot tell apart,
        see :func:`colstore.rerank.policy.contenders`. ``"missing"``: candidates without stored vectors alone, and a few
        others to compare scales. ``"never"``: none.
    depth
        Candidates, from the best, that may be read.
    max_pairs
        Most pairs a question.
    max_milliseconds
        Most time a question: no pair is begun that would, at the speed so far, end later. The first pair always runs.
    fusion
        Of MaxSim and the reranker, over the candidates that were read; by default the reranker's score stands.
    threshold
        Of ``"uncertain"``; ``None`` takes what :meth:`colstore.Index.calibrate` stored in the index.
    clock
        Seconds; for tests.

    Notes
    -----
    Candidates that were read stand above those that were not, which keep their order. Where a budget ends early,
    those not yet read keep MaxSim's order, too; :attr:`Hit.stage` says of each hit what ranked it.
    """

    reranker: Reranker
    policy: Policy = "always"
    depth: int = DEPTH
    max_pairs: int | None = None
    max_milliseconds: float | None = None
    fusion: Fusion = field(default_factory=Fusion)
    threshold: float | None = None
    clock: Callable[[], float] = perf_counter

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"policy must be one of {POLICIES}, got {self.policy!r}")
        if self.depth < 1:
            raise ConfigError(f"depth must be at least 1, got {self.depth!r}")
        if self.max_pairs is not None and self.max_pairs < 1:
            raise ConfigError(f"max_pairs must be at least 1 (or None), got {self.max_pairs!r}; see policy='never'")
        if self.max_milliseconds is not None and not self.max_milliseconds > 0:
            raise ConfigError(f"max_milliseconds must exceed 0 (or be None), got {self.max_milliseconds!r}")
        if self.threshold is not None and not self.threshold >= 0:
            raise ConfigError(f"threshold must be at least 0, got {self.threshold!r}")

    def with_threshold(self, stored: float | None) -> RerankStage:
        """Return the stage with a threshold, where it needs one and has none.

        Raises
        ------
        ConfigError
            There is none stored either.
        """
        if self.policy != "uncertain" or self.threshold is not None:
            return self
        if stored is None:
            raise ConfigError(
                "policy 'uncertain' needs a threshold: find and store one with "
                "`index.calibrate(queries, reranker)`, or pass a threshold"
            )
        return replace(self, threshold=stored)

    def rank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits (given best first) as this stage ranks them.

        Raises
        ------
        QueryError
            A passage to be read is not stored in the index.
        EncoderError
            The reranker did not return one finite number a pair.
        """
        plan = self.plan(hits)
        return merged(
            self.reranker.name,
            self.fusion,
            hits,
            plan,
            self._scored([(query, passage(hits[i])) for i in plan.positions]),
        )

    def rank_many(self, queries: Sequence[str], lists: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
        """Return :meth:`rank` of each question's hits; without a time budget all pairs go to the reranker at once."""
        if self.max_milliseconds is not None:
            return [self.rank(query, hits) for query, hits in zip(queries, lists, strict=True)]
        plans = [self.plan(hits) for hits in lists]
        pairs = [
            (query, passage(hits[i]))
            for query, hits, plan in zip(queries, lists, plans, strict=True)
            for i in plan.positions
        ]
        scores = self._scored(pairs)
        ends = np.cumsum([len(plan.positions) for plan in plans])
        parts = np.split(scores, ends[:-1]) if plans else []
        return [merged(self.reranker.name, self.fusion, *each) for each in zip(lists, plans, parts, strict=True)]

    def plan(self, hits: Sequence[Hit]) -> Selection:
        """Decide which hits are read, in which order."""
        stored = [i for i, hit in enumerate(hits) if hit.stage not in (NOT_STORED, NOT_REACHED)]
        lost = [i for i, hit in enumerate(hits) if hit.stage == NOT_STORED and hit.text]
        first = stored[: self.depth]
        match self.policy:
            case "always":
                chosen = first
            case "uncertain":
                chosen = first[: contenders([hits[i].score for i in first], self.threshold or 0.0)]
            case _:
                chosen = []
        if self.policy == "never":
            return Selection((), 0)
        anchors = [first[place] for place in spread(len(first), ANCHORS)] if lost and not chosen else []
        return Selection(tuple([*anchors, *chosen, *lost][: self.max_pairs]), len(anchors))

    def _scored(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        """Return the scores of as many of the pairs, from the first, as the time allows."""
        if not pairs:
            return np.zeros(0)
        if self.max_milliseconds is None:
            return checked_scores(self.reranker, pairs)
        start, done = self.clock(), 0
        parts = []
        count = 1
        while count:
            parts.append(checked_scores(self.reranker, pairs[done : done + count]))
            done += count
            spent = max(1e-9, self.clock() - start)
            affordable = int(SPEED_MARGIN * (self.max_milliseconds / 1000 - spent) / (spent / done))
            count = max(0, min(affordable, 2 * done, len(pairs) - done))
        return np.concatenate(parts)


def as_stage(reranker: Reranker | RerankStage) -> RerankStage:
    """Return a stage: a bare reranker reads the first candidates always."""
    return reranker if isinstance(reranker, RerankStage) else RerankStage(reranker)
