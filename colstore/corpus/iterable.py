"""Documents straight from Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from colstore.corpus.record import RawItem, Record
from colstore.errors import CorpusError
from colstore.types import Document

SOURCE = "<iterable>"


def read_iterable(items: Iterable[object]) -> Iterator[RawItem]:
    """Yield a record for each :class:`~colstore.types.Document`, dict or string, taken one at a time.

    A string's id is its position, from 0. ``line`` in errors is the item's number, from 1.
    """
    for position, item in enumerate(items):
        if isinstance(item, Document):
            yield Record(_document_fields(item), SOURCE, position + 1)
        elif isinstance(item, str):
            yield Record({"id": str(position), "text": item}, SOURCE, position + 1)
        elif isinstance(item, Mapping):
            yield Record(item, SOURCE, position + 1)
        else:
            message = f"an item is a {type(item).__name__}: give Document, dict or str"
            yield CorpusError(message, source=SOURCE, line=position + 1)


def _document_fields(document: Document) -> dict[str, object]:
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": document.metadata,
        "vectors": document.vectors,
    }
