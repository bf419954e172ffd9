"""Questions to hits: plan -> MaxSim -> reranker, for one question or many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from colstore.asking import candidates
from colstore.asking.hits import hits_of
from colstore.config import SearchParams
from colstore.engine.filters import Where, allowed_documents
from colstore.engine.search import Searcher
from colstore.errors import ConfigError, QueryError
from colstore.living.snapshot import RERANK, Snapshot
from colstore.rerank.fusion import Fusion
from colstore.rerank.stage import RerankStage, as_stage
from colstore.types import Encoder, FloatMatrix, Hit, Reranker

if TYPE_CHECKING:
    from colstore.asking.first_stage import FirstStage

Question = str | NDArray[Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Candidates:
    """A question with somebody else's candidates.

    Parameters
    ----------
    query
        Text, or token vectors.
    ids
        In the first stage's order.
    scores
        Of the first stage.
    """

    query: Question
    ids: Sequence[str]
    scores: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What questions are asked with; see :meth:`colstore.Index.search`."""

    k: int
    where: Where | None = None
    ids: Iterable[str] | None = None
    params: SearchParams | None = None
    rerank: Reranker | RerankStage | None = None
    first_stage: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers questions from one snapshot. Safe to share between threads.

    Parameters
    ----------
    snapshot, searcher
        Of one generation.
    given
        The encoder that the caller opened the index with.
    kept
        What later stages need of this generation, loaded when first asked for.
    """

    snapshot: Snapshot
    searcher: Searcher
    given: Encoder | None
    kept: dict[str, Any] = field(default_factory=dict)

    def search(
        self, queries: Sequence[Question], vectors: Callable[[Question], FloatMatrix], request: Request,
        threads: int | None,
    ) -> list[list[Hit]]:  # fmt: skip
        """Return the hits of each question; ``threads`` share them, or the scan of a single one."""
        check_k(request.k)
        if not isinstance(request.params, SearchParams | None):
            raise ConfigError(f"params must be a colstore.SearchParams, got {request.params!r}")
        stage = self._stage(request.rerank)
        depth = request.k if stage is None else max(request.k, stage.depth)
        words = None if request.first_stage is None else self._first_stage(request.first_stage)
        texts = [text_of(query) for query in queries] if stage is not None or words is not None else []
        encoded = [vectors(query) for query in queries]
        allowed = allowed_documents(self.searcher.shards, request.where, request.ids)
        if allowed is not None and not len(allowed):
            return [[] for _ in queries]

        def answer(i: int) -> list[Hit]:
            extra = None if words is None else words.documents(texts[i], depth, allowed)
            ranked = self.searcher.search(
                encoded[i], depth, allowed=allowed, params=request.params, extra=extra,
                threads=(threads or 1) if len(queries) == 1 else 1,
            )  # fmt: skip
            return hits_of(self.searcher, ranked, depth)

        found = in_threads(answer, range(len(queries)), threads)
        return found if stage is None else [hits[: request.k] for hits in stage.rank_many(texts, found)]

    def rerank(
        self, asked: Sequence[Candidates], vectors: Callable[[Question], FloatMatrix], k: int | None,
        options: candidates.RerankOptions, rerank: Reranker | RerankStage | None, threads: int,
    ) -> list[list[Hit]]:  # fmt: skip
        """Rank the candidates of each question, then let the reranker read."""
        stage = self._stage(rerank)
        texts = [] if stage is None else [text_of(one.query) for one in asked]
        if stage is not None and k is not None:
            options = replace(options, k=max(k, stage.depth))
        encodes = options.missing == "score" and (stage is None or stage.policy == "never")
        encoded = [vectors(one.query) for one in asked]

        def answer(i: int) -> list[Hit]:
            return candidates.rerank(
                self.searcher, encoded[i], asked[i].ids, options, scores=asked[i].scores,
                score_texts=self._text_scorer(encoded[i]) if encodes else None,
                threads=threads if len(asked) == 1 else 1,
            )  # fmt: skip

        found = in_threads(answer, range(len(asked)), threads)
        return [hits[:k] for hits in (found if stage is None else stage.rank_many(texts, found))]

    def _stage(self, rerank: Reranker | RerankStage | None) -> RerankStage | None:
        """Return the stage to ask, with the threshold that calibrating stored where it needs one."""
        if rerank is None:
            return None
        stored = (self.snapshot.manifest.tuned or {}).get(RERANK)
        threshold = stored.get("threshold") if isinstance(stored, dict) else None
        return as_stage(rerank).with_threshold(float(threshold) if isinstance(threshold, int | float) else None)

    def _first_stage(self, kind: str) -> FirstStage:
        from colstore.asking.first_stage import FirstStage

        if kind not in self.kept:
            self.kept[kind] = FirstStage.of(kind, self.snapshot, self.searcher)
        first: FirstStage = self.kept[kind]
        return first

    def _text_scorer(self, vectors: FloatMatrix) -> candidates.ScoreTexts:
        from colstore.asking.unstored import PassageScorer

        def score(passages: Sequence[str]) -> list[float]:
            if "passages" not in self.kept:
                self.kept["passages"] = PassageScorer(self.snapshot, self.given)
            scorer: PassageScorer = self.kept["passages"]
            return scorer.score(vectors, passages)

        return score


def options_of(
    k: int | None, missing: candidates.Missing, texts: candidates.Texts | None, fusion: Fusion | str | None,
    early_exit: int | None,
) -> candidates.RerankOptions:  # fmt: skip
    """Return the options that the arguments of :meth:`colstore.Index.rerank` stand for."""
    rule = Fusion.parse(fusion) if isinstance(fusion, str) else fusion
    if rule is not None and rule.rule == "replace":
        rule = None
    return candidates.RerankOptions(k, missing, texts, rule, early_exit)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int | None) -> list[Result]:
    """Return ``work`` of each item, in order; ``None`` threads are as many as there are cores."""
    count = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if count == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, items))


def text_of(query: Question) -> str:
    """Return a question that is a text.

    Raises
    ------
    QueryError
        It is vectors.
    """
    if not isinstance(query, str):
        raise QueryError("a reranker and BM25 read texts: ask with a text, not with vectors")
    return query


def check_k(k: object) -> None:
    """Refuse a number of hits that cannot be."""
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise QueryError(f"k must be a whole number of at least 1, got {k!r}")
