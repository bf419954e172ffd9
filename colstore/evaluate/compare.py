"""Which way to search, on this corpus: all of them built, asked, timed and judged side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from colstore.config import Bits, OnError
from colstore.corpus import CorpusSource, ReadReport
from colstore.errors import MissingDependencyError
from colstore.evaluate.advice import advise
from colstore.evaluate.bench import Asked, Bench, agreement, late, words, words_then_late
from colstore.evaluate.bi_encoder import BiEncoder, SentenceBiEncoder
from colstore.evaluate.comparison import Comparison, Family, Row
from colstore.evaluate.config import EXACT, CompareConfig
from colstore.evaluate.cross_encoder import CrossStage, load_cross_encoder
from colstore.evaluate.evaluation import Judging
from colstore.evaluate.exact import bi_encoded, exact, mean_of_tokens
from colstore.evaluate.inputs import drawn, encoded, loaded, named, spooled, workspace
from colstore.evaluate.judgements import (
    Coverage,
    QrelsSource,
    Questions,
    check_documents,
    load_qrels,
    load_questions,
    relevant,
    without_relevant,
)
from colstore.evaluate.machine import latency, machine
from colstore.evaluate.measures import Qrels, Run, per_query, standard_measures
from colstore.reports import Listener
from colstore.types import Encoder, Json, Reranker


def compare(
    corpus: CorpusSource,
    queries: Questions,
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
    device: str | None = None,
    on_error: OnError = "error",
    on_duplicate: OnError = "error",
    confidence: float = 0.95,
    samples: int = 10_000,
    progress: Listener | None = None,
) -> Comparison:
    """Try every way to search on a corpus with judged queries, side by side.

    Documents are encoded once, into a spool on disk that all ways read; questions once, one by one. Every way is built,
    asked each question on one thread, and timed from the question to the ranked ids. Temporary files are removed,
    also after an error or Ctrl-C.

    Parameters
    ----------
    corpus
        As for :func:`colstore.build`; documents with vectors of their own are not encoded.
    queries, qrels
        As for :func:`colstore.evaluate.evaluate_index`.
    model
        Of token vectors: folder, hub name, ``"embedded"`` or an encoder; ``None`` where documents and questions all
        bring vectors.
    bi_encoder
        Of the row with one vector a document; without one, the mean of the token vectors stands in.
    cross_encoder
        Of the last stage; without one its rows are left out.
    config
        What is compared, see :class:`CompareConfig`.
    keep_vectors
        A folder that keeps the documents' vectors; used instead of encoding when it has them already.
    work_folder
        Where temporary files go: some (4 + 1) bytes a component of all token vectors; by default where the system
        keeps such files.
    backend, trust_remote_code, device
        Of the models, see :func:`colstore.build`.
    on_error, on_duplicate
        ``"error"``, or ``"skip"``: count, note and go on.
    confidence, samples
        Of the bootstrap intervals.
    progress
        Called every now and then.

    Raises
    ------
    CorpusError
        Something cannot be read, or queries, judgements and documents do not belong together.
    MissingDependencyError
        ``ir-measures`` is not installed. Ways that need another missing package are left out, and noted.
    """
    plan = CompareConfig() if config is None else config
    questions, everything = load_questions(queries), load_qrels(qrels)
    asked, judged = drawn(questions, everything, plan.max_queries, plan.seed)
    per_query(standard_measures(plan.k), judged, {})  # what is missing is told now, and not after an hour
    encoder = loaded(model, corpus, backend, trust_remote_code=trust_remote_code, device=device)
    bi, cross = _other_models(bi_encoder, cross_encoder, trust_remote_code=trust_remote_code, device=device)
    intake, notes = ReadReport(), list[str]()
    with workspace(None if work_folder is None else Path(work_folder)) as folder:
        spool = spooled(
            corpus,
            encoder,
            folder / "vectors" if keep_vectors is None else Path(keep_vectors),
            keep=keep_vectors is not None,
            on_error=on_error,
            on_duplicate=on_duplicate,
            report=intake,
            progress=progress,
        )
        notes += _intake_notes(intake, spool.table["truncated"])
        coverage = _coverage(questions, everything, judged, set(spool.ids))
        asking = encoded(asked, encoder, spool.dim, notes)
        with Bench(spool, asking, folder, plan.k, plan.seed, cross is not None, progress) as bench:
            judging = Judging(standard_measures(plan.k), plan.k, confidence, samples, plan.seed)
            rows, runs = _Trials(bench, plan, judging, judged, bi, cross, notes).rows()
    settings: dict[str, Json] = {
        "model": named(encoder),
        "bi_encoder": named(bi),
        "cross_encoder": named(cross),
        "k": plan.k,
        "candidates": plan.bm25_candidates,
        "read": plan.rerank_depth,
        "main_bits": plan.main,
        "seed": plan.seed,
        "confidence": confidence,
        "samples": samples,
        "machine": machine(),
    }
    return Comparison(
        rows, tuple(judged), len(spool), spool.tokens, spool.dim, coverage, settings, notes, advise(rows), runs
    )


Way = Callable[[Bench], Asked]


@dataclass(frozen=True)
class _Trials:
    """The ways of a plan, tried one after the other."""

    bench: Bench
    plan: CompareConfig
    judging: Judging
    judged: Qrels
    bi: BiEncoder | None
    cross: Reranker | None
    notes: list[str]

    def rows(self) -> tuple[list[Row], dict[str, Run]]:
        """Try each way of the plan that can be tried; what cannot is noted."""
        rows: list[Row] = []
        runs: dict[str, Run] = {}
        for (key, label, family), way, needs_texts in self.ways():
            if needs_texts and not (self.bench.questions.texts and self.bench.spool.has_texts):
                self.notes.append(f"{label} was left out: it needs the texts of documents and queries")
                continue
            try:
                asked = way(self.bench)
            except MissingDependencyError as error:
                self.notes.append(f"{label} was left out: {error}")
                continue
            runs[key] = asked.run
            rows.append(self.row(key, label, family, asked))
        if EXACT in runs:
            rows = [replace(row, agreement=agreement(runs[row.key], runs[EXACT])) for row in rows]
        return rows, runs

    def ways(self) -> Iterator[tuple[tuple[str, str, Family], Way, bool]]:
        """Yield each row's names, what makes it, and whether that needs texts."""
        plan, bi = self.plan, self.bi
        ways: dict[str, tuple[Way, bool]] = {
            "bm25": (words, True),
            "mean": (mean_of_tokens, False) if bi is None else (partial(bi_encoded, model=bi), True),
            EXACT: (exact, False),
            "bm25-maxsim": (partial(words_then_late, bits=plan.main, candidates=plan.bm25_candidates), True),
        }
        ways |= {f"{bits}-bit": (partial(_once, bits=bits, main=plan.main), False) for bits in plan.bits}
        for factor in plan.pool_factors:
            ways[f"pool-{factor:g}"] = partial(_once, bits=plan.main, main=plan.main, pool=factor), False
        if self.cross is not None:
            stage = CrossStage(self.cross, plan.main, plan.rerank_depth, self.judged)
            ways |= {"cross-always": (stage.always, True), "cross-uncertain": (stage.uncertain, True)}
        for names in plan.names():
            if names[0] in ways and names[0] not in plan.skip:
                yield names, *ways[names[0]]

    def row(self, key: str, label: str, family: Family, asked: Asked) -> Row:
        """Return what one way came to."""
        queries = len(self.judged)
        found = self.judging.judge(asked.run, self.judged, Coverage(queries))
        return Row(
            key=key,
            label=label,
            family=family,
            values=found.values,
            intervals=found.intervals,
            latency=latency(asked.milliseconds, asked.encode),
            build_seconds=asked.build_seconds,
            encode_seconds=asked.encode_seconds,
            bytes_per_document=asked.bytes / len(self.bench.spool),
            pairs=asked.pairs / queries,
            yardstick=key == EXACT,
            base=f"{self.plan.main}-bit" if family == "cross-encoder" else "",
        )


def _once(bench: Bench, bits: Bits, main: Bits, pool: float = 1.0) -> Asked:
    """Try one codec and pool factor; the index is dropped unless later ways need it."""
    asked = late(bench, bits, pool)
    if (bits, pool) != (main, 1.0):
        bench.drop(bits, pool)
    return asked


def _other_models(
    bi_encoder: str | BiEncoder | None,
    cross_encoder: str | Reranker | None,
    *,
    trust_remote_code: bool,
    device: str | None,
) -> tuple[BiEncoder | None, Reranker | None]:
    """Return bi-encoder and cross-encoder, loaded where they are named."""
    bi = bi_encoder
    if isinstance(bi, str):
        bi = SentenceBiEncoder(bi, trust_remote_code=trust_remote_code, device=device)
    return bi, load_cross_encoder(cross_encoder, trust_remote_code=trust_remote_code, device=device)


def _coverage(questions: Mapping[str, object], everything: Qrels, judged: Qrels, ids: set[str]) -> Coverage:
    wanted = relevant(judged)
    unknown = len(wanted - ids)
    check_documents(wanted, unknown, "relevant", "in the corpus")
    return Coverage(
        queries=len(judged),
        unjudged_queries=sum(name not in everything for name in questions),
        unasked_queries=sum(name not in questions for name in everything),
        without_relevant=without_relevant(judged),
        unknown_documents=unknown,
    )


def _intake_notes(intake: ReadReport, truncated: int) -> list[str]:
    counts = (
        (intake.skipped_errors, "documents could not be read and were skipped"),
        (intake.skipped_duplicates, "documents came a second time and were skipped"),
        (intake.skipped_empty, "empty documents were skipped"),
        (truncated, "documents are longer than the model reads: their ends are not in the vectors"),
    )
    return [f"{count:,} {what}" for count, what in counts if count]
