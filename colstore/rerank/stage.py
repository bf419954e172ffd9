"""The reranking stage: which candidates the reranker reads, within which budget, and where they rank afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from colstore.errors import ConfigError
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import NOT_REACHED, NOT_STORED, Scores, Selection, merged, passage
from colstore.rerank.policy import POLICIES, Policy, contenders, spread
from colstore.rerank.rerankers import checked_reranker, checked_scores
from colstore.types import Hit, Reranker
from colstore.values import as_integer, as_number

DEPTH = 50
ANCHORS = 8
"""Stored candidates that are read along with missing ones, in order to compare the two scales."""
SPEED_MARGIN = 0.8
"""Share of the remaining time that the next pairs may take, judging by the speed so far."""


@dataclass(frozen=True, slots=True)
class RerankStage:
    """When a reranker runs, and on what.

    Parameters
    ----------
    reranker
        What reads queries and passages together.
    policy
        Which candidates it reads. ``"always"``: the first ``depth``. ``"uncertain"``: those among the first ``depth``
        that MaxSim cannot tell apart, see :mod:`colstore.rerank.policy`. ``"missing"``: those without stored vectors,
        and a few others to compare the scales. ``"never"``: none.
    depth
        Number of candidates, from the best, that may be read.
    max_pairs
        Largest number of pairs to read for a query; ``None`` sets no limit.
    max_milliseconds
        Time limit for a query: a pair is not started if it would end later at the speed so far. The first pair always
        runs. ``None`` sets no limit.
    fusion
        How the reranker's scores and MaxSim's are combined, over the candidates that were read. By default the
        reranker's score counts alone.
    threshold
        Threshold of ``"uncertain"``; ``None`` takes the one that :meth:`colstore.Index.calibrate` stored in the index.
    clock
        Returns seconds; for tests.

    Raises
    ------
    ConfigError
        A setting is invalid; the message says what to pass.

    Notes
    -----
    Candidates that were read rank above those that were not, which keep their order. Where a limit ends the reading
    early, those that were not read keep MaxSim's order, too. :attr:`Hit.stage` says of each hit what ranked it.
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
        checked_reranker(self.reranker)
        if self.policy not in POLICIES:
            raise ConfigError(f"policy must be one of {POLICIES}, got {self.policy!r}")
        object.__setattr__(self, "depth", as_integer("depth", self.depth, 1))
        if self.max_pairs is not None:
            object.__setattr__(self, "max_pairs", as_integer("max_pairs (see also policy='never')", self.max_pairs, 1))
        if self.max_milliseconds is not None and not as_number("max_milliseconds", self.max_milliseconds, 0) > 0:
            raise ConfigError(f"max_milliseconds must exceed 0 (or be None), got {self.max_milliseconds!r}")
        if self.threshold is not None:
            object.__setattr__(self, "threshold", as_number("threshold", self.threshold, 0))
        object.__setattr__(self, "fusion", Fusion.of(self.fusion) or Fusion())

    def with_threshold(self, stored: float | None) -> RerankStage:
        """Return the stage with the threshold that is stored in the index, where it needs one and has none.

        Parameters
        ----------
        stored
            The stored threshold; ``None`` where there is none.

        Raises
        ------
        ConfigError
            The stage needs a threshold, and none is stored.
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
        """Return the hits of a query as this stage ranks them.

        Parameters
        ----------
        query
            The query's text.
        hits
            As MaxSim ranked them, best first.

        Raises
        ------
        QueryError
            A passage to be read is not stored in the index.
        RerankerError
            The reranker did not return one finite number for each pair.
        """
        selection = self.selection(hits)
        return merged(
            self.reranker.name,
            self.fusion,
            hits,
            selection,
            self._scored([(query, passage(hits[i])) for i in selection.positions]),
        )

    def rank_many(self, queries: Sequence[str], lists: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
        """Return the ranked hits of each query, as :meth:`rank` does.

        Without a time limit the pairs of all queries go to the reranker in one call.

        Parameters
        ----------
        queries
            Texts.
        lists
            The hits of each query, best first.
        """
        if self.max_milliseconds is not None:
            return [self.rank(query, hits) for query, hits in zip(queries, lists, strict=True)]
        selections = [self.selection(hits) for hits in lists]
        pairs = [
            (query, passage(hits[i]))
            for query, hits, selection in zip(queries, lists, selections, strict=True)
            for i in selection.positions
        ]
        scores = self._scored(pairs)
        ends = np.cumsum([len(selection.positions) for selection in selections])
        parts = np.split(scores, ends[:-1]) if selections else []
        return [merged(self.reranker.name, self.fusion, *each) for each in zip(lists, selections, parts, strict=True)]

    def selection(self, hits: Sequence[Hit]) -> Selection:
        """Return which hits the reranker reads, and in which order.

        Parameters
        ----------
        hits
            As MaxSim ranked them, best first.
        """
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
        """Return the scores of the pairs, from the first; of as many as the time allows."""
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
    """Return a stage; a bare reranker always reads the first candidates.

    Raises
    ------
    ConfigError
        It is neither; the message says what to pass.
    """
    return reranker if isinstance(reranker, RerankStage) else RerankStage(reranker)
