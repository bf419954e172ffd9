"""Builds the BM25 index of an index on request. It is out of date once documents are added or segments merged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from colstore.errors import ConfigError
from colstore.indexing.bm25 import passage_of, write_bm25
from colstore.lexical.analyzers import Analyzer
from colstore.lexical.bm25 import K1, B
from colstore.reports import ChangeReport
from colstore.snapshot.snapshot import Snapshot
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
        if not all(segment.has_texts for segment in change.snapshot.segments):
            raise ConfigError(f"{path}: BM25 needs texts, and this index was built without them")
        segments, passages = change.snapshot.manifest.segments, _passages(change.snapshot)
        part = write_bm25(path, change.generation, segments, passages, analyzer=analyzer, k1=k1, b=b)
        change.commit(lexical=part)
        return change.finish()


def _passages(snapshot: Snapshot) -> Iterator[str]:
    """Yield the passage of every document in the order of document numbers; empty for deleted documents."""
    for source in snapshot.live_segments():
        for local, is_live in enumerate(source.live_mask):
            yield passage_of(source.segment, local) if is_live else ""
