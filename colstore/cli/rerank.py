"""``colstore rerank``: a first stage's run, ranked anew from the stored vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colstore.cli.output import emit
from colstore.cli.staging import stage_of, stage_options
from colstore.types import Hit

if TYPE_CHECKING:
    from colstore.search.runs import RunReport

_EPILOG = """\b
Example:
  $ colstore rerank demo.colstore --run bm25.trec --queries data/queries.jsonl -o maxsim.trec
  $ colstore rerank demo.colstore --run bm25.trec --queries data -k 10 --fusion reciprocal

\b
RUN may be a TREC run (six columns), MS MARCO's three columns, or JSON lines with query_id, doc_id and score or
rank; each also as .gz. Lines of a query stand together; its candidates count by falling score.
The result is a TREC run, ranks from 1, tag colstore-maxsim (with --rerank: colstore- and the model's name), or
JSON lines with --layout jsonl. What became of the run is told on standard output with -o, else on standard
error.
"""


@click.command("rerank", epilog=_EPILOG)
@click.argument("index")
@click.option("--run", required=True, help="The first stage's run; - reads standard input.")
@click.option("--queries", required=True, help="Their texts: a BEIR folder, .jsonl or .tsv.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File of the new run; default: standard output.")
@click.option(
    "--layout",
    type=click.Choice(["trec", "msmarco", "jsonl"]),
    default="trec",
    show_default=True,
    help="Of the output.",
)
@click.option("--tag", help="Last column of a TREC run; one word.")
@click.option("-k", type=click.IntRange(min=1), help="Hits a query; default: all candidates.")
@click.option(
    "--missing",
    type=click.Choice(["error", "last", "score"]),
    default="error",
    show_default=True,
    help="Candidates without stored vectors: stop; keep them below the others; score them by their text (--texts).",
)
@click.option("--texts", help="Corpus with the texts of missing candidates, as for `colstore build`; kept in memory.")
@click.option(
    "--fusion",
    default="replace",
    show_default=True,
    metavar="RULE",
    help="Of the first stage's score and MaxSim: replace, interpolate[:WEIGHT] or reciprocal[:CONSTANT].",
)
@click.option(
    "--early-exit",
    type=click.IntRange(min=1),
    help="Stop a query after so many candidates in a row that did not come among the best -k. What stands behind "
    "can be lost.",
)
@click.option(
    "--skip-unknown-queries", is_flag=True, help="Leave out queries of the run without a text; they are counted."
)
@click.option("--skip-duplicates", is_flag=True, help="Keep the first of two lines for one document; they are counted.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads that share queries.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@stage_options
def command(
    index: str,
    run: str,
    queries: str,
    output: Path | None,
    layout: str,
    tag: str | None,
    k: int | None,
    missing: str,
    texts: str | None,
    fusion: str,
    early_exit: int | None,
    skip_unknown_queries: bool,
    skip_duplicates: bool,
    threads: int,
    as_json: bool,
    **staging: Any,  # noqa: ANN401 - see stage_options
) -> None:
    """Rank the candidates of a RUN anew by MaxSim, from the vectors stored in INDEX.

    Only the candidates' vectors are read; a run of any length is taken some queries at a time.
    """
    import colstore

    stage = stage_of(**staging)
    with colstore.open(index) as opened:
        answers = opened.rerank_run(
            run,
            queries,
            k=k,
            missing=missing,  # type: ignore[arg-type]  # one of the choices
            texts=_texts(texts),
            fusion=fusion,
            early_exit=early_exit,
            reranker=stage,
            on_duplicate="skip" if skip_duplicates else "error",
            on_unknown_query="skip" if skip_unknown_queries else "error",
            threads=threads,
        )
        name = "maxsim" if stage is None else stage.reranker.name
        _write(answers, output, layout, tag or f"colstore-{name}")
    _tell(answers.report, as_json, beside=output is None)


def _write(answers: Iterable[tuple[str, list[Hit]]], output: Path | None, layout: str, tag: str) -> None:
    from colstore.corpus import write_run

    write_run(output or _Lines(), _lines(answers), layout=layout, tag=tag)  # type: ignore[arg-type]  # one of the choices


def _lines(answers: Iterable[tuple[str, list[Hit]]]) -> Iterator[Any]:
    from colstore.corpus import RunLine

    for query_id, hits in answers:
        for hit in hits:
            yield RunLine(query_id, hit.id, hit.rank, hit.score)


class _Lines:
    """Standard output as a text file, one whole line at a time, safe for closed pipes."""

    def write(self, text: str) -> int:
        """Print lines."""
        emit(text.removesuffix("\n"))
        return len(text)


def _texts(corpus: str | None) -> dict[str, str] | None:
    if corpus is None:
        return None
    from colstore.corpus import read_documents

    return {document.id: document.passage for document in read_documents(corpus)}


def _tell(report: RunReport, as_json: bool, *, beside: bool) -> None:
    """Say what became of the run: on standard output, or ``beside`` it where the run itself is there."""
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=True), err=beside)
        return
    stages = ", ".join(f"{count:,} by {stage}" for stage, count in sorted(report.hits.items()))
    click.echo(f"{report.queries:,} queries, {report.lines:,} candidates; hits: {stages or 'none'}", err=beside)
    if report.unknown_queries:
        click.echo(f"{report.unknown_queries:,} queries of the run have no text and were left out", err=beside)
    if report.intake.skipped_duplicates:
        click.echo(f"{report.intake.skipped_duplicates:,} duplicate lines were skipped", err=beside)
    for example in report.to_json()["examples"][:5]:  # type: ignore[index,union-attr]  # a list of texts
        click.echo(f"  {example}", err=beside)
