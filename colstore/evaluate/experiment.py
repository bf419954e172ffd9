"""``compare``: every way to search one corpus is built, searched, timed and evaluated on the same queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from colstore.config import Bits, OnError
from colstore.corpus import CorpusSource, ReadReport
from colstore.errors import MissingDependencyError
from colstore.evaluate.advice import advise
from colstore.evaluate.baselines import run_bi_encoder, run_exact, run_mean
from colstore.evaluate.bi_encoder import BiEncoder, SentenceBiEncoder
from colstore.evaluate.comparison import Comparison, Family, Row
from colstore.evaluate.config import EXACT, CompareConfig
from colstore.evaluate.cross_encoder import CrossStage, load_cross_encoder
from colstore.evaluate.evaluation import Evaluator
from colstore.evaluate.harness import Harness, SystemRun, agreement, run_bm25, run_bm25_maxsim, run_maxsim
from colstore.evaluate.inputs import (
    encode_queries,
    load_model,
    model_name,
    select_queries,
    spool_documents,
    temporary_folder,
)
from colstore.evaluate.judgements import (
    Coverage,
    QrelsSource,
    QuerySource,
    check_documents,
    load_qrels,
    load_queries,
    relevant,
    without_relevant,
)
from colstore.evaluate.machine import latency, machine
from colstore.evaluate.measures import Qrels, Run, per_query, standard_measures
from colstore.evaluate.rankings import identical_ids, without_identical
from colstore.reports import Listener
from colstore.search.notices import QueryNotices
from colstore.types import Encoder, Json, Reranker


def compare(
    corpus: CorpusSource,
    queries: QuerySource,
    qrels: QrelsSource,
    *,
    model: str | Path | Encoder | None = "embedded",
    bi_encoder: str | BiEncoder | None = None,
    cross_encoder: str | Reranker | None = None,
    config: CompareConfig | None = None,
    keep_vectors: str | Path | None = None,
    work_folder: str | Path | None = None,
    backend: str = "auto",
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    device: str | None = None,
    on_error: OnError = "error",
    on_duplicate: OnError = "error",
    ignore_identical_ids: bool = False,
    confidence: float = 0.95,
    samples: int = 10_000,
    progress: Listener | None = None,
) -> Comparison:
    """Compare every way to search a corpus, using queries with relevance judgements.

    The documents are encoded once, into files that all ways to search share; the queries are encoded once, one at a
    time. Each way is built, searched with every query on one thread, and timed from the query to the ranked ids.
    Temporary files are removed at the end, also after an error or Ctrl-C.

    Parameters
    ----------
    corpus
        As for :func:`colstore.build`. Documents that bring vectors are not encoded.
    queries, qrels
        As for :func:`colstore.evaluate.evaluate_index`.
    model
        Model of the token vectors: a folder, a hub name, ``"embedded"`` or an encoder; ``None`` where all documents
        and queries bring vectors.
    bi_encoder
        Model for the row with one vector per document; without one, that row uses the mean of the token vectors.
    cross_encoder
        Model of the last stage; without one, its rows are left out.
    config
        What is compared, see :class:`CompareConfig`.
    keep_vectors
        A folder in which to keep the documents' vectors. If it holds them already, nothing is encoded.
    work_folder
        Folder for temporary files, by default that of the system. It needs about 5 bytes per component of all token
        vectors.
    backend, trust_remote_code, allow_pickle, device
        How models are loaded, as for :func:`colstore.build`.
    on_error, on_duplicate
        What to do with documents that cannot be read, and with ids that occur twice and pairs that are judged twice:
        ``"error"`` raises, ``"skip"`` leaves them out and notes their number.
    ignore_identical_ids
        Whether to leave out documents whose id is that of the query, before cutting at ``k``, as the published figures
        of collections do whose queries are documents themselves (ArguAna, Quora).
    confidence
        Confidence level of the bootstrap intervals, between 0 and 1.
    samples
        Number of bootstrap samples.
    progress
        Called from time to time with the progress.

    Returns
    -------
    Comparison
        One row for each way to search, with notes on what was left out.

    Raises
    ------
    CorpusError
        A file cannot be read, or queries, judgements and documents do not belong together.
    MissingDependencyError
        ``ir-measures`` is not installed. Rows that need another missing package are left out, with a note.
    """
    config = CompareConfig() if config is None else config
    judged, notices = ReadReport(), QueryNotices()
    all_queries, all_qrels = load_queries(queries), load_qrels(qrels, on_duplicate=on_duplicate, report=judged)
    selected, selected_qrels = select_queries(all_queries, all_qrels, config.max_queries, config.seed)
    per_query(standard_measures(config.k), selected_qrels, {})  # a missing package is reported now, not in an hour
    encoder = load_model(
        model, corpus, backend, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle, device=device
    )
    bi, cross = _other_models(
        bi_encoder, cross_encoder, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle, device=device
    )
    intake, notes = ReadReport(), list[str]()
    with temporary_folder(None if work_folder is None else Path(work_folder)) as folder:
        spool = spool_documents(
            corpus,
            encoder,
            folder / "vectors" if keep_vectors is None else Path(keep_vectors),
            keep=keep_vectors is not None,
            on_error=on_error,
            on_duplicate=on_duplicate,
            report=intake,
            progress=progress,
        )
        notes += _intake_notes(intake, spool.table["truncated"], spool.table.get("unreadable", 0))
        coverage = _coverage(all_queries, all_qrels, selected_qrels, set(spool.ids))
        encoded = encode_queries(selected, encoder, spool.dim, notes, notices)
        depth = config.k + ignore_identical_ids  # one more, where the query's own document is left out
        with Harness(spool, encoded, folder, depth, config.seed, cross is not None, progress) as harness:
            evaluator = Evaluator(standard_measures(config.k), config.k, confidence, samples, config.seed)
            experiment = _Experiment(harness, config, evaluator, selected_qrels, bi, cross, notes, ignore_identical_ids)
            rows, runs = experiment.rows()
    coverage = replace(
        coverage,
        duplicate_judgements=judged.skipped_duplicates,
        identical_ids=max((identical_ids(run, selected_qrels) for run in runs.values()), default=0),
        ignored_identical_ids=len(experiment.ignored),
        truncated_queries=notices.truncated,
        unreadable_queries=notices.unreadable,
    )
    settings: dict[str, Json] = {
        "model": model_name(encoder),
        "bi_encoder": model_name(bi),
        "cross_encoder": model_name(cross),
        "k": config.k,
        "candidates": config.bm25_candidates,
        "read": config.rerank_depth,
        "main_bits": config.main_bits,
        "seed": config.seed,
        "confidence": confidence,
        "samples": samples,
        "ignore_identical_ids": ignore_identical_ids,
        "machine": machine(),
    }
    return Comparison(
        rows, tuple(selected_qrels), len(spool), spool.tokens, spool.dim, coverage, settings, notes, advise(rows), runs
    )


System = Callable[[Harness], SystemRun]


@dataclass(frozen=True)
class _Experiment:
    """The ways to search that a configuration names, measured one after the other."""

    harness: Harness
    config: CompareConfig
    evaluator: Evaluator
    qrels: Qrels
    bi_encoder: BiEncoder | None
    cross_encoder: Reranker | None
    notes: list[str]
    ignore_identical_ids: bool = False
    ignored: set[str] = field(default_factory=set)
    """Ids of the queries from whose hits the document of the same id was left out."""

    def rows(self) -> tuple[list[Row], dict[str, Run]]:
        """Measure each way to search; add a note for each one that is left out."""
        rows: list[Row] = []
        runs: dict[str, Run] = {}
        for (key, label, family), system, needs_texts in self.systems():
            if needs_texts and not (self.harness.queries.texts and self.harness.spool.has_texts):
                self.notes.append(f"{label} was left out: it needs the texts of documents and queries")
                continue
            try:
                system_run = self.trimmed(system(self.harness))
            except MissingDependencyError as error:
                self.notes.append(f"{label} was left out: {error}")
                continue
            runs[key] = system_run.run
            rows.append(self.row(key, label, family, system_run))
        if EXACT in runs:
            rows = [replace(row, agreement=agreement(runs[row.key], runs[EXACT])) for row in rows]
        return rows, runs

    def trimmed(self, system_run: SystemRun) -> SystemRun:
        """Leave out documents that are their own query, if asked to, and cut at ``k``."""
        if not self.ignore_identical_ids:
            return system_run
        run = {name: without_identical(name, ranking) for name, ranking in system_run.run.items()}
        self.ignored.update(name for name, ranking in run.items() if len(ranking) < len(system_run.run[name]))
        return replace(system_run, run={name: ranking[: self.config.k] for name, ranking in run.items()})

    def systems(self) -> Iterator[tuple[tuple[str, str, Family], System, bool]]:
        """Yield the key, label and family of each row, the function that measures it, and whether it needs texts."""
        config, bi = self.config, self.bi_encoder
        main = config.main_bits
        systems: dict[str, tuple[System, bool]] = {
            "bm25": (run_bm25, True),
            "mean": (run_mean, False) if bi is None else (partial(run_bi_encoder, model=bi), True),
            EXACT: (run_exact, False),
            "bm25-maxsim": (partial(run_bm25_maxsim, bits=main, candidates=config.bm25_candidates), True),
        }
        systems |= {f"{bits}-bit": (partial(_run_and_drop, bits=bits, main=main), False) for bits in config.bits}
        for factor in config.pool_factors:
            systems[f"pool-{factor:g}"] = partial(_run_and_drop, bits=main, main=main, pool=factor), False
        if self.cross_encoder is not None:
            stage = CrossStage(self.cross_encoder, main, config.rerank_depth, self.qrels)
            systems |= {"cross-always": (stage.run_always, True), "cross-uncertain": (stage.run_uncertain, True)}
        for names in config.row_names():
            if names[0] in systems and names[0] not in config.skip:
                yield names, *systems[names[0]]

    def row(self, key: str, label: str, family: Family, system_run: SystemRun) -> Row:
        """Return the row of one way to search."""
        queries = len(self.qrels)
        evaluation = self.evaluator.evaluate(system_run.run, self.qrels, Coverage(queries))
        return Row(
            key=key,
            label=label,
            family=family,
            values=evaluation.values,
            intervals=evaluation.intervals,
            latency=latency(system_run.search_ms, system_run.encode_ms),
            build_seconds=system_run.build_seconds,
            encode_seconds=system_run.encode_seconds,
            bytes_per_document=system_run.bytes / len(self.harness.spool),
            pairs=system_run.pairs / queries,
            yardstick=key == EXACT,
            base=f"{self.config.main_bits}-bit" if family == "cross-encoder" else "",
        )


def _run_and_drop(harness: Harness, bits: Bits, main: Bits, pool: float = 1.0) -> SystemRun:
    """Measure one codec and pool factor, and drop the index unless later rows need it."""
    system_run = run_maxsim(harness, bits, pool)
    if (bits, pool) != (main, 1.0):
        harness.drop(bits, pool)
    return system_run


def _other_models(
    bi_encoder: str | BiEncoder | None,
    cross_encoder: str | Reranker | None,
    *,
    trust_remote_code: bool,
    allow_pickle: bool,
    device: str | None,
) -> tuple[BiEncoder | None, Reranker | None]:
    """Return the bi-encoder and the cross-encoder, loading those that are given by name."""
    bi = bi_encoder
    if isinstance(bi, str):
        bi = SentenceBiEncoder(bi, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle, device=device)
    return bi, load_cross_encoder(
        cross_encoder, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle, device=device
    )


def _coverage(queries: Mapping[str, object], all_qrels: Qrels, qrels: Qrels, ids: set[str]) -> Coverage:
    """Count which queries and judgements take part; ``qrels`` are those of the selected queries."""
    relevant_ids = relevant(qrels)
    unknown = len(relevant_ids - ids)
    check_documents(relevant_ids, unknown, "relevant", "in the corpus")
    return Coverage(
        queries=len(qrels),
        unjudged_queries=sum(name not in all_qrels for name in queries),
        unasked_queries=sum(name not in queries for name in all_qrels),
        without_relevant=without_relevant(qrels),
        unknown_documents=unknown,
    )


def _intake_notes(intake: ReadReport, truncated: int, unreadable: int) -> list[str]:
    """Return a note for each kind of document that was skipped, or that the model could not read whole."""
    counts = (
        (intake.skipped_errors, "documents skipped because they could not be read"),
        (intake.skipped_duplicates, "documents skipped because their id came before"),
        (intake.skipped_empty, "empty documents skipped"),
        (truncated, "documents longer than the model reads, whose ends the vectors do not cover"),
        (unreadable, "documents mostly unknown to the model's vocabulary, which lacks their script"),
    )
    return [f"{what}: {count:,}" for count, what in counts if count]
