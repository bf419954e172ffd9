"""The pipeline: probe -> gather -> prune -> score -> cut, or score everything where that is cheaper.

Documents are numbered through the index in the order of its segments. A score depends on the query, the document and
its stored codes alone: the integer score decides which documents are refined, and the refined float score is returned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.config import SearchParams
from colstore.errors import QueryError
from colstore.kernels import calls
from colstore.kernels.calls import Floats, Ints
from colstore.search.query import PreparedQuery, check_query
from colstore.search.segment_view import SegmentView, Tokens
from colstore.store import Segment
from colstore.threads import in_threads
from colstore.types import FloatMatrix
from colstore.values import as_integer

BLOCK_DOCUMENTS = 2_048
"""Documents that one call of the scorer takes, which bounds memory and lets threads share a scan."""
REFINED_SPARE = 16
"""Documents refined beyond ``k``, because refining changes a score by a few thousandths."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best documents, best first.

    Parameters
    ----------
    documents
        Document numbers, ``(n,)`` int64.
    scores
        Their MaxSim scores, ``(n,)`` float32.
    """

    documents: Ints
    scores: Floats


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Documents that gathering found, in ascending order, with the gain and the centroid score of each.

    Parameters
    ----------
    documents
        Document numbers, ``(n,)`` int64.
    gains
        What each document gained while gathering, ``(n,)`` float32.
    coarse
        MaxSim of each document's centroids, ``(n,)`` float32.
    """

    documents: Ints
    gains: Floats
    coarse: Floats


@dataclass(frozen=True, slots=True)
class _Scored:
    """Documents with their integer scores and, for each pass, the document tokens that the query tokens matched."""

    documents: Ints
    scores: Floats
    tokens: Sequence[Tokens]


class Searcher:
    """Ranks the documents of open segments. Safe to share between threads; searching changes nothing.

    Parameters
    ----------
    segments
        The open segments, in the order of their documents.
    codec
        The codec that wrote the segments.
    params
        Parameters of searches that bring none of their own.
    deleted
        For each segment the local numbers of its deleted documents, or ``None``. They are never returned.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        codec: Codec,
        params: SearchParams | None = None,
        deleted: Sequence[Ints | None] = (),
    ) -> None:
        self.codec = codec
        self.params = params or SearchParams()
        self.views: list[SegmentView] = []
        documents = 0
        for number, segment in enumerate(segments):
            self.views.append(SegmentView(segment, codec, documents, deleted[number] if deleted else None))
            documents += segment.documents
        self.documents = documents
        self._alive_mask = self._without(deleted)
        self.alive = None if self._alive_mask is None else np.flatnonzero(self._alive_mask)
        self.tokens = sum(segment.entry.live_tokens for segment in segments)
        self._first = np.array([view.first for view in self.views] + [documents], np.int64)
        self._workspace = threading.local()

    # --- the pipeline -----------------------------------------------------------------------------------------

    def top_documents(
        self,
        vectors: FloatMatrix,
        k: int,
        *,
        allowed: Ints | None = None,
        params: SearchParams | None = None,
        extra: Ints | None = None,
        threads: int = 1,
    ) -> Ranked:
        """Return the ``k`` best documents of the index, and any that tie with the last of them.

        The caller breaks ties by id.

        Parameters
        ----------
        vectors
            Query vectors, ``(tokens, dim)``.
        k
            Number of documents, at least 1; fewer are returned where there are fewer.
        allowed
            Document numbers to choose from, ascending, ``(n,)`` int64; ``None`` allows all.
        params
            How much work to do.
        extra
            Document numbers (allowed ones) to score in addition to those that probing finds.
        threads
            Number of threads that share one exhaustive scan.

        Raises
        ------
        QueryError
            The vectors or ``k`` are invalid.
        """
        k = as_integer("k", k, 1, error=QueryError)
        query = PreparedQuery(check_query(vectors, self.codec.centroids.dim), self.codec)
        params = params or self.params
        allowed = self._only_alive(allowed)
        if self._is_exact(k, allowed, params):
            candidates = self._everything(allowed)
        else:
            probes, most_candidates, most_scored = params.for_k(k)
            candidates, gains = self._gather(query, probes, allowed)
            candidates = self._prune(query, candidates, gains, most_candidates, most_scored)
            if extra is not None:
                candidates = np.union1d(candidates, extra)
            if len(candidates) < min(k, self._allowed_count(allowed)):
                candidates = self._everything(allowed)
        return self._cut(query, self._score(query, candidates, threads), k)

    def prepare(self, vectors: FloatMatrix) -> PreparedQuery:
        """Return query vectors ``(tokens, dim)``, checked and prepared, for ranking several lists with them."""
        return PreparedQuery(check_query(vectors, self.codec.centroids.dim), self.codec)

    def rank(
        self, query: FloatMatrix | PreparedQuery, documents: Ints, *, k: int | None = None, threads: int = 1
    ) -> Ranked:
        """Return the ``k`` best of some documents, and any that tie with the last of them.

        Only the codes of these documents are read, ahead and in the order of the file.

        Parameters
        ----------
        query
            Query vectors ``(tokens, dim)``, or a prepared query.
        documents
            Document numbers, ``(n,)`` int64, in any order.
        k
            Number of documents; ``None`` returns all.
        threads
            Number of threads that share the scoring.
        """
        query = query if isinstance(query, PreparedQuery) else self.prepare(query)
        ascending = np.sort(documents)
        for view, part in self._by_view(ascending):
            view.prefetch(ascending[part] - view.first)
        return self._cut(query, self._score(query, ascending, threads), k or max(1, len(documents)))

    def shortlist(self, vectors: FloatMatrix, probes: int, count: int) -> Shortlist:
        """Return the ``count`` documents that gained most while gathering, with the scores that pruning uses."""
        query = PreparedQuery(check_query(vectors, self.codec.centroids.dim), self.codec)
        documents, gains = self._gather(query, probes, self.alive)
        best = np.argsort(-gains, kind="stable")[:count]
        order = best[np.argsort(documents[best], kind="stable")]
        return Shortlist(documents[order], gains[order], self._coarse(query, documents[order]))

    def _is_exact(self, k: int, allowed: Ints | None, params: SearchParams) -> bool:
        """Tell whether scoring everything that is allowed is cheaper, or the only correct way."""
        if params.exact or len(self.codec.centroids.values) == 1 or any(view.postings is None for view in self.views):
            return True  # one centroid, as in an index that is not trained yet, tells no documents apart
        count = self._allowed_count(allowed)
        if 4 * k >= count or self.tokens <= params.exact_tokens:
            return True
        if allowed is None or allowed is self.alive or len(allowed) > params.exact_tokens:
            return False  # a document has a token at least
        return self._tokens_of(allowed) <= params.exact_tokens

    def _gather(self, query: PreparedQuery, probes: int, allowed: Ints | None) -> tuple[Ints, Floats]:
        """Return the documents near the probed centroids, and the gain of each."""
        numbered: list[Ints] = []
        gained: list[Floats] = []
        lists = [calls.probe(query_pass, query.table(number), probes) for number, query_pass in enumerate(query.passes)]
        for view in self.views:
            documents, gains = self._gather_view(query, lists, view)
            numbered.append(documents.astype(np.int64) + view.first)
            gained.append(gains)
        numbers, total = np.concatenate(numbered), np.concatenate(gained)
        if allowed is not None:
            keep = self._mask(allowed)[numbers]
            return numbers[keep], total[keep]
        return numbers, total

    def _gather_view(
        self, query: PreparedQuery, lists: Sequence[calls.Probes], view: SegmentView
    ) -> tuple[NDArray[np.uint32], Floats]:
        assert view.postings is not None
        offsets, postings = view.postings
        space = self._space(view)
        parts = []
        for query_pass, probes in zip(query.passes, lists, strict=True):
            base = space.next_base()
            documents = calls.gather(probes, query_pass.tokens, offsets, postings, space.stamps, base, space.totals)
            parts.append((documents, space.totals[documents]))
        if len(parts) == 1:
            return parts[0]
        totals = np.zeros(view.documents, np.float32)
        met = np.zeros(view.documents, bool)
        for documents, gains in parts:
            totals[documents] += gains
            met[documents] = True
        together = np.flatnonzero(met).astype(np.uint32)
        return together, totals[together]

    def _prune(self, query: PreparedQuery, documents: Ints, gains: Floats, candidates: int, scored: int) -> Ints:
        """Return the ``candidates`` best by gain, and of these the ``scored`` best by centroid interaction."""
        documents = np.sort(documents[calls.select(gains, candidates)])
        if len(documents) <= scored:
            return documents
        return documents[calls.select(self._coarse(query, documents), scored)]

    def _coarse(self, query: PreparedQuery, documents: Ints) -> Floats:
        """Return the centroid interaction of documents (ascending numbers)."""
        coarse = np.zeros(len(documents), np.float32)
        for view, part in self._by_view(documents):
            local = documents[part] - view.first
            for number, query_pass in enumerate(query.passes):
                coarse[part] += view.interact(query_pass, query.table(number), local)
        return coarse

    def _score(self, query: PreparedQuery, documents: Ints, threads: int) -> _Scored:
        """Score documents (ascending numbers) on their stored codes."""
        blocks = [
            (view, documents[i : min(i + BLOCK_DOCUMENTS, part.stop)] - view.first)
            for view, part in self._by_view(documents)
            for i in range(part.start, part.stop, BLOCK_DOCUMENTS)
        ]
        for number in range(len(query.passes)):
            if self.codec.bits < 16:
                query.table(number)  # before threads would each make their own
        parts = in_threads(lambda block: self._score_block(query, *block), blocks, threads)
        if not parts:
            return _Scored(documents, np.zeros(0, np.float32), [np.zeros((0, 8), np.int32) for _ in query.passes])
        tokens = [np.concatenate([part[1][n] for part in parts]) for n in range(len(query.passes))]
        return _Scored(documents, np.concatenate([part[0] for part in parts]), tokens)

    def _score_block(self, query: PreparedQuery, view: SegmentView, local: Ints) -> tuple[Floats, list[Tokens]]:
        total = np.zeros(len(local), np.float32)
        tokens = []
        for number in range(len(query.passes)):
            scores, matched = view.score(query, number, local)
            total += scores
            tokens.append(matched)
        return total, tokens

    def _cut(self, query: PreparedQuery, scored: _Scored, k: int) -> Ranked:
        """Refine the best few, and return the first ``k`` of them with all that tie with the last."""
        keep = _best_with_ties(scored.scores, k + max(REFINED_SPARE, k // 4))
        documents = scored.documents[keep]
        scores = scored.scores[keep] if self.codec.bits == 16 else self._refined(query, documents, keep, scored.tokens)
        order = np.argsort(-scores, kind="stable")
        if len(order) > k:
            order = order[: int(np.searchsorted(-scores[order], -scores[order[k - 1]], side="right"))]
        return Ranked(documents[order], scores[order])

    def _refined(self, query: PreparedQuery, documents: Ints, rows: Ints, tokens: Sequence[Tokens]) -> Floats:
        total = np.zeros(len(documents), np.float32)
        for view, part in self._by_view(documents):
            local = documents[part] - view.first
            for query_pass, matched in zip(query.passes, tokens, strict=True):
                total[part] += view.refine(query_pass, local, rows[part], matched)
        return total

    # --- bookkeeping ------------------------------------------------------------------------------------------

    def locate(self, document: int) -> tuple[SegmentView, int]:
        """Return the view of a document and its local number."""
        number = int(np.searchsorted(self._first, document, side="right")) - 1
        return self.views[number], document - self.views[number].first

    def names(self, documents: Ints) -> list[str]:
        """Return the ids of documents, in the order of ``documents``."""
        order = np.argsort(documents, kind="stable")
        ascending = documents[order]
        names = np.empty(len(documents), object)
        for view, part in self._by_view(ascending):
            names[order[part]] = view.segment.ids.many(ascending[part] - view.first)
        listed: list[str] = names.tolist()
        return listed

    def _without(self, deleted: Sequence[Ints | None]) -> NDArray[np.bool_] | None:
        """Return for each document whether it is not deleted; ``None`` where none is deleted."""
        if all(numbers is None or not len(numbers) for numbers in deleted):
            return None
        mask = np.ones(self.documents, bool)
        for view, numbers in zip(self.views, deleted, strict=True):
            if numbers is not None:
                mask[view.first + numbers] = False
        return mask

    def _mask(self, allowed: Ints) -> NDArray[np.bool_]:
        """Return for each document whether it is allowed."""
        if allowed is self.alive and self._alive_mask is not None:
            return self._alive_mask
        mask = np.zeros(self.documents, bool)
        mask[allowed] = True
        return mask

    def _only_alive(self, allowed: Ints | None) -> Ints | None:
        if self.alive is None or allowed is None:
            return self.alive if allowed is None else allowed
        return np.intersect1d(allowed, self.alive, assume_unique=True)

    def _by_view(self, documents: Ints) -> Iterator[tuple[SegmentView, slice]]:
        """Yield each view with its slice of ascending document numbers."""
        cuts = np.searchsorted(documents, self._first)
        for view, start, stop in zip(self.views, cuts[:-1], cuts[1:], strict=True):
            if start < stop:
                yield view, slice(int(start), int(stop))

    def _everything(self, allowed: Ints | None) -> Ints:
        return np.arange(self.documents, dtype=np.int64) if allowed is None else allowed

    def _allowed_count(self, allowed: Ints | None) -> int:
        return self.documents if allowed is None else len(allowed)

    def _tokens_of(self, documents: Ints) -> int:
        total = 0
        for view, part in self._by_view(documents):
            local = documents[part] - view.first
            total += int((view.offsets[local + 1] - view.offsets[local]).sum())
        return total

    def _space(self, view: SegmentView) -> _Space:
        spaces: dict[int, _Space] | None = getattr(self._workspace, "spaces", None)
        if spaces is None:
            spaces = self._workspace.spaces = {}
        if view.first not in spaces:
            spaces[view.first] = _Space(view.documents)
        return spaces[view.first]


class _Space:
    """Working memory of one thread for one segment. Totals whose stamp is old are never read."""

    def __init__(self, documents: int) -> None:
        self.stamps = np.zeros(documents, np.uint32)
        self.totals = np.zeros(documents, np.float32)
        self._base = 0

    def next_base(self) -> int:
        """Return a number above every stamp used so far."""
        base = self._base
        if base > 2**32 - 1_000:
            self.stamps[:] = 0
            base = 0
        self._base = base + 64
        return base


def _best_with_ties(scores: Floats, count: int) -> Ints:
    """Return the positions, ascending, of the ``count`` best scores and of all that equal the last of them."""
    if len(scores) <= count:
        return np.arange(len(scores), dtype=np.int64)
    last = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= last)
