"""The BM25 index as a derived part of an index: made on request, out of date once documents come or move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from colstore.errors import ConfigError
from colstore.lexical.analyzers import Analyzer
from colstore.lexical.bm25 import K1, B, Bm25
from colstore.reports import ChangeReport
from colstore.snapshot.bm25 import KIND, segment_ids
from colstore.snapshot.snapshot import Snapshot
from colstore.store import Segment, write_arrays_file
from colstore.store.format import lexical_name
from colstore.store.manifest import Part
from colstore.types import Document, Json
from colstore.updating.change import Change


def store_bm25(
    path: Path, *, analyzer: Analyzer = "english", k1: float = K1, b: float = B, wait: float = 0.0
) -> ChangeReport:
    """Make a BM25 index of all documents and commit it with a new generation.

    Parameters
    ----------
    path
        Of the index.
    analyzer, k1, b
        See :meth:`colstore.lexical.bm25.Bm25.build`.
    wait
        Seconds to wait for another writer.

    Raises
    ------
    ConfigError
        The index holds no texts.
    MissingDependencyError
        bm25s or PyStemmer is not installed.
    IndexLockedError, StorageError
        Another writer is at work; the disk refused. The index is then what it was.
    """
    with Change(path, wait) as change:
        segments = change.snapshot.segments
        if not all(segment.has_texts for segment in segments):
            raise ConfigError(f"{path}: BM25 needs texts, and this index was built without them")
        total = sum(segment.documents for segment in segments)
        made = Bm25.build(map(str, range(total)), _passages(change.snapshot), analyzer=analyzer, k1=k1, b=b)
        if not len(made.arrays["terms"]):
            raise ConfigError(f"{path}: BM25 needs texts, and this index holds none")
        settings: dict[str, Json] = {
            "kind": KIND,
            **made.settings,
            "segments": segment_ids(change.snapshot.manifest.segments),
        }
        record = write_arrays_file(path, lexical_name(change.generation), made.arrays, settings)
        change.commit(lexical=Part(settings, (record,)))
        return change.finish()


def _passages(snapshot: Snapshot) -> Iterator[str]:
    """Yield the passage of every document, by number; nothing for deleted ones."""
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        gone = np.zeros(segment.documents, bool)
        if deleted is not None:
            gone[deleted] = True
        for local in range(segment.documents):
            yield "" if gone[local] else _passage(segment, local)


def _passage(segment: Segment, local: int) -> str:
    title, text = segment.title_and_text(local) or ("", "")
    return Document("", text, title).passage
