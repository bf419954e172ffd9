"""Builds the BM25 index of an index on request. It is out of date once documents are added or segments merged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    """Build a BM25 index of all documents and commit it as a new generation.

    Parameters
    ----------
    path
        The directory of the index.
    analyzer, k1, b
        As for :meth:`colstore.lexical.bm25.Bm25.build`.
    wait
        Seconds to wait for another writer to finish.

    Raises
    ------
    ConfigError
        The index holds no texts.
    MissingDependencyError
        bm25s or PyStemmer is not installed.
    IndexLockedError, StorageError
        Another writer is active, or a file cannot be written. The index is left unchanged.
    """
    with Change(path, wait) as change:
        segments = change.snapshot.segments
        if not all(segment.has_texts for segment in segments):
            raise ConfigError(f"{path}: BM25 needs texts, and this index was built without them")
        total = sum(segment.documents for segment in segments)
        bm25 = Bm25.build(map(str, range(total)), _passages(change.snapshot), analyzer=analyzer, k1=k1, b=b)
        if not len(bm25.arrays["terms"]):
            raise ConfigError(f"{path}: BM25 needs texts, and this index holds none")
        settings: dict[str, Json] = {
            "kind": KIND,
            **bm25.settings,
            "segments": segment_ids(change.snapshot.manifest.segments),
        }
        entry = write_arrays_file(path, lexical_name(change.generation), bm25.arrays, settings)
        change.commit(lexical=Part(settings, (entry,)))
        return change.finish()


def _passages(snapshot: Snapshot) -> Iterator[str]:
    """Yield the passage of every document in the order of document numbers; empty for deleted documents."""
    for source in snapshot.live_segments():
        for local, is_live in enumerate(source.live_mask):
            yield _passage(source.segment, local) if is_live else ""


def _passage(segment: Segment, local: int) -> str:
    title, text = segment.title_and_text(local) or ("", "")
    return Document("", text, title).passage
