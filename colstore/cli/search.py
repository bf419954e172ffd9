"""``colstore search``: one question, or a prompt that takes many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import click

from colstore.cli.failures import as_failure
from colstore.cli.output import emit, one_line
from colstore.cli.results import print_hits, print_json
from colstore.cli.staging import stage_of, stage_options
from colstore.cli.where import ids_option, where_option
from colstore.errors import QueryError

if TYPE_CHECKING:
    from colstore import Index
    from colstore.rerank.stage import RerankStage

_EPILOG = """\b
Example:
  $ colstore search demo.colstore "why does the moon turn red?" -k 3
  $ colstore search demo.colstore "why does the moon turn red?" --json

Without a question, questions are read line by line: from a prompt on a terminal, else from standard
input. There, ':k 20' asks for twenty hits from then on, and ':q' (or the end of input) leaves.
"""


@dataclass(frozen=True, slots=True)
class _Request:
    """What every question of this run is asked with."""

    k: int
    ids: list[str] | None
    where: dict[str, Any] | None
    threads: int
    as_json: bool
    stage: RerankStage | None = None
    first_stage: Literal["bm25"] | None = None


@click.command("search", epilog=_EPILOG)
@click.argument("index")
@click.argument("question", required=False)
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="Number of hits.")
@where_option
@ids_option("Only the documents named in this file, one id a line.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of a search.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each question.")
@click.option(
    "--first-stage",
    type=click.Choice(["bm25"]),
    help="Also take candidates from BM25 (make its index with `colstore bm25`); MaxSim ranks them all.",
)
@stage_options
def command(
    index: str,
    question: str | None,
    k: int,
    where: dict[str, Any] | None,
    ids_file: list[str] | None,
    threads: int,
    as_json: bool,
    first_stage: Literal["bm25"] | None,
    **staging: Any,  # noqa: ANN401 - see stage_options
) -> None:
    """Search INDEX for the documents that answer QUESTION best.

    On a terminal, hits are laid out for reading; in a pipe, each is one line of rank, score, id, title and
    snippet, separated by tabs.
    """
    import colstore

    request = _Request(k, ids_file, where, threads, as_json, stage_of(**staging), first_stage)
    with colstore.open(index) as opened:
        if question is not None:
            _answer(opened, question, request)
        else:
            _converse(opened, request)


def _answer(index: Index, question: str, request: _Request) -> None:
    """Ask one question and print its hits."""
    started = perf_counter()
    hits = index.search(
        question,
        request.k,
        ids=request.ids,
        where=request.where,
        threads=request.threads,
        reranker=request.stage,
        first_stage=request.first_stage,
    )
    seconds = perf_counter() - started
    if request.as_json:
        print_json(question, hits, seconds)
    else:
        print_hits(question, hits, seconds)


def _converse(index: Index, request: _Request) -> None:
    """Answer line after line until the end of input or ``:q``."""
    at_terminal = _at_terminal()
    for line in _prompted_lines() if at_terminal else sys.stdin:
        question = line.strip()
        if question == ":q":
            return
        try:
            request = _step(index, question, request)
        except QueryError as error:
            if not at_terminal:
                raise
            as_failure(error).show()


def _step(index: Index, line: str, request: _Request) -> _Request:
    """Answer one line of a conversation; return what the next one is asked with.

    Raises
    ------
    QueryError
        An unknown command, or a question that cannot be answered.
    """
    if line.startswith(":"):
        return replace(request, k=_new_k(line))
    if line:
        if not request.as_json and not _at_terminal():
            emit(f"# {one_line(line)}")
        _answer(index, line, request)
    return request


def _new_k(line: str) -> int:
    word, _, number = line.partition(" ")
    if word != ":k" or not number.strip().isascii() or not number.strip().isdigit() or int(number) < 1:
        raise QueryError(f"{line!r} is no command: ':k 20' sets the number of hits, ':q' leaves")
    return int(number)


def _prompted_lines() -> Iterator[str]:
    """Yield what is typed at a prompt, until the end of input."""
    with suppress(ImportError):  # no readline on some systems: then without history and editing
        import readline  # noqa: F401 - importing it gives input() editing and a history
    while True:
        try:
            yield input("question (:q leaves)> ")
        except EOFError:
            print(file=sys.stderr)  # noqa: T201 - ends the line that the prompt began
            return


def _at_terminal() -> bool:
    return sys.stdin.isatty()
