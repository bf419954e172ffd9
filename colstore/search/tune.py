"""The fastest search settings that reach a target recall of the exact top k, measured on the index itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from colstore.config import SearchParams
from colstore.errors import ConfigError, QueryError
from colstore.indexing.meters import StageMeter
from colstore.reports import Listener
from colstore.rerank.calibrate import Calibration, calibrated, calibration_query
from colstore.rerank.order import passage
from colstore.rerank.rerankers import checked_scores
from colstore.rerank.stage import RerankStage
from colstore.search.searcher import Searcher, Shortlist
from colstore.types import FloatMatrix, Hit, Json
from colstore.values import as_number

PSEUDO_QUERIES = 100
PSEUDO_TOKENS = 24
PROBES = (4, 8, 16, 32, 64)
SCORED = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40)
"""Numbers of documents scored, in multiples of k."""
SPREAD = (3, 8, 20)
"""Numbers of candidates for each document scored."""
TIMED_QUERIES = 50
"""Number of queries that promising settings are timed on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was tried.

    Parameters
    ----------
    probes, candidates, scored
        The setting, see :class:`colstore.SearchParams`.
    recall
        Mean share of the exact top k that it finds, 0 to 1.
    milliseconds
        Median time of a search on one thread.
    """

    probes: int
    candidates: int
    scored: int
    recall: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting whose recall is known and whose time is not."""

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
        The fastest settings that reach the target recall; where none does, those with the best recall.
    k
        Number of hits.
    target
        The recall that was to be reached, 0 to 1.
    recall, milliseconds
        Recall and median time of the chosen settings, on the queries that they were chosen with.
    exact_milliseconds
        Median time of scoring every document.
    queries
        Number of queries.
    pseudo
        Whether the queries were made from documents, because the caller passed none.
    curve
        The settings that no other one beats in both recall and time, fastest first.
    """

    params: SearchParams
    k: int
    target: float
    recall: float
    milliseconds: float
    exact_milliseconds: float
    queries: int
    pseudo: bool
    curve: tuple[Trial, ...]

    @property
    def reached(self) -> bool:
        """Whether the target recall was reached."""
        return self.recall >= self.target

    def to_json(self) -> dict[str, Json]:
        """Return the fields as a dict that :mod:`json` can write."""
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
    progress: Listener | None = None,
) -> TuneReport:
    """Measure settings against scoring every document on the same codes, and choose one.

    Parameters
    ----------
    searcher
        The searcher of the index.
    queries
        Token vectors ``(tokens, dim)`` of queries like those to come. ``None`` makes pseudo-queries: runs of 24 tokens
        from the middle of documents. These are easier than real queries, so pass real ones where you can.
    recall
        The share of the exact top ``k`` that is to be found, greater than 0, at most 1.
    k
        Number of hits.
    seed
        Chooses the documents that pseudo-queries are made from.
    progress
        Called for each number of probes with a :class:`colstore.Progress` of the stage ``"tune"``.

    Raises
    ------
    ConfigError
        ``recall`` is out of range.
    QueryError
        There are no queries.
    """
    if not as_number("recall", recall, 0, 1) > 0:
        raise ConfigError(f"recall must be greater than 0, and at most 1, got {recall!r}")
    if queries is not None and not len(queries):
        raise QueryError("there are no queries to tune with: pass some, or None for queries made from documents")
    sample = list(queries) if queries is not None else pseudo_queries(searcher, seed)
    exact, exact_time = _run(searcher, sample, k, SearchParams(exact=True))
    settings = _settings(searcher, sample, exact, k, StageMeter(progress, "tune", "settings", None))
    trials = [_timed(searcher, sample, k, setting) for setting in _undominated(settings)]
    if not trials:  # so few documents that every search scores them all
        params = SearchParams(k=k)
        return TuneReport(params, k, float(recall), 1.0, exact_time, exact_time, len(sample), queries is None, ())
    good = [trial for trial in trials if trial.recall >= recall]
    best = min(good, key=lambda t: t.milliseconds) if good else max(trials, key=lambda t: (t.recall, -t.milliseconds))
    params = SearchParams(probes=best.probes, candidates=best.candidates, scored=best.scored, k=k)
    return TuneReport(
        params=params,
        k=k,
        target=float(recall),
        recall=best.recall,
        milliseconds=best.milliseconds,
        exact_milliseconds=exact_time,
        queries=len(sample),
        pseudo=queries is None,
        curve=_frontier(trials),
    )


def pseudo_queries(searcher: Searcher, seed: int) -> list[FloatMatrix]:
    """Return runs of token vectors from the middle of documents that are drawn at random."""
    generator = np.random.default_rng(seed)
    alive = np.arange(searcher.documents) if searcher.alive is None else searcher.alive
    queries = []
    for document in generator.choice(alive, min(PSEUDO_QUERIES, len(alive)), replace=False):
        view, local = searcher.locate(int(document))
        vectors = view.vectors(local)
        start = max(0, (len(vectors) - PSEUDO_TOKENS) // 2)
        queries.append(vectors[start : start + PSEUDO_TOKENS])
    return queries


def _settings(
    searcher: Searcher,
    queries: Sequence[FloatMatrix],
    exact: list[set[int]],
    k: int,
    meter: StageMeter,
) -> list[_Setting]:
    """Return every setting with its recall, which follows from one shortlist per query and number of probes."""
    most = max(4 * searcher.documents, k)
    grid = [(scored * k * spread, scored * k) for scored in SCORED for spread in SPREAD if scored * k * spread <= most]
    settings: list[_Setting] = []
    for done, probes in enumerate(PROBES if grid else ()):
        meter.of(done, len(PROBES))
        recalls = np.array(
            [
                _recalls(searcher.shortlist(query, probes, grid[-1][0]), top, grid)
                for query, top in zip(queries, exact, strict=True)
            ]
        )
        means = recalls.mean(axis=0)
        settings += [_Setting(probes, *pair, float(mean)) for pair, mean in zip(grid, means, strict=True)]
    if settings:
        meter.of(len(PROBES), len(PROBES))
    return settings


def _recalls(shortlist: Shortlist, top: set[int], grid: Sequence[tuple[int, int]]) -> list[float]:
    """Return which share of the exact top k survives pruning, for each pair of (candidates, scored)."""
    in_top = np.isin(shortlist.documents, list(top))
    by_gain = np.argsort(np.argsort(-shortlist.gains, kind="stable"), kind="stable")
    recalls = []
    for candidates, scored in grid:
        gathered = np.flatnonzero(by_gain < candidates)
        best = gathered[np.argsort(-shortlist.coarse[gathered], kind="stable")[:scored]]
        recalls.append(float(in_top[best].sum()) / len(top))
    return recalls


def _undominated(settings: Sequence[_Setting]) -> list[_Setting]:
    """Leave out every setting that does more work than another one without finding more."""
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
    """Return the top k of each query, and the median time of a search in milliseconds."""
    tops, seconds = [], []
    for query in queries:
        start = perf_counter()
        ranked = searcher.top_documents(query, k, params=params)
        seconds.append(perf_counter() - start)
        tops.append({int(document) for document in ranked.documents[:k]})
    return tops, 1000 * float(np.median(seconds))


def _frontier(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    frontier: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (t.milliseconds, -t.recall)):
        if not frontier or trial.recall > frontier[-1].recall:
            frontier.append(trial)
    return tuple(frontier)


def calibrate(
    stage: RerankStage,
    queries: Sequence[str],
    hits: Sequence[Sequence[Hit]],
    *,
    k: int,
    keep: float,
    judgements: Sequence[Mapping[str, int]] | None = None,
    progress: Listener | None = None,
) -> Calibration:
    """Let the reranker read every hit, and return the threshold, see :func:`colstore.rerank.calibrate.calibrated`.

    Parameters
    ----------
    stage
        The reranker, with its depth and fusion.
    queries
        Texts.
    hits
        The hits of each query by MaxSim, at most ``stage.depth``.
    k, keep
        See :meth:`colstore.Index.calibrate`.
    judgements
        The grades of documents by id, for each query.
    progress
        Called after each query with a :class:`colstore.Progress` of the stage ``"calibrate"``.
    """
    if judgements is not None and len(judgements) != len(queries):
        raise QueryError(
            f"judgements must hold one mapping of grades for each query, got {len(judgements)} for {len(queries)}"
        )
    meter = StageMeter(progress, "calibrate", "queries", None)
    samples = []
    for i, (query, own_hits) in enumerate(zip(queries, hits, strict=True)):
        if own_hits:
            scores = checked_scores(stage.reranker, [(query, passage(hit)) for hit in own_hits])
            grades = None if judgements is None else judgements[i]
            ids, maxsim = [hit.id for hit in own_hits], [hit.score for hit in own_hits]
            samples.append(calibration_query(ids, maxsim, scores.tolist(), grades, k))
        meter.of(i + 1, len(queries))
    return calibrated(samples, k=k, depth=stage.depth, keep=keep, fusion=stage.fusion)
