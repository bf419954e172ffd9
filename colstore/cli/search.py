"""``colstore search``: one query, a batch from standard input, or a prompt that takes many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import click

from colstore.cli.failures import as_failure
from colstore.cli.notices import query_warnings
from colstore.cli.options import (
    first_stage_option,
    json_option_for,
    k_option,
    search_params_of,
    search_params_options,
    stage_of,
    stage_options,
    threads_option,
)
from colstore.cli.output import emit, one_line
from colstore.cli.results import print_hits, print_json
from colstore.cli.where import ids_option, input_encoding, where_option
from colstore.errors import QueryError, TruncatedQueryWarning, UnreadableQueryWarning

if TYPE_CHECKING:
    from colstore import Index, SearchParams
    from colstore.rerank.stage import RerankStage

_EPILOG = """\b
Example:
  $ colstore search demo.colstore "why does the moon turn red?" -k 3
  $ colstore search demo.colstore "why does the moon turn red?" --json

Without QUERY, queries are read one a line: from standard input in a pipe, where every line is a query, or from a
prompt on a terminal. At the prompt, ':k 20' sets the number of hits to 20 from then on, and ':q' or Ctrl-D quits.
"""


@dataclass(frozen=True, slots=True)
class _Request:
    """What applies to every query of this run."""

    k: int
    ids: list[str] | None
    where: dict[str, Any] | None
    threads: int
    as_json: bool
    params: SearchParams | None = None
    reranker: RerankStage | None = None
    first_stage: Literal["bm25"] | None = None


@click.command("search", epilog=_EPILOG)
@click.argument("index")
@click.argument("query", required=False)
@k_option(10)
@where_option
@ids_option("Search only the documents whose ids are in this file, one on each line ('-' reads standard input).")
@first_stage_option(
    "Also take candidates from BM25 (make its index with `colstore bm25`); MaxSim ranks all candidates."
)
@stage_options
@search_params_options
@threads_option("Number of threads that share a search.")
@json_option_for("one line for each query")
def command(
    index: str,
    query: str | None,
    k: int,
    where: dict[str, Any] | None,
    ids_file: list[str] | None,
    threads: int,
    as_json: bool,
    first_stage: Literal["bm25"] | None,
    exact: bool,
    probes: int | None,
    candidates: int | None,
    scored: int | None,
    **stage: Any,  # noqa: ANN401 - see stage_options
) -> None:
    """Search an index for the documents that match a query best.

    On a terminal, hits are laid out for reading. In a pipe, each is one line of rank, score, id, title and snippet,
    separated by tabs; ids are printed as they are stored.
    """
    import colstore

    params = search_params_of(exact=exact, probes=probes, candidates=candidates, scored=scored)
    request = _Request(k, ids_file, where, threads, as_json, params, stage_of(**stage), first_stage)
    with colstore.open(index) as opened:
        if query is not None:
            _answer(opened, query, request)
        elif _at_terminal():
            _converse(opened, request)
        else:
            _answer_batch(opened, request)


def _answer(index: Index, query: str, request: _Request) -> None:
    """Search for one query and print its hits."""
    started = perf_counter()
    with query_warnings() as came:
        hits = index.search(
            query,
            request.k,
            ids=request.ids,
            where=request.where,
            params=request.params,
            threads=request.threads,
            reranker=request.reranker,
            first_stage=request.first_stage,
        )
    seconds = perf_counter() - started
    if request.as_json:
        truncated, unreadable = TruncatedQueryWarning in came, UnreadableQueryWarning in came
        print_json(query, hits, seconds, truncated=truncated, unreadable=unreadable)
    else:
        print_hits(query, hits, seconds)


def _answer_batch(index: Index, request: _Request) -> None:
    """Answer every line of standard input."""
    for query in _piped_lines():
        if not request.as_json:
            emit(f"# {one_line(query)}")
        _answer(index, query, request)


def _piped_lines() -> Iterator[str]:
    """Yield the lines of standard input that are not blank.

    Raises
    ------
    QueryError
        A line that does not have the encoding.
    """
    from colstore.corpus.lines import decoded_lines

    for line in decoded_lines(sys.stdin.buffer, "standard input", input_encoding()):
        if line.error is not None:
            raise QueryError(str(line.error)) from None
        query = line.text.strip()
        if query:
            yield query


def _converse(index: Index, request: _Request) -> None:
    """Answer what is typed at a prompt, until the end of input or ``:q``."""
    for line in _typed_lines():
        text = line.strip()
        if text == ":q":
            return
        try:
            if text.startswith(":"):
                request = replace(request, k=_new_k(text))
            elif text:
                _answer(index, text, request)
        except QueryError as error:
            as_failure(error).show()


def _new_k(line: str) -> int:
    """Return the number in ``:k 20``.

    Raises
    ------
    QueryError
        Another command, or no number.
    """
    word, _, number = line.partition(" ")
    if word != ":k" or not number.strip().isascii() or not number.strip().isdigit() or int(number) < 1:
        raise QueryError(f"{line!r} is not a command: ':k 20' sets the number of hits, ':q' quits")
    return int(number)


def _typed_lines() -> Iterator[str]:
    """Yield what is typed at a prompt, until the end of input."""
    with suppress(ImportError):  # some systems have no readline: the prompt is then without history and editing
        import readline  # noqa: F401 - importing it gives input() editing and a history
    while True:
        try:
            yield input("query (:q quits)> ")
        except EOFError:
            print(file=sys.stderr)  # noqa: T201 - ends the line that the prompt began
            return


def _at_terminal() -> bool:
    return sys.stdin.isatty()
