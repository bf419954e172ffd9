"""Queries to hits: filters -> MaxSim -> reranker, for one query or many, on one generation of an index."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from colstore.config import SearchParams
from colstore.errors import ConfigError, EncoderError, QueryError
from colstore.outputs import encoded_query
from colstore.rerank.fusion import Fusion
from colstore.rerank.stage import RerankStage, as_stage
from colstore.search import candidates
from colstore.search.filters import Where, allowed_documents
from colstore.search.hits import hits_of
from colstore.search.notices import QueryNotices
from colstore.search.searcher import Searcher
from colstore.snapshot.document_encoder import ModelCache
from colstore.snapshot.snapshot import Snapshot
from colstore.threads import in_threads, thread_count
from colstore.types import Encoder, FloatMatrix, Hit, Hits, Reranker
from colstore.values import as_array, as_integer

if TYPE_CHECKING:
    from colstore.lexical.first_stage import FirstStage
    from colstore.search.unstored import PassageScorer

QueryLike = str | NDArray[Any]
"""A query: its text, or its token vectors ``(tokens, dim)``."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Candidates:
    """A query with the candidates of another system.

    Parameters
    ----------
    query
        Text, or token vectors ``(tokens, dim)``.
    ids
        Ids of the candidates, in the first stage's order.
    scores
        The first stage's scores, one for each id.
    """

    query: QueryLike
    ids: Sequence[str]
    scores: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The settings of a search, see :meth:`colstore.Index.search`; validated when made."""

    k: int
    where: Where | None = None
    ids: Iterable[str] | None = None
    params: SearchParams | None = None
    reranker: Reranker | RerankStage | None = None
    first_stage: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", as_integer("k", self.k, 1, error=QueryError))
        if self.params is not None and not isinstance(self.params, SearchParams):
            raise ConfigError(f"params must be a colstore.SearchParams, got {self.params!r}")


class Session:
    """One generation of an index, ready to be searched. Safe to share between threads, and usable after a fork.

    Parameters
    ----------
    snapshot
        The open generation.
    encoder
        The encoder that the caller opened the index with; it encodes queries and passages.
    model
        The encoder that the index was just built with, if any. It encodes passages, and queries where the index
        carries no frozen query encoder.
    before
        A session of an earlier generation, from which is taken over what has not changed.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        encoder: Encoder | None = None,
        model: Encoder | None = None,
        before: Session | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.own_encoder = encoder
        self.model = model
        self.searcher: Searcher = _searcher(snapshot, None if before is None else before.searcher)
        same_encoder = before is not None and before.snapshot.manifest.encoder == snapshot.manifest.encoder
        self._encoder: _Lazy[Encoder] = before._encoder if before is not None and same_encoder else _Lazy()
        self.models: ModelCache = ModelCache() if before is None else before.models
        self._bm25: _Lazy[FirstStage] = _Lazy()
        self._passages: _Lazy[PassageScorer] = _Lazy()

    @classmethod
    def open(cls, path: Path, encoder: Encoder | None = None, model: Encoder | None = None) -> Session:
        """Open the newest generation of the index at ``path``.

        Raises
        ------
        EncoderError
            The encoder makes vectors of another dimension than the index has.
        """
        snapshot = Snapshot.open(path)
        dim = snapshot.manifest.dim
        if encoder is not None and encoder.dim != dim:
            snapshot.close()
            raise EncoderError(
                f"this index has vectors of {dim} components, the encoder makes {encoder.dim}: open it without an "
                "encoder, or with the one that it was built with"
            )
        return cls(snapshot, encoder, model)

    def refreshed(self) -> Session:
        """Return a session of the newest generation: this one itself if nothing has changed.

        What the two share stays open, with everything that was read of it.
        """
        newest = Snapshot.open(self.snapshot.path, self.snapshot)
        return self if newest is self.snapshot else Session(newest, self.own_encoder, self.model, self)

    # --- queries ----------------------------------------------------------------------------------------------

    @property
    def encoder(self) -> Encoder:
        """The encoder of queries, loaded when it is first needed."""
        return self._encoder.get(self._load_encoder)

    @property
    def document_encoder(self) -> Encoder | None:
        """The encoder of passages that is in memory already; ``None`` leaves loading it to those that need it."""
        return self.own_encoder or self.model

    def encoder_to_send(self) -> Encoder | None:
        """Return the encoder that another process needs; ``None`` where the index itself has all that it takes.

        Raises
        ------
        EncoderError
            The encoder is a model in memory that the index does not know.
        """
        from colstore.encode.describe import KIND
        from colstore.encode.load import LOADABLE_KINDS
        from colstore.snapshot.query_encoder import has_frozen_encoder

        encoder, manifest = self.document_encoder, self.snapshot.manifest
        if encoder is None:
            return None
        kind = encoder.settings.get("kind")
        same = manifest.encoder is not None and dict(manifest.encoder.settings) == dict(encoder.settings)
        if same and (kind in LOADABLE_KINDS or has_frozen_encoder(manifest)):
            return None
        if kind == KIND:
            raise EncoderError(
                f"{self.snapshot.path}: this index was opened with a model in memory, which is not sent to another "
                "process: open the index there, with colstore.open(path, encoder=...)"
            )
        return encoder

    def encode_many(self, queries: Iterable[QueryLike], notices: QueryNotices | None = None) -> list[FloatMatrix]:
        """Return the token vectors of each query, ``(tokens, dim)``; see :meth:`encode`.

        Parameters
        ----------
        queries
            Texts or token vectors.
        notices
            Counts the queries that the model cannot read whole; ``None`` warns of them, once for all.
        """
        counts = QueryNotices() if notices is None else notices
        encoded = [self.encode(query, counts) for query in queries]
        if notices is None:
            counts.warn()
        return encoded

    def encode(self, query: QueryLike, notices: QueryNotices | None = None) -> FloatMatrix:
        """Return the token vectors of a query, ``(tokens, dim)``: a text is encoded, vectors are passed on.

        Parameters
        ----------
        query
            A text or token vectors.
        notices
            Counts the query if the model cannot read it whole; without it, nobody is told.

        Raises
        ------
        QueryError
            The text is empty, or the query is neither a text nor an array.
        EncoderError
            There is no model to encode the text, or it fails.
        """
        if isinstance(query, str):
            if not query.strip():
                raise QueryError("the query is empty: pass a text with at least one word")
            encoded = encoded_query(self.encoder, query)
            if notices is not None:
                notices.note(query, encoded)
            return encoded.vectors
        if query is None or isinstance(query, bytes | Mapping):
            raise QueryError(f"a query must be a text or token vectors (tokens, dim), got {type(query).__name__}")
        return as_array(query)

    def search_many(self, queries: Sequence[QueryLike], request: SearchRequest, threads: int | None) -> list[list[Hit]]:
        """Return the hits of each query. ``threads`` share the queries, or the scan of a single one."""
        count = thread_count(threads)
        stage = self._stage(request.reranker)
        depth = request.k if stage is None else max(request.k, stage.depth)
        bm25 = None if request.first_stage is None else self._first_stage(request.first_stage)
        texts = [text_of(query) for query in queries] if stage is not None or bm25 is not None else []
        encoded = self.encode_many(queries)
        allowed = allowed_documents(self.searcher.views, request.where, request.ids)
        if allowed is not None and not len(allowed):
            return [Hits() for _ in queries]

        def hits_for(i: int) -> list[Hit]:
            ranked = self.searcher.top_documents(
                encoded[i],
                depth,
                allowed=allowed,
                params=request.params,
                extra=None if bm25 is None else bm25.documents(texts[i], depth, allowed),
                threads=count if threads is not None and len(queries) == 1 else 1,
            )
            return hits_of(self.searcher, ranked, depth, tokens=len(encoded[i]))

        lists = in_threads(hits_for, range(len(queries)), count)
        return lists if stage is None else [Hits(hits[: request.k]) for hits in stage.rank_many(texts, lists)]

    def rerank_many(
        self,
        requests: Sequence[Candidates],
        options: candidates.RerankOptions,
        reranker: Reranker | RerankStage | None,
        threads: int | None,
        notices: QueryNotices | None = None,
    ) -> list[list[Hit]]:
        """Return the candidates of each query, ranked by MaxSim and then by the reranker.

        ``notices`` counts the queries that the model cannot read whole; without it, the call warns of them.
        """
        count, k = thread_count(threads), options.k
        stage = self._stage(reranker)
        texts = [] if stage is None else [text_of(request.query) for request in requests]
        if stage is not None and k is not None:
            options = replace(options, k=max(k, stage.depth))
        encodes_missing = options.missing == "score" and (stage is None or stage.policy == "never")
        encoded = self.encode_many((request.query for request in requests), notices)

        def hits_for(i: int) -> list[Hit]:
            return candidates.rerank(
                self.searcher,
                encoded[i],
                requests[i].ids,
                options,
                scores=requests[i].scores,
                score_texts=self._text_scorer(encoded[i]) if encodes_missing else None,
                threads=count if len(requests) == 1 else 1,
            )

        lists = in_threads(hits_for, range(len(requests)), count)
        return [Hits(hits[:k]) for hits in (lists if stage is None else stage.rank_many(texts, lists))]

    # --- what later stages need, loaded when first needed -----------------------------------------------------

    def _load_encoder(self) -> Encoder:
        if self.own_encoder is not None:
            return self.own_encoder
        from colstore.snapshot.query_encoder import has_frozen_encoder, query_encoder  # queries may come as vectors

        path, manifest = self.snapshot.path, self.snapshot.manifest
        if self.model is not None and not has_frozen_encoder(manifest):
            return self.model
        return query_encoder(path, manifest)

    def _load_bm25(self) -> FirstStage:
        from colstore.lexical.first_stage import FirstStage
        from colstore.snapshot.bm25 import load_bm25

        return FirstStage(load_bm25(self.snapshot), self.searcher.alive)

    def _load_passage_scorer(self) -> PassageScorer:
        from colstore.search.unstored import PassageScorer

        return PassageScorer(self.snapshot, self.document_encoder, self.models)

    def _stage(self, reranker: Reranker | RerankStage | None) -> RerankStage | None:
        """Return the reranking stage, with the stored threshold where it needs one."""
        return None if reranker is None else as_stage(reranker).with_threshold(self.snapshot.rerank_threshold)

    def _first_stage(self, kind: str) -> FirstStage:
        from colstore.snapshot.bm25 import KIND

        if kind != KIND:
            raise ConfigError(f"first_stage must be {KIND!r} (or None), got {kind!r}")
        return self._bm25.get(self._load_bm25)

    def _text_scorer(self, vectors: FloatMatrix) -> candidates.ScoreTexts:
        return lambda texts: self._passages.get(self._load_passage_scorer).score(vectors, texts)


class _Lazy(Generic[Value]):
    """A value that the first thread to need it makes, while others wait."""

    def __init__(self) -> None:
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._values: list[Value] = []

    def get(self, make: Callable[[], Value]) -> Value:
        """Return the value; it is made at the first call."""
        if not self._values:
            if os.getpid() != self._pid:  # forked: a thread that held the lock does not exist here
                self._lock, self._pid = threading.Lock(), os.getpid()
            with self._lock:
                if not self._values:
                    self._values.append(make())
        return self._values[0]


def _searcher(snapshot: Snapshot, before: Searcher | None) -> Searcher:
    """Return a searcher of a snapshot, with what an earlier one has read and checked of the same segments."""
    searcher = Searcher(
        snapshot.segments,
        snapshot.codec,
        snapshot.params,
        snapshot.deleted,
        shows_passages=snapshot.manifest.config.get("passages") is not None,
    )
    known = {} if before is None else {view.segment.id: view for view in before.views}
    for view in searcher.views:
        if view.segment.id in known:
            view.take_over(known[view.segment.id])
    return searcher


def rerank_options(
    k: int | None,
    missing: candidates.OnMissing,
    texts: candidates.Texts | None,
    fusion: Fusion | str | None,
    early_exit: int | None,
) -> candidates.RerankOptions:
    """Return the options that the arguments of :meth:`colstore.Index.rerank` stand for."""
    rule = Fusion.of(fusion)
    if rule is not None and rule.rule == "replace":
        rule = None
    return candidates.RerankOptions(k, missing, texts, rule, early_exit)


def query_list(queries: Iterable[QueryLike], method: str) -> list[QueryLike]:
    """Return queries as a list.

    Parameters
    ----------
    queries
        Texts or token vectors, from any iterable.
    method
        Name of the method that takes them, for messages.

    Raises
    ------
    QueryError
        A single text, a mapping (whose keys would be taken for queries), or nothing that can be iterated over.
    """
    if isinstance(queries, str):
        raise QueryError(f"{method} takes a list of queries: pass [{queries!r}] for a single one")
    if isinstance(queries, Mapping):
        raise QueryError(f"{method} takes a list of queries, got a mapping: pass list(queries.values())")
    if not isinstance(queries, Iterable):
        raise QueryError(f"{method} takes a list of queries, got {type(queries).__name__}")
    return list(queries)


def text_of(query: QueryLike) -> str:
    """Return a query that is a text.

    Raises
    ------
    QueryError
        The query consists of vectors.
    """
    if not isinstance(query, str):
        raise QueryError("a reranker and BM25 read texts: pass the query as a text, not as vectors")
    return query
