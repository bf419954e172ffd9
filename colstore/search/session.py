"""Questions to hits: plan -> MaxSim -> reranker, for one question or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from colstore.config import SearchParams
from colstore.errors import ConfigError, QueryError
from colstore.rerank.fusion import Fusion
from colstore.rerank.stage import RerankStage, as_stage
from colstore.search import candidates
from colstore.search.filters import Where, allowed_documents
from colstore.search.hits import hits_of
from colstore.search.searcher import Searcher
from colstore.snapshot.snapshot import RERANK, Snapshot
from colstore.threads import in_threads
from colstore.types import Encoder, FloatMatrix, Hit, Reranker

if TYPE_CHECKING:
    from colstore.lexical.first_stage import FirstStage

QueryLike = str | NDArray[Any]
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

    query: QueryLike
    ids: Sequence[str]
    scores: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What questions are asked with; see :meth:`colstore.Index.search`."""

    k: int
    where: Where | None = None
    ids: Iterable[str] | None = None
    params: SearchParams | None = None
    reranker: Reranker | RerankStage | None = None
    first_stage: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Session questions from one snapshot. Safe to share between threads.

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
        self,
        queries: Sequence[QueryLike],
        vectors: Callable[[QueryLike], FloatMatrix],
        request: SearchRequest,
        threads: int | None,
    ) -> list[list[Hit]]:
        """Return the hits of each question; ``threads`` share them, or the scan of a single one."""
        check_k(request.k)
        if not isinstance(request.params, SearchParams | None):
            raise ConfigError(f"params must be a colstore.SearchParams, got {request.params!r}")
        stage = self._stage(request.reranker)
        depth = request.k if stage is None else max(request.k, stage.depth)
        words = None if request.first_stage is None else self._first_stage(request.first_stage)
        texts = [text_of(query) for query in queries] if stage is not None or words is not None else []
        encoded = [vectors(query) for query in queries]
        allowed = allowed_documents(self.searcher.views, request.where, request.ids)
        if allowed is not None and not len(allowed):
            return [[] for _ in queries]

        def answer(i: int) -> list[Hit]:
            extra = None if words is None else words.documents(texts[i], depth, allowed)
            ranked = self.searcher.search(
                encoded[i],
                depth,
                allowed=allowed,
                params=request.params,
                extra=extra,
                threads=(threads or 1) if len(queries) == 1 else 1,
            )
            return hits_of(self.searcher, ranked, depth)

        found = in_threads(answer, range(len(queries)), threads)
        return found if stage is None else [hits[: request.k] for hits in stage.rank_many(texts, found)]

    def rerank(
        self,
        asked: Sequence[Candidates],
        vectors: Callable[[QueryLike], FloatMatrix],
        k: int | None,
        options: candidates.RerankOptions,
        reranker: Reranker | RerankStage | None,
        threads: int,
    ) -> list[list[Hit]]:
        """Rank the candidates of each question, then let the reranker read."""
        stage = self._stage(reranker)
        texts = [] if stage is None else [text_of(one.query) for one in asked]
        if stage is not None and k is not None:
            options = replace(options, k=max(k, stage.depth))
        encodes = options.missing == "score" and (stage is None or stage.policy == "never")
        encoded = [vectors(one.query) for one in asked]

        def answer(i: int) -> list[Hit]:
            return candidates.rerank(
                self.searcher,
                encoded[i],
                asked[i].ids,
                options,
                scores=asked[i].scores,
                score_texts=self._text_scorer(encoded[i]) if encodes else None,
                threads=threads if len(asked) == 1 else 1,
            )

        found = in_threads(answer, range(len(asked)), threads)
        return [hits[:k] for hits in (found if stage is None else stage.rank_many(texts, found))]

    def _stage(self, reranker: Reranker | RerankStage | None) -> RerankStage | None:
        """Return the stage to ask, with the threshold that calibrating stored where it needs one."""
        if reranker is None:
            return None
        stored = (self.snapshot.manifest.tuned or {}).get(RERANK)
        threshold = stored.get("threshold") if isinstance(stored, dict) else None
        return as_stage(reranker).with_threshold(float(threshold) if isinstance(threshold, int | float) else None)

    def _first_stage(self, kind: str) -> FirstStage:
        from colstore.lexical.first_stage import FirstStage
        from colstore.snapshot.bm25 import KIND, load_bm25

        if kind not in self.kept:
            if kind != KIND:
                raise ConfigError(f"first_stage must be {KIND!r} (or None), got {kind!r}")
            self.kept[kind] = FirstStage(load_bm25(self.snapshot), self.searcher.alive)
        first: FirstStage = self.kept[kind]
        return first

    def _text_scorer(self, vectors: FloatMatrix) -> candidates.ScoreTexts:
        from colstore.search.unstored import PassageScorer

        def score(passages: Sequence[str]) -> list[float]:
            if "passages" not in self.kept:
                self.kept["passages"] = PassageScorer(self.snapshot, self.given)
            scorer: PassageScorer = self.kept["passages"]
            return scorer.score(vectors, passages)

        return score


def options_of(
    k: int | None,
    missing: candidates.OnMissing,
    texts: candidates.Texts | None,
    fusion: Fusion | str | None,
    early_exit: int | None,
) -> candidates.RerankOptions:
    """Return the options that the arguments of :meth:`colstore.Index.rerank` stand for."""
    rule = Fusion.parse(fusion) if isinstance(fusion, str) else fusion
    if rule is not None and rule.rule == "replace":
        rule = None
    return candidates.RerankOptions(k, missing, texts, rule, early_exit)


def text_of(query: QueryLike) -> str:
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
