"""The BM25 index as a derived part of an index: made on request, out of date once documents come or move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from colstore.errors import ConfigError, CorruptIndexError
from colstore.living.change import Change
from colstore.living.derived import segment_ids
from colstore.living.report import ChangeReport
from colstore.living.snapshot import Snapshot
from colstore.rerank.lexical import K1, B, Bm25
from colstore.rerank.words import Analyzer
from colstore.store import Segment, read_arrays_file, write_arrays_file
from colstore.store.format import lexical_name
from colstore.store.manifest import Part
from colstore.types import Document, Json

KIND = "bm25"


def store_bm25(
    path: Path, *, analyzer: Analyzer = "english", k1: float = K1, b: float = B, wait: float = 0.0
) -> ChangeReport:
    """Make a BM25 index of all documents and commit it with a new generation.

    Parameters
    ----------
    path
        Of the index.
    analyzer, k1, b
        See :meth:`colstore.rerank.lexical.Bm25.build`.
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


def load_bm25(snapshot: Snapshot) -> Bm25:
    """Return the BM25 index of a snapshot; its positions are document numbers through the index.

    Raises
    ------
    ConfigError
        There is none, or it is out of date; says how to make one.
    CorruptIndexError
        Its file is damaged, or does not fit the documents.
    """
    part = snapshot.manifest.lexical
    if part is None:
        raise ConfigError(f"{snapshot.path}: there is no BM25 index; make one with `colstore bm25 {snapshot.path}`")
    if not part.files:
        raise ConfigError(
            f"{snapshot.path}: the BM25 index is out of date, because documents were added or segments merged since; "
            f"make it anew with `colstore bm25 {snapshot.path}`"
        )
    stored = read_arrays_file(snapshot.path, part.files[0])
    settings = dict(stored.attributes)
    if settings.pop("kind", None) != KIND or settings.pop("segments", None) != segment_ids(snapshot.manifest.segments):
        raise CorruptIndexError(
            "the BM25 index is of other documents than the manifest's: make it anew with `colstore bm25`",
            file=snapshot.path / part.files[0].path,
        )
    total = sum(segment.documents for segment in snapshot.segments)
    where = snapshot.path / part.files[0].path
    return Bm25.from_arrays([str(number) for number in range(total)], stored.arrays, settings, where=where)


def _passages(snapshot: Snapshot) -> Iterator[str]:
    """Yield the passage of every document, by number; nothing for deleted ones."""
    for segment, deleted in zip(snapshot.segments, snapshot.deleted, strict=True):
        gone = np.zeros(segment.documents, bool)
        if deleted is not None:
            gone[deleted] = True
        for local in range(segment.documents):
            yield "" if gone[local] else _passage(segment, local)


def _passage(segment: Segment, local: int) -> str:
    title, text = segment.record(local) or ("", "")
    return Document("", text, title).passage
