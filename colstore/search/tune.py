"""Finding the cheapest search settings that reach a wanted recall of the exact top k, on this very index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from colstore.config import SearchParams
from colstore.errors import ConfigError, QueryError
from colstore.rerank.calibrate import Calibration, calibrated, calibration_query
from colstore.rerank.order import passage
from colstore.rerank.rerankers import checked_scores
from colstore.rerank.stage import RerankStage
from colstore.search.searcher import Searcher, Shortlist
from colstore.types import FloatMatrix, Hit, Json

PSEUDO_QUERIES = 100
PSEUDO_TOKENS = 24
PROBES = (4, 8, 16, 32, 64)
SCORED = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40)
"""Documents scored, in multiples of k."""
SPREAD = (3, 8, 20)
"""Candidates for each document scored."""
TIMED_QUERIES = 50
"""Queries that each setting worth its time is timed on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the curve.

    Parameters
    ----------
    probes, candidates, scored
        See :class:`SearchParams`.
    recall
        Mean part of the exact top k found.
    milliseconds
        Median of a search on one thread.
    """

    probes: int
    candidates: int
    scored: int
    recall: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class _Setting:
    """A point whose recall is known and whose time is not."""

    probes: int
    candidates: int
    scored: int
    recall: float


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What tuning tried, and what it chose.

    Parameters
    ----------
    params
        The cheapest settings that reached ``recall``, or the best there were.
    k, wanted
        What was asked for.
    recall, milliseconds
        Of the chosen settings, on the queries they were chosen by.
    exact_milliseconds
        Median of scoring everything.
    queries, pseudo
        How many, and whether they were made from documents.
    curve
        The trials that no other beats in both recall and time, cheapest first.
    """

    params: SearchParams
    k: int
    wanted: float
    recall: float
    milliseconds: float
    exact_milliseconds: float
    queries: int
    pseudo: bool
    curve: tuple[Trial, ...]

    @property
    def reached(self) -> bool:
        """Whether the wanted recall was reached."""
        return self.recall >= self.wanted

    def to_json(self) -> dict[str, Json]:
        """Return plain data, as the manifest keeps it."""
        whole = asdict(self)
        whole["curve"] = [asdict(trial) for trial in self.curve]
        return whole


def tune(
    searcher: Searcher,
    queries: Sequence[FloatMatrix] | None,
    *,
    recall: float,
    k: int,
    seed: int = 0,
    tick: Callable[[int, int], None] | None = None,
) -> TuneReport:
    """Measure settings against exhaustive scoring on the same codes, and choose.

    Parameters
    ----------
    searcher
        Over the index.
    queries
        Token vectors ``(tokens, dim)`` of questions like those to come; ``None`` makes pseudo-queries: runs of 24
        tokens out of the middle of documents. Those are easier than real questions; bring real ones where you can.
    recall
        Wanted part of the exact top ``k``, 0 to 1.
    k
        Hits.
    tick
        Called with (numbers of probes tried, how many there are).
    """
    if not 0 < recall <= 1:
        raise ConfigError(f"recall must lie in (0, 1], got {recall}")
    if queries is not None and not len(queries):
        raise QueryError("there are no queries to tune on")
    asked = list(queries) if queries is not None else pseudo_queries(searcher, seed)
    wanted, exact_time = _run(searcher, asked, k, SearchParams(exact=True))
    settings = _settings(searcher, asked, wanted, k, tick)
    trials = [_timed(searcher, asked, k, setting) for setting in _undominated(settings)]
    if not trials:  # so few documents that every search scores them all
        params = SearchParams(k=k)
        return TuneReport(params, k, recall, 1.0, exact_time, exact_time, len(asked), queries is None, ())
    good = [trial for trial in trials if trial.recall >= recall]
    best = min(good, key=lambda t: t.milliseconds) if good else max(trials, key=lambda t: (t.recall, -t.milliseconds))
    params = SearchParams(probes=best.probes, candidates=best.candidates, scored=best.scored, k=k)
    return TuneReport(
        params, k, recall, best.recall, best.milliseconds, exact_time, len(asked), queries is None, _frontier(trials)
    )


def pseudo_queries(searcher: Searcher, seed: int) -> list[FloatMatrix]:
    """Return runs of token vectors out of the middle of documents drawn at random."""
    generator = np.random.default_rng(seed)
    alive = np.arange(searcher.documents) if searcher.alive is None else searcher.alive
    made = []
    for document in generator.choice(alive, min(PSEUDO_QUERIES, len(alive)), replace=False):
        view, local = searcher.locate(int(document))
        vectors = view.vectors(local)
        start = max(0, (len(vectors) - PSEUDO_TOKENS) // 2)
        made.append(vectors[start : start + PSEUDO_TOKENS])
    return made


def _settings(
    searcher: Searcher,
    queries: Sequence[FloatMatrix],
    wanted: list[set[int]],
    k: int,
    tick: Callable[[int, int], None] | None,
) -> list[_Setting]:
    """Return every setting with its recall. One shortlist a query and number of probes tells it for all of them."""
    most = max(4 * searcher.documents, k)
    grid = [(scored * k * spread, scored * k) for scored in SCORED for spread in SPREAD if scored * k * spread <= most]
    found: list[_Setting] = []
    for done, probes in enumerate(PROBES if grid else ()):
        if tick is not None:
            tick(done, len(PROBES))
        recalls = np.array(
            [
                _recalls(searcher.shortlist(query, probes, grid[-1][0]), answer, grid)
                for query, answer in zip(queries, wanted, strict=True)
            ]
        )
        found += [_Setting(probes, *pair, float(mean)) for pair, mean in zip(grid, recalls.mean(axis=0), strict=True)]
    return found


def _recalls(found: Shortlist, answer: set[int], grid: Sequence[tuple[int, int]]) -> list[float]:
    """Return which part of the answer survives pruning, for each pair of (candidates, scored)."""
    right = np.isin(found.documents, list(answer))
    by_gain = np.argsort(np.argsort(-found.gains, kind="stable"), kind="stable")
    recalls = []
    for candidates, scored in grid:
        kept = np.flatnonzero(by_gain < candidates)
        best = kept[np.argsort(-found.coarse[kept], kind="stable")[:scored]]
        recalls.append(float(right[best].sum()) / len(answer))
    return recalls


def _undominated(settings: Sequence[_Setting]) -> list[_Setting]:
    """Leave out what does more than another setting and finds no more."""
    return [
        one
        for one in settings
        if not any(
            other.probes <= one.probes
            and other.candidates <= one.candidates
            and other.scored <= one.scored
            and other.recall >= one.recall
            and other is not one
            for other in settings
        )
    ]


def _timed(searcher: Searcher, queries: Sequence[FloatMatrix], k: int, setting: _Setting) -> Trial:
    params = SearchParams(setting.probes, setting.candidates, setting.scored, exact_tokens=0)
    _, milliseconds = _run(searcher, queries[:TIMED_QUERIES], k, params)
    return Trial(setting.probes, setting.candidates, setting.scored, setting.recall, milliseconds)


def _run(
    searcher: Searcher, queries: Sequence[FloatMatrix], k: int, params: SearchParams
) -> tuple[list[set[int]], float]:
    found, seconds = [], []
    for query in queries:
        start = perf_counter()
        ranked = searcher.search(query, k, params=params)
        seconds.append(perf_counter() - start)
        found.append({int(document) for document in ranked.documents[:k]})
    return found, 1000 * float(np.median(seconds))


def _frontier(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    kept: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (t.milliseconds, -t.recall)):
        if not kept or trial.recall > kept[-1].recall:
            kept.append(trial)
    return tuple(kept)


def calibrate(
    stage: RerankStage,
    queries: Sequence[str],
    hits: Sequence[Sequence[Hit]],
    *,
    k: int,
    keep: float,
    judgements: Sequence[Mapping[str, int]] | None = None,
) -> Calibration:
    """Have the reranker read every hit, and return the threshold; see :func:`colstore.rerank.calibrate.calibrated`."""
    if judgements is not None and len(judgements) != len(queries):
        raise QueryError(f"{len(judgements)} sets of judgements for {len(queries)} questions")
    samples = []
    for i, (query, some) in enumerate(zip(queries, hits, strict=True)):
        if not some:
            continue
        scores = checked_scores(stage.reranker, [(query, passage(hit)) for hit in some])
        grades = None if judgements is None else judgements[i]
        samples.append(calibration_query([h.id for h in some], [h.score for h in some], scores.tolist(), grades, k))
    return calibrated(samples, k=k, depth=stage.depth, keep=keep, fusion=stage.fusion)
