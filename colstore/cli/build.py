"""``colstore build``: a corpus becomes an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from colstore.cli.failures import Interruption
from colstore.cli.output import emit, emit_json, one_line, size
from colstore.cli.progress import shown_progress
from colstore.config import BACKENDS, BITS, FROZEN_DTYPES, POOLINGS
from colstore.errors import ColstoreError

_EPILOG = """\b
Example:
  $ colstore build data -o demo.colstore
  $ colstore build data -o small.colstore --bits 2 --pool-factor 2 --json
"""


@click.command("build", epilog=_EPILOG)
@click.argument("corpus")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Directory of the new index.")
@click.option(
    "--model",
    default="embedded",
    show_default=True,
    help="Folder or hub name of a late-interaction checkpoint or an ordinary encoder; 'embedded' is the "
    "all-MiniLM-L6-v2 of the extra 'demo', which needs no network.",
)
@click.option(
    "--dim", type=click.IntRange(min=1), show_default="all", help="Project vectors to so many principal axes."
)
@click.option(
    "--bits",
    type=click.Choice([str(bits) for bits in BITS]),
    default="4",
    show_default=True,
    callback=lambda _context, _option, value: int(value),
    help="Bits stored for each component; fewer is smaller and coarser.",
)
@click.option(
    "--pool-factor",
    type=click.FloatRange(min=1.0),
    default=1.0,
    show_default=True,
    help="Keep about one vector in so many (token pooling).",
)
@click.option("--pooling", type=click.Choice(POOLINGS), default="hierarchical", show_default=True, help="How to pool.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    show_default="the model's limit",
    help="Most tokens of a document.",
)
@click.option(
    "--query-length",
    type=click.IntRange(min=1),
    show_default="the model's own",
    help="Most tokens of a query.",
)
@click.option("--no-texts", is_flag=True, help="Keep no titles, texts and metadata in the index.")
@click.option("--overwrite", is_flag=True, help="Replace the index at the output path, once the new one is complete.")
@click.option("--resume", is_flag=True, help="Go on with a build that was interrupted.")
@click.option(
    "--on-error",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="A document that cannot be read: stop, or count it and go on.",
)
@click.option(
    "--on-duplicate",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="An id that came before: stop, or count it, keep the first and go on.",
)
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that the checkpoint brings along.")
@click.option("--revision", help="Branch, tag or commit of a model from a hub.")
@click.option(
    "--device",
    show_default="the fastest there is",
    help="Where the model runs, for example 'cpu' or 'cuda:0'.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Precision that the model is loaded in.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", *BACKENDS]),
    default="auto",
    show_default=True,
    help="What runs the model over documents; 'auto' tries on some of them what is installed and loses nothing. "
    "'onnx-int8' is faster on most processors and a little less accurate.",
)
@click.option(
    "--frozen-dtype",
    type=click.Choice(FROZEN_DTYPES),
    default="float16",
    show_default=True,
    help="How the index keeps the weights of its query encoder: float16 takes half the space of float32, int8 a "
    "quarter and is less accurate.",
)
@click.option(
    "--first-stage",
    type=click.Choice(["bm25"]),
    help="Also make a BM25 index, for hybrid search; `colstore bm25` makes one later.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every sample and random rotation.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    corpus: str,
    output: Path,
    as_json: bool,
    no_texts: bool,
    **settings: Any,  # noqa: ANN401 - options as given
) -> None:
    """Build an index over CORPUS.

    CORPUS is a BEIR folder (corpus.jsonl or corpus.jsonl.gz inside), a JSONL, CSV, TSV or Parquet file, a
    folder of text or Markdown files, or '-' for JSON lines on standard input. Nothing appears at the output
    path before the index is complete.
    """
    import colstore

    if no_texts and settings["first_stage"] is not None:
        raise click.UsageError("--first-stage bm25 needs the texts: leave out --no-texts")
    with _interruption_told(output), shown_progress() as progress:
        index = colstore.build(output, corpus, store_texts=not no_texts, progress=progress, **settings)
    with index:
        assert index.report is not None  # every build leaves one
        report = {"index": str(output), **index.report.to_json()}
    if as_json:
        emit_json(report)
    else:
        for line in _summary(output, report):
            emit(line)


@contextmanager
def _interruption_told(output: Path) -> Iterator[None]:
    """Say, after Ctrl-C, what lies at the output path now."""
    before = _index_at(output)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        from colstore.store import building_folder

        message = _what_is_left(output, before, _index_at(output), can_resume=building_folder(output).is_dir())
        raise Interruption(message) from interrupt


def _index_at(path: Path) -> tuple[Any, Any] | None:
    """Return what tells the index at a path from another one; ``None`` where there is none."""
    import colstore

    try:
        with colstore.open(path) as index:
            info = index.info().to_json()
    except ColstoreError:
        return None
    return info["created"], info["generation"]


def _what_is_left(output: Path, before: object, after: object, *, can_resume: bool) -> str:
    """Return what became of the output path.

    Examples
    --------
    >>> _what_is_left(Path("x.colstore"), None, None, can_resume=False)
    'no index was written at x.colstore'
    >>> _what_is_left(Path("x.colstore"), None, None, can_resume=True)
    'no index was written at x.colstore; go on with --resume, or start again with --overwrite'
    >>> _what_is_left(Path("x.colstore"), ("monday", 1), ("monday", 1), can_resume=False)
    'no index was written; the one that was at x.colstore is as before'
    >>> _what_is_left(Path("x.colstore"), None, ("tuesday", 1), can_resume=False)
    'the index at x.colstore was complete by then'
    """
    if before != after:
        return f"the index at {output} was complete by then"
    if before is None:
        message = f"no index was written at {output}"
    else:
        message = f"no index was written; the one that was at {output} is as before"
    return message + ("; go on with --resume, or start again with --overwrite" if can_resume else "")


def _summary(output: Path, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person wants to know of a build, line by line; nothing that was left out goes unsaid."""
    seconds = sum(report["seconds"].values())
    yield (
        f"{one_line(str(output))}: {report['documents']:,} documents, {report['tokens']:,} vectors, "
        f"{size(_bytes_below(output))}, in {seconds:.1f} s"
    )
    yield _stages(report)
    if report["truncated"]:
        yield f"truncated: {report['truncated']:,} documents, whose ends lie beyond the limit of tokens"
    reasons = [f"{count:,} {reason}" for reason, count in report["skipped"].items() if count]
    if reasons:
        yield f"skipped: {', '.join(reasons)}"
    if report["incomplete"]:
        yield "incomplete: a source could not be read to its end"
    for note in report["notes"]:
        yield f"note: {one_line(note)}"
    for example in report["examples"]:
        yield f"  {one_line(example)}"


def _stages(report: Mapping[str, Any]) -> str:
    """Return the time of each stage, the rate of encoding, and the memory that it all took."""
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report["seconds"].items())
    rate = f" ({report['tokens_per_second']:,.0f} tokens/s)" if report["tokens_per_second"] else ""
    memory = f"; at most {size(report['peak_memory_bytes'])} of memory" if report["peak_memory_bytes"] else ""
    return f"{times.replace(',', rate + ',', 1)}{memory}"


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
