"""``colstore rerank``: the run of a first stage, ranked again from the stored vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.failures import refuse_to_replace
from colstore.cli.options import (
    ONE_OR_MORE,
    ignore_identical_ids_option,
    json_option,
    k_option,
    layout_option,
    on_duplicate_option,
    on_error_option,
    overwrite_option,
    queries_option,
    stage_of,
    stage_options,
    threads_option,
)
from colstore.cli.output import emit, emit_json, message_line, one_line
from colstore.cli.progress import shown_progress
from colstore.reports import Listener, Progress, ReadReport
from colstore.types import Hit, Json

if TYPE_CHECKING:
    from colstore.corpus.runs import RunLayout
    from colstore.search.runs import RunReport

_EPILOG = """\b
Example:
  $ colstore rerank demo.colstore --run bm25.trec --queries data/queries.jsonl -o maxsim.trec
  $ colstore rerank demo.colstore --run bm25.trec --queries data -k 10 --fusion reciprocal

A run is a file in TREC's six columns, in MS MARCO's three columns, or of JSON lines with query_id, doc_id and score or
rank; each may be gzipped. The lines of a query must stand together; its candidates are taken by falling score.

The result is a TREC run with ranks from 1 and the tag colstore-maxsim (with --reranker: colstore- and the model's
name), unless --layout says otherwise. The report on the run is printed to standard output with -o, else to standard
error.
"""


@click.command("rerank", epilog=_EPILOG)
@click.argument("index")
@click.option(
    "--run",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Run of the first stage to rank again; '-' reads standard input.",
)
@queries_option("Texts of the queries in the run: a BEIR folder, a JSONL or a TSV file.", required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    show_default="standard output",
    help="File for the new run, gzipped if its name ends in .gz.",
)
@overwrite_option("Replace the file at the output path.")
@layout_option("the new run")
@click.option("--tag", metavar="WORD", help="Last column of a TREC run.")
@k_option(None, "Number of hits to return for each query.", shown="all candidates")
@click.option(
    "--missing",
    type=click.Choice(["error", "last", "score"]),
    default="error",
    show_default=True,
    help="Candidate without stored vectors: stop, rank it below the others, or score it by its text (see --texts).",
)
@click.option(
    "--texts",
    metavar="CORPUS",
    help="Corpus with the texts of missing candidates, in any form that `colstore build` takes. It is held in memory.",
)
@click.option(
    "--fusion",
    default="replace",
    show_default=True,
    metavar="RULE",
    help="How to combine the scores of the first stage and MaxSim: replace, interpolate[:WEIGHT] or "
    "reciprocal[:CONSTANT].",
)
@click.option(
    "--early-exit",
    type=ONE_OR_MORE,
    metavar="N",
    help="End a query after N candidates in a row that did not reach the best -k. Candidates behind them are not "
    "scored, so use it only with a first stage that orders well.",
)
@click.option(
    "--on-unknown-query",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="Query of the run whose text is not in --queries: stop, or leave it out and count it.",
)
@ignore_identical_ids_option
@on_duplicate_option("error", "skip", what="Document that occurs twice for a query, or id that occurs twice in --texts")
@on_error_option
@stage_options
@threads_option("Number of threads that share the queries.")
@json_option
def command(
    index: str,
    run: str,
    queries: Path,
    output: Path | None,
    overwrite: bool,
    layout: str | None,
    tag: str | None,
    k: int | None,
    missing: str,
    texts: str | None,
    fusion: str,
    early_exit: int | None,
    on_unknown_query: str,
    ignore_identical_ids: bool,
    on_duplicate: str,
    on_error: str,
    threads: int,
    as_json: bool,
    **stage_settings: Any,  # noqa: ANN401 - see stage_options
) -> None:
    """Rank the candidates of a run again by MaxSim.

    Only the vectors of the candidates are read from INDEX. A run of any length is taken some queries at a time.
    """
    import colstore
    from colstore.corpus.run_layout import layout_for

    refuse_to_replace(output, overwrite=overwrite)
    chosen = layout_for(output, layout)
    _check_run_fits(run, chosen)
    intake = ReadReport()
    stage = stage_of(**stage_settings)
    with colstore.open(index) as opened, shown_progress() as progress:
        ranked = opened.rerank_run(
            run,
            queries,
            k=k,
            missing=missing,  # type: ignore[arg-type]  # one of the choices
            texts=_texts(texts, on_error, on_duplicate, intake),
            fusion=fusion,
            early_exit=early_exit,
            reranker=stage,
            on_duplicate=on_duplicate,  # type: ignore[arg-type]  # one of the choices
            on_unknown_query=on_unknown_query,  # type: ignore[arg-type]  # one of the choices
            ignore_identical_ids=ignore_identical_ids,
            threads=threads,
        )
        name = "maxsim" if stage is None else stage.reranker.name
        _write(_counted(ranked, progress), output, chosen, tag or f"colstore-{name}")
    _show_report(ranked.report, intake, as_json, beside_run=output is None)


def _check_run_fits(run: str, layout: RunLayout) -> None:
    """Check before the work that the new run has room for the ids of the old one, if that is a file that can hold any.

    Raises
    ------
    CorpusError
        An id holds white space, which the layout has no room for.
    """
    from colstore.corpus.lines import existing_file, read_sound_lines
    from colstore.corpus.runs import check_ids_fit, read_run

    path = existing_file(run, "runs/bm25.trec.gz")
    first = None if path is None or layout == "jsonl" else next(iter(read_sound_lines(path)), None)
    if first is None or not (first.text.lstrip().startswith("{") or "\t" in first.text):
        return  # standard input is read once, and columns between spaces have no room for such ids either
    ids = (name for line in read_run(run, on_duplicate="skip") for name in (line.query_id, line.doc_id))
    check_ids_fit(ids, layout)


def _texts(corpus: str | None, on_error: str, on_duplicate: str, intake: ReadReport) -> dict[str, str] | None:
    if corpus is None:
        return None
    from colstore.corpus import read_documents

    documents = read_documents(
        corpus,
        on_error=on_error,  # type: ignore[arg-type]  # one of the choices
        on_duplicate=on_duplicate,  # type: ignore[arg-type]  # one of the choices
        report=intake,
    )
    return {document.id: document.passage for document in documents}


def _counted(ranked: Iterable[tuple[str, list[Hit]]], progress: Listener | None) -> Iterator[tuple[str, list[Hit]]]:
    """Pass on the queries, and tell the listener how many there were so far."""
    started = perf_counter()
    for number, one in enumerate(ranked, start=1):
        if progress is not None:
            progress(Progress("rerank", number, None, "queries", 0, perf_counter() - started))
        yield one


def _write(ranked: Iterable[tuple[str, list[Hit]]], output: Path | None, layout: RunLayout, tag: str) -> None:
    from colstore.corpus import write_run

    write_run(output or _Lines(), _run_lines(ranked), layout=layout, tag=tag)  # type: ignore[arg-type]  # writes like a file


def _run_lines(ranked: Iterable[tuple[str, list[Hit]]]) -> Iterator[Any]:
    from colstore.corpus import RunLine

    for query_id, hits in ranked:
        for hit in hits:
            yield RunLine(query_id, hit.id, hit.rank, hit.score)


class _Lines:
    """Standard output as a text file, one whole line at a time, safe for closed pipes."""

    def write(self, text: str) -> int:
        """Print lines."""
        emit(text.removesuffix("\n"))
        return len(text)


def _show_report(report: RunReport, intake: ReadReport, as_json: bool, *, beside_run: bool) -> None:
    """Print the report: to standard output, or to standard error where the run itself is on standard output."""
    if as_json and not beside_run:
        emit_json(_json(report, intake))
    elif as_json:
        click.echo(json.dumps(_json(report, intake), ensure_ascii=True), err=True)
    else:
        for line in _lines(report, intake):
            if beside_run:
                click.echo(line, err=True)
            else:
                emit(line)


def _json(report: RunReport, intake: ReadReport) -> dict[str, Json]:
    texts: dict[str, Json] = {"texts": intake.to_json()} if intake.documents or intake.skipped else {}
    return {**report.to_json(), **texts}


def _lines(report: RunReport, intake: ReadReport) -> Iterator[str]:
    stages = ", ".join(f"{count:,} by {stage}" for stage, count in sorted(report.hits.items()))
    yield f"{report.queries:,} queries, {report.lines:,} candidates; hits: {stages or 'none'}"
    if report.unknown_queries:
        yield f"{report.unknown_queries:,} queries of the run have no text and were left out"
    if report.identical_ids:
        was = (
            "candidate with the id of its query was"
            if report.identical_ids == 1
            else ("candidates with the id of their query were")
        )
        yield f"{report.identical_ids:,} {was} left out"
    if report.intake.skipped_duplicates:
        yield f"{report.intake.skipped_duplicates:,} duplicate lines were left out"
    if intake.skipped:
        yield f"texts: {one_line(intake.summary())}"
    for example in [*report.examples, *report.intake.examples][:5]:
        yield f"  {message_line(example)}"
