"""``colstore get``: reads documents back out of an index."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Literal

import click

from colstore.cli.output import emit, emit_json, one_line, shown_exact
from colstore.cli.where import ids_option, where_option

if TYPE_CHECKING:
    from colstore import Document, Index
    from colstore.types import FloatMatrix

    Found = Iterable[tuple[Document, FloatMatrix | None]]

BATCH = 256
"""Documents that are read at once where a filter chooses them."""

_EPILOG = """\b
Example:
  $ colstore get demo.colstore bees
  $ colstore get demo.colstore --all --json
  $ colstore get demo.colstore --where "lang=en" --count
"""


@click.command("get", epilog=_EPILOG)
@click.argument("index")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every document, in the order in which they were added.")
@ids_option("Print also the documents whose ids are in this file, one on each line ('-' reads standard input).")
@where_option
@click.option(
    "--missing",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with an id that is not in the index: stop, or leave it out.",
)
@click.option("--vectors", is_flag=True, help="Print the decoded token vectors, too, as lists of numbers.")
@click.option("--count", "only_count", is_flag=True, help="Print the number of documents instead (of all, or --where).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on a terminal, too.")
def command(
    index: str,
    ids: tuple[str, ...],
    everything: bool,
    ids_file: list[str] | None,
    where: dict[str, Any] | None,
    missing: Literal["error", "skip"],
    vectors: bool,
    only_count: bool,
    as_json: bool,
) -> None:
    """Print documents of an index as JSON Lines.

    Prints the documents with the given IDs, those that --where allows, or all of them with --all. Each document is
    one line of JSON with its id, title, text and metadata (on a terminal, several lines for reading). `colstore
    build` and `colstore add` read these lines. Documents of an index that keeps no texts have an empty text and no
    metadata; with --vectors they can be built again all the same.
    """
    import colstore

    names = None if not ids and ids_file is None else [*ids, *(ids_file or ())]
    _check_choice(names, where, everything=everything, only_count=only_count)
    with colstore.open(index) as opened:
        if only_count:
            count = opened.count(where)
            emit_json({"index": index, "documents": count}) if as_json else emit(str(count))
            return
        if names is not None:
            found = _by_id(opened, names, missing, vectors=vectors)
        else:
            found = _all(opened, vectors=vectors) if where is None else _matching(opened, where, vectors=vectors)
        _print(found, as_json=as_json)


def _check_choice(names: list[str] | None, where: dict[str, Any] | None, *, everything: bool, only_count: bool) -> None:
    choices = (names is not None) + (where is not None) + everything
    if only_count and names is not None:
        raise click.UsageError("--count counts all documents, or those that --where allows; it takes no ids")
    if choices > 1 or (choices == 0 and not only_count):
        raise click.UsageError("give ids (as arguments, or a file with --ids), or --where, or --all")


def _by_id(index: Index, names: list[str], missing: Literal["error", "skip"], *, vectors: bool) -> Found:
    documents = index.get(names, missing=missing)
    return _with_vectors(index, documents, vectors=vectors)


def _all(index: Index, *, vectors: bool) -> Found:
    matrices = (matrix for _, matrix in index.iter_vectors()) if vectors else repeat(None)
    return zip(index, matrices, strict=False)  # repeat has no end


def _matching(index: Index, where: dict[str, Any], *, vectors: bool) -> Iterator[tuple[Document, FloatMatrix | None]]:
    names = index.ids(where)
    while batch := list(islice(names, BATCH)):
        yield from _with_vectors(index, index.get(batch), vectors=vectors)


def _with_vectors(index: Index, documents: list[Document], *, vectors: bool) -> Found:
    matrices = index.iter_vectors([document.id for document in documents]) if vectors else None
    return zip(documents, repeat(None) if matrices is None else (matrix for _, matrix in matrices), strict=False)


def _print(found: Found, *, as_json: bool) -> None:
    if as_json or not _at_terminal():
        for document, matrix in found:
            emit_json(_fields(document, matrix))
        return
    for number, (document, matrix) in enumerate(found):
        if number:
            emit("")
        for line in _lines(document, matrix):
            emit(line)


def _fields(document: Document, vectors: FloatMatrix | None) -> dict[str, Any]:
    """Return a document as the record that ``colstore build`` reads."""
    fields: dict[str, Any] = {"id": document.id, "title": document.title, "text": document.text}
    if document.metadata:
        fields["metadata"] = dict(document.metadata)
    if vectors is not None:
        fields["vectors"] = vectors.tolist()
    return fields


def _lines(document: Document, vectors: FloatMatrix | None) -> Iterator[str]:
    """Yield a document for people."""
    yield f"id: {shown_exact(document.id)}"
    if document.title:
        yield f"title: {one_line(document.title)}"
    for key, value in document.metadata.items():
        yield one_line(f"{key}: {value}")
    if vectors is not None:
        yield f"vectors: {vectors.shape[0]:,} of {vectors.shape[1]:,} components"
    yield from (one_line(line) for line in document.text.splitlines())


def _at_terminal() -> bool:
    return sys.stdout.isatty()
