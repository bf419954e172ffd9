"""Reading back what an index holds: documents, ids and token vectors, one after another or by id.

An iteration reads its own handles of the segments, made when it begins. So it goes on over the snapshot that it began
with whatever happens meanwhile: a commit, a refresh, closing the index, or a writer that removes old files. One segment
at a time is in use, and of its texts only a few blocks are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np

from colstore.config import OnError
from colstore.kernels.calls import Ints
from colstore.search.filters import Where, allowed_documents, check_missing, checked_ids, find, numbers_of
from colstore.search.searcher import Searcher
from colstore.search.segment_view import SegmentView
from colstore.store import Segment
from colstore.types import Document, FloatMatrix

CHUNK = 1_024
"""Documents whose ids are read at once."""


def get_documents(searcher: Searcher, ids: Iterable[str], missing: OnError) -> list[Document]:
    """Return documents by id, in the order of ``ids``; see :meth:`colstore.Index.get`."""
    check_missing(missing)
    names = checked_ids(ids)
    numbers = find(searcher.views, names) if missing == "skip" else numbers_of(searcher.views, names)
    read: dict[int, Document] = {}
    for i in np.argsort(numbers, kind="stable").tolist():  # in the order of the file: each block is read once
        number = int(numbers[i])
        if number >= 0 and number not in read:
            view, local = searcher.locate(number)
            read[number] = _copied(_document(view.records, local, names[i]))
    return [read[number] for number in numbers.tolist() if number >= 0]


def iter_ids(searcher: Searcher, where: Where | None) -> Iterator[str]:
    """Return an iterator over the ids of all documents, or of those that a filter allows, in insertion order."""
    views, allowed = _own_views(searcher), allowed_documents(searcher.views, where, None)
    return (name for view in _consumed(views) for name, _ in _numbered(view, allowed))


def iter_documents(searcher: Searcher) -> Iterator[Document]:
    """Return an iterator over all documents in insertion order."""
    views = _own_views(searcher)
    return (_document(view.segment, local, name) for view in _consumed(views) for name, local in _numbered(view, None))


def iter_vectors(searcher: Searcher, ids: Iterable[str] | None) -> Iterator[tuple[str, FloatMatrix]]:
    """Return an iterator over ids and decoded token vectors; see :meth:`colstore.Index.iter_vectors`."""
    views = _own_views(searcher)
    if ids is None:
        return ((name, view.vectors(local)) for view in _consumed(views) for name, local in _numbered(view, None))
    names = checked_ids(ids)
    numbers = numbers_of(searcher.views, names)
    firsts = np.array([view.first for view in views], np.int64)
    places = np.searchsorted(firsts, numbers, side="right") - 1
    return (
        (name, views[place].vectors(number - views[place].first))
        for name, number, place in zip(names, numbers.tolist(), places.tolist(), strict=True)
    )


def count_documents(searcher: Searcher, where: Where | None) -> int:
    """Return the number of documents that a filter allows."""
    allowed = allowed_documents(searcher.views, where, None)
    if allowed is not None:
        return len(allowed)
    return searcher.documents if searcher.alive is None else len(searcher.alive)


def _own_views(searcher: Searcher) -> deque[SegmentView]:
    """Return views of all segments that stay open when the index is closed."""
    return deque(
        SegmentView(
            view.segment.with_entry(view.segment.entry), view.codec, view.first, view.deleted, view.first_passage
        )
        for view in searcher.views
    )


def _consumed(views: deque[SegmentView]) -> Iterator[SegmentView]:
    """Yield views, and forget the texts of each one when the next is asked for."""
    while views:
        view = views.popleft()
        yield view
        view.segment.forget_texts()


def _numbered(view: SegmentView, allowed: Ints | None) -> Iterator[tuple[str, int]]:
    """Yield id and local number of the documents of a segment that are not deleted (and allowed), in order."""
    if allowed is None:
        locals_ = np.flatnonzero(~view.is_deleted)
    else:
        start, stop = np.searchsorted(allowed, [view.first, view.first + view.documents])
        locals_ = allowed[start:stop] - view.first
    for i in range(0, len(locals_), CHUNK):
        chunk = locals_[i : i + CHUNK]
        yield from zip(view.segment.ids.many(chunk), chunk.tolist(), strict=True)


def _document(segment: Segment, local: int, name: str) -> Document:
    """Return a document (local number) without its vectors; without texts, too, where the index keeps none."""
    title, text = segment.title_and_text(local) or ("", "")
    return Document(id=name, text=text, title=title, metadata=segment.metadata(local))


def _copied(document: Document) -> Document:
    """Return a document whose metadata the caller may change: hits of the index share the stored ones."""
    return replace(document, metadata=deepcopy(document.metadata))
