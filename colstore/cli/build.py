"""``colstore build``: a corpus becomes an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from colstore.cli.changes import say_passed_over, shortfalls
from colstore.cli.failures import Interruption, advice_line
from colstore.cli.notices import warn_of_unreadable
from colstore.cli.options import (
    ONE_OR_MORE,
    allow_pickle_option,
    backend_option,
    codec_options,
    device_option,
    encoder_options,
    first_stage_option,
    json_option,
    model_option,
    on_duplicate_option,
    on_error_option,
    overwrite_option,
    passage_options,
    passages_of,
    reading_of,
    reading_options,
    seed_option,
    trust_remote_code_option,
)
from colstore.cli.output import emit_json, emit_prose, message_line, one_line, size
from colstore.cli.progress import shown_progress
from colstore.errors import ColstoreError

_EPILOG = """\b
Example:
  $ colstore build data -o demo.colstore
  $ colstore build data -o small.colstore --bits 2 --pool-factor 2 --json
"""


@click.command("build", epilog=_EPILOG)
@click.argument("corpus")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="INDEX",
    help="Directory of the new index.",
)
@model_option
@click.option(
    "--dim",
    type=ONE_OR_MORE,
    metavar="N",
    show_default="as many as the model gives",
    help="Project the vectors to this number of dimensions (principal axes of the corpus).",
)
@codec_options
@encoder_options
@passage_options
@overwrite_option("Replace the index at the output path, once the new one is complete.")
@click.option("--resume", is_flag=True, help="Continue a build that was interrupted.")
@on_error_option
@on_duplicate_option("error", "skip")
@reading_options
@trust_remote_code_option
@allow_pickle_option
@device_option
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Precision in which the model is loaded.",
)
@backend_option
@first_stage_option("Also make a BM25 index for hybrid search; `colstore bm25` makes one later.")
@seed_option("every sample and random rotation")
@json_option
def command(
    corpus: str,
    output: Path,
    as_json: bool,
    no_texts: bool,
    id_field: str | None,
    text_field: str | None,
    title_field: str | None,
    encoding: str | None,
    quoting: str,
    include: tuple[str, ...],
    normalize_ids: bool,
    **settings: Any,  # noqa: ANN401 - options as the user gave them
) -> None:
    """Build an index over a corpus.

    CORPUS is a folder of pages (Markdown, text, reStructuredText, HTML, PDF), a data set folder of a hub, BEIR, MTEB or
    LoTTE, a JSONL, CSV, TSV or Parquet file, a single page, or '-' for JSON Lines on standard input. There is no index
    at the output path before it is complete; until then the directory holds an unfinished build, which --resume
    continues.
    """
    import colstore

    if no_texts and settings["first_stage"] is not None:
        raise click.UsageError("--first-stage bm25 needs the texts: leave out --no-texts")
    reading = reading_of(id_field, text_field, title_field, encoding, quoting, include, normalize_ids=normalize_ids)
    settings["passages"] = passages_of(settings)
    with _interruption_explained(output), shown_progress() as progress:
        index = colstore.build(output, corpus, store_texts=not no_texts, progress=progress, **reading, **settings)
    with index:
        assert index.report is not None  # every build leaves one
        report = {"index": str(output), **index.report.to_json()}
        passed_over = index.report.passed_over
        encoder = index.info().bytes["encoder"]
    warn_of_unreadable(report)
    say_passed_over(passed_over)
    if as_json:
        emit_json(report)
    else:
        for line in _summary(output, report, encoder):
            emit_prose(line, indent="  ")


@contextmanager
def _interruption_explained(output: Path) -> Iterator[None]:
    """After Ctrl-C, say what is at the output path."""
    before = _index_at(output)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        from colstore.store import building_folder

        message = _what_is_left(output, before, _index_at(output), can_resume=building_folder(output).is_dir())
        raise Interruption(message) from interrupt


def _index_at(path: Path) -> tuple[Any, Any] | None:
    """Return what identifies the index at a path; ``None`` where there is none."""
    import colstore

    try:
        with colstore.open(path) as index:
            info = index.info().to_json()
    except ColstoreError:
        return None
    return info["created"], info["generation"]


def _what_is_left(output: Path, before: object, after: object, *, can_resume: bool) -> str:
    """Return what is at the output path after an interruption.

    Examples
    --------
    >>> _what_is_left(Path("x.colstore"), None, None, can_resume=False)
    'no index was written at x.colstore'
    >>> _what_is_left(Path("x.colstore"), None, None, can_resume=True)
    'no index was written at x.colstore; continue with --resume, or start again with --overwrite'
    >>> _what_is_left(Path("x.colstore"), ("monday", 1), ("monday", 1), can_resume=False)
    'no index was written; the index at x.colstore is unchanged'
    >>> _what_is_left(Path("x.colstore"), None, ("tuesday", 1), can_resume=False)
    'the index at x.colstore is complete'
    """
    if before != after:
        return f"the index at {output} is complete"
    if before is None:
        message = f"no index was written at {output}"
    else:
        message = f"no index was written; the index at {output} is unchanged"
    return message + ("; continue with --resume, or start again with --overwrite" if can_resume else "")


def _summary(output: Path, report: Mapping[str, Any], encoder: int) -> Iterator[str]:
    """Yield what a person wants to know of a build, line by line; nothing that was left out goes unsaid."""
    seconds = sum(report["seconds"].values())
    yield (
        f"{one_line(str(output))}: {report['documents']:,} documents{_in_passages(report)}, "
        f"{report['tokens']:,} vectors, {_size(_bytes_below(output), encoder)}, in {seconds:.1f} s"
    )
    yield _stages(report)
    yield from shortfalls(report)
    for note in report["notes"]:
        yield f"note: {advice_line(note)}"
    for example in report["examples"]:
        yield f"  {message_line(example)}"


def _size(total: int, encoder: int) -> str:
    """Return the size of an index, and how much of it is the query encoder.

    Examples
    --------
    >>> _size(97_700_000, 90_900_000), _size(2_000_000, 0)
    ('97.7 MB (of which query encoder 90.9 MB)', '2.0 MB')
    """
    return size(total) + (f" (of which query encoder {size(encoder)})" if encoder else "")


def _in_passages(report: Mapping[str, Any]) -> str:
    """Return in how many passages the documents are, where some have several."""
    return f" in {report['passages']:,} passages" if report["passages"] > report["documents"] else ""


def _stages(report: Mapping[str, Any]) -> str:
    """Return the time of each stage, the rate of encoding, and the peak of memory."""
    times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report["seconds"].items())
    rate = f" ({report['tokens_per_second']:,.0f} tokens/s)" if report["tokens_per_second"] else ""
    memory = f"; peak memory {size(report['peak_memory_bytes'])}" if report["peak_memory_bytes"] else ""
    return f"{times.replace(',', rate + ',', 1)}{memory}"


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
