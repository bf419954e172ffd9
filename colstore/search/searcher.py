"""The pipeline: probe -> gather -> prune -> score -> cut, or score everything where that is cheaper.

Documents, and the passages that they consist of, are numbered through the index in the order of its segments. Passages
are gathered and scored; documents are counted, pruned, cut and returned. Where each document is one passage, the two
numbers are the same, and nothing is converted.

A score depends on the query, the document and its stored codes alone: it is that of the document's best passage, all of
which are scored. The integer score decides which documents are refined, and the refined float score is returned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from colstore.codec import Codec
from colstore.config import SearchParams
from colstore.errors import QueryError
from colstore.kernels import calls
from colstore.kernels.calls import Floats, Ints
from colstore.search.passages import PassageNumbers, by_document, first_best
from colstore.search.query import PreparedQuery, check_query
from colstore.search.segment_view import SegmentView, Tokens
from colstore.store import Segment
from colstore.threads import in_threads
from colstore.types import FloatMatrix
from colstore.values import as_integer

BLOCK_PASSAGES = 2_048
"""Passages that one call of the scorer takes, which bounds memory and lets threads share a scan."""
COARSE_PASSAGES = 4
"""Passages for each candidate that the centroid interaction looks at, on average; a candidate's best one always."""
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
    passages
        The number of the passage that has the score in its document, from 0, ``(n,)`` int64; ``None`` where each
        document is one passage.
    """

    documents: Ints
    scores: Floats
    passages: Ints | None = None


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
    """Passages with their integer scores and, for each pass, the tokens that the query tokens matched."""

    passages: Ints
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
    shows_passages
        Whether hits name their passage also where every document is a single one.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        codec: Codec,
        params: SearchParams | None = None,
        deleted: Sequence[Ints | None] = (),
        *,
        shows_passages: bool = False,
    ) -> None:
        self.codec, self.shows_passages = codec, shows_passages
        self.params = params or SearchParams()
        self.views: list[SegmentView] = []
        documents = passages = 0
        for number, segment in enumerate(segments):
            self.views.append(SegmentView(segment, codec, documents, deleted[number] if deleted else None, passages))
            documents += segment.documents
            passages += segment.passages
        self.documents = documents
        self._alive_mask = self._without(deleted)
        self.alive = None if self._alive_mask is None else np.flatnonzero(self._alive_mask)
        self.tokens = sum(segment.entry.live_tokens for segment in segments)
        self._first = np.array([view.first for view in self.views] + [documents], np.int64)
        self._first_passage = np.array([view.first_passage for view in self.views] + [passages], np.int64)
        self._workspace = threading.local()

    @cached_property
    def numbers(self) -> PassageNumbers | None:
        """Which passages belong to which document; ``None`` where each document is one passage."""
        segments = [view.segment for view in self.views]
        if not any(segment.has_passages for segment in segments):
            return None
        return PassageNumbers.joined([segment.passage_tables()[0] for segment in segments])

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
        passages = self._passages(ascending)
        for view, part in self._by_segment(passages):
            view.prefetch(passages[part] - view.first_passage)
        return self._cut(query, self._score(query, ascending, threads), k or max(1, len(documents)))

    def shortlist(self, vectors: FloatMatrix, probes: int, count: int) -> Shortlist:
        """Return the ``count`` documents that gained most while gathering, with the scores that pruning uses."""
        query = PreparedQuery(check_query(vectors, self.codec.centroids.dim), self.codec)
        passages, gains = self._gather(query, probes, self.alive)
        if self.numbers is None:
            best = np.argsort(-gains, kind="stable")[:count]
            order = best[np.argsort(passages[best], kind="stable")]
            return Shortlist(passages[order], gains[order], self._coarse(query, passages[order]))
        return self._shortlist(query, passages, gains, count)

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
        """Return the passages near the probed centroids, and the gain of each."""
        numbered: list[Ints] = []
        gained: list[Floats] = []
        lists = [calls.probe(query_pass, query.table(number), probes) for number, query_pass in enumerate(query.passes)]
        for view in self.views:
            passages, gains = self._gather_view(query, lists, view)
            numbered.append(passages.astype(np.int64) + view.first_passage)
            gained.append(gains)
        numbers, total = np.concatenate(numbered), np.concatenate(gained)
        if allowed is not None:
            documents = numbers if self.numbers is None else self.numbers.documents(numbers)
            keep = self._mask(allowed)[documents]
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
            passages = calls.gather(probes, query_pass.tokens, offsets, postings, space.stamps, base, space.totals)
            parts.append((passages, space.totals[passages]))
        if len(parts) == 1:
            return parts[0]
        totals = np.zeros(view.passages, np.float32)
        met = np.zeros(view.passages, bool)
        for passages, gains in parts:
            totals[passages] += gains
            met[passages] = True
        together = np.flatnonzero(met).astype(np.uint32)
        return together, totals[together]

    def _prune(self, query: PreparedQuery, passages: Ints, gains: Floats, candidates: int, scored: int) -> Ints:
        """Return of the ``candidates`` best documents by gain the ``scored`` best by centroid interaction."""
        if self.numbers is not None:
            shortlist = self._shortlist(query, passages, gains, candidates)
            return shortlist.documents[calls.select(shortlist.coarse, scored)]
        documents = np.sort(passages[calls.select(gains, candidates)])
        if len(documents) <= scored:
            return documents
        return documents[calls.select(self._coarse(query, documents), scored)]

    def _shortlist(self, query: PreparedQuery, passages: Ints, gains: Floats, count: int) -> Shortlist:
        """Return the ``count`` best documents by the gain of their best passage.

        The centroid interaction looks at the passages that gained most, and at the best one of each document.
        """
        assert self.numbers is not None
        order = np.argsort(passages)
        passages, gains = passages[order], gains[order]
        documents, starts, best = by_document(self.numbers.documents(passages), gains)
        chosen = np.sort(calls.select(best, count))
        looked_at = np.zeros(len(passages), bool)
        looked_at[calls.select(gains, COARSE_PASSAGES * count)] = True
        looked_at[first_best(starts, gains, best)] = True
        is_chosen = np.zeros(len(documents), bool)
        is_chosen[chosen] = True
        looked_at &= np.repeat(is_chosen, np.diff(np.append(starts, len(passages))))
        some = passages[looked_at]
        _, _, coarse = by_document(self.numbers.documents(some), self._coarse(query, some))
        return Shortlist(documents[chosen], best[chosen], coarse)

    def _coarse(self, query: PreparedQuery, passages: Ints) -> Floats:
        """Return the centroid interaction of passages (ascending numbers)."""
        coarse = np.zeros(len(passages), np.float32)
        for view, part in self._by_segment(passages):
            local = passages[part] - view.first_passage
            for number, query_pass in enumerate(query.passes):
                coarse[part] += view.interact(query_pass, query.table(number), local)
        return coarse

    def _score(self, query: PreparedQuery, documents: Ints, threads: int) -> _Scored:
        """Score all passages of documents (ascending numbers) on their stored codes."""
        passages = self._passages(documents)
        blocks = [
            (view, passages[i : min(i + BLOCK_PASSAGES, part.stop)] - view.first_passage)
            for view, part in self._by_segment(passages)
            for i in range(part.start, part.stop, BLOCK_PASSAGES)
        ]
        for number in range(len(query.passes)):
            if self.codec.bits < 16:
                query.table(number)  # before threads would each make their own
        parts = in_threads(lambda block: self._score_block(query, *block), blocks, threads)
        if not parts:
            return _Scored(passages, np.zeros(0, np.float32), [np.zeros((0, 8), np.int32) for _ in query.passes])
        tokens = [np.concatenate([part[1][n] for part in parts]) for n in range(len(query.passes))]
        return _Scored(passages, np.concatenate([part[0] for part in parts]), tokens)

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
        if self.numbers is None:
            keep = _best_with_ties(scored.scores, k + max(REFINED_SPARE, k // 4))
            return _first(k, scored.passages[keep], self._refined(query, scored, keep))
        owners = self.numbers.documents(scored.passages)
        documents, starts, best = by_document(owners, scored.scores)
        kept = np.zeros(len(documents), bool)
        kept[_best_with_ties(best, k + max(REFINED_SPARE, k // 4))] = True
        keep = np.flatnonzero(np.repeat(kept, np.diff(np.append(starts, len(owners)))))
        refined = self._refined(query, scored, keep)
        documents, starts, best = by_document(owners[keep], refined)
        matched = scored.passages[keep][first_best(starts, refined, best)] if len(keep) else keep
        return _first(k, documents, best, matched - self.numbers.first[documents])

    def _refined(self, query: PreparedQuery, scored: _Scored, rows: Ints) -> Floats:
        """Return the refined scores of some of the scored passages (ascending rows)."""
        if self.codec.bits == 16:
            return scored.scores[rows]
        passages = scored.passages[rows]
        total = np.zeros(len(passages), np.float32)
        for view, part in self._by_segment(passages):
            local = passages[part] - view.first_passage
            for query_pass, matched in zip(query.passes, scored.tokens, strict=True):
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

    def _passages(self, documents: Ints) -> Ints:
        """Return the passages of documents (ascending numbers)."""
        return documents if self.numbers is None else self.numbers.of(documents)

    def _by_segment(self, passages: Ints) -> Iterator[tuple[SegmentView, slice]]:
        """Yield each view with its slice of ascending passage numbers."""
        return self._sliced(passages, self._first_passage)

    def _by_view(self, documents: Ints) -> Iterator[tuple[SegmentView, slice]]:
        """Yield each view with its slice of ascending document numbers."""
        return self._sliced(documents, self._first)

    def _sliced(self, numbers: Ints, first: Ints) -> Iterator[tuple[SegmentView, slice]]:
        cuts = np.searchsorted(numbers, first)
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
            spaces[view.first] = _Space(view.passages)
        return spaces[view.first]


class _Space:
    """Working memory of one thread for one segment. Totals whose stamp is old are never read."""

    def __init__(self, passages: int) -> None:
        self.stamps = np.zeros(passages, np.uint32)
        self.totals = np.zeros(passages, np.float32)
        self._base = 0

    def next_base(self) -> int:
        """Return a number above every stamp used so far."""
        base = self._base
        if base > 2**32 - 1_000:
            self.stamps[:] = 0
            base = 0
        self._base = base + 64
        return base


def _first(k: int, documents: Ints, scores: Floats, passages: Ints | None = None) -> Ranked:
    """Return the ``k`` best documents and all that tie with the last of them."""
    order = np.argsort(-scores, kind="stable")
    if len(order) > k:
        order = order[: int(np.searchsorted(-scores[order], -scores[order[k - 1]], side="right"))]
    return Ranked(documents[order], scores[order], None if passages is None else passages[order])


def _best_with_ties(scores: Floats, count: int) -> Ints:
    """Return the positions, ascending, of the ``count`` best scores and of all that equal the last of them."""
    if len(scores) <= count:
        return np.arange(len(scores), dtype=np.int64)
    last = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= last)
