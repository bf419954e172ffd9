"""The BM25 index beside the segments that it is built from: its file, and its part of the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from colstore.errors import ConfigError
from colstore.lexical.analyzers import Analyzer
from colstore.lexical.bm25 import K1, B, Bm25
from colstore.store import Part, Segment, SegmentEntry, segments_folder, write_arrays_file
from colstore.store.format import lexical_name
from colstore.types import Document, Json

KIND = "bm25"


def segment_ids(segments: Sequence[SegmentEntry]) -> list[Json]:
    """Return the names of segments: a BM25 index stores the names of the segments that it was built from."""
    return [entry.id for entry in segments]


def write_bm25(
    path: Path,
    generation: int,
    segments: Sequence[SegmentEntry],
    passages: Iterable[str],
    *,
    analyzer: Analyzer = "english",
    k1: float = K1,
    b: float = B,
) -> Part:
    """Write the BM25 index of a generation, and return its part of the manifest.

    Parameters
    ----------
    path, generation
        Directory of the index, and the generation that the file will belong to.
    segments
        The segments of that generation, in order.
    passages
        The passage of every document of the segments, in order; empty for deleted documents.
    analyzer, k1, b
        As for :meth:`colstore.lexical.bm25.Bm25.build`.

    Raises
    ------
    ConfigError
        There is no text.
    MissingDependencyError
        bm25s or PyStemmer is not installed.
    """
    total = sum(segment.documents for segment in segments)
    bm25 = Bm25.build(map(str, range(total)), passages, analyzer=analyzer, k1=k1, b=b)
    if not len(bm25.arrays["terms"]):
        raise ConfigError(f"{path}: BM25 needs texts, and this index holds none")
    settings: dict[str, Json] = {"kind": KIND, **bm25.settings, "segments": segment_ids(segments)}
    return Part(settings, (write_arrays_file(path, lexical_name(generation), bm25.arrays, settings),))


def passage_of(segment: Segment, local: int) -> str:
    """Return the passage of a document of a segment; empty where it stores no texts."""
    title, text = segment.title_and_text(local) or ("", "")
    return Document("", text, title).passage


def passages_of(path: Path, segments: Sequence[SegmentEntry]) -> Iterator[str]:
    """Yield the passage of every document of some segments, in order."""
    for entry in segments:
        segment = Segment.open(segments_folder(path), entry)
        try:
            yield from (passage_of(segment, local) for local in range(segment.documents))
        finally:
            segment.close()
