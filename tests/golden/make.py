"""Make the golden index of a format version. Run once for each version, then check the result in.

    python tests/golden/make.py

A golden index is never made again: it stands for the indexes that people have. If a test on one fails, the
reader is wrong, or the format changed without a new version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from colstore.store import (
    FORMAT_VERSION,
    AddedTokens,
    FileEntry,
    Manifest,
    Part,
    SegmentEntry,
    SegmentWriter,
    centroids_name,
    codec_name,
    commit,
    encoder_name,
    segments_folder,
    write_arrays_file,
    write_tombstones,
    write_whole,
)
from colstore.types import Document

HERE = Path(__file__).resolve().parent
DIM = 4
DOCUMENTS = [
    [
        Document("bees", "They dance to show where flowers are.", "Bees", {"year": 2020, "tags": ["insects"]}),
        Document("β-carotene", "Orange. Found in carrots 🥕.", "", {}),
        Document("", "An empty id is an id.", "Odd", {"nested": {"x": None, "y": 0.5}}),
    ],
    # several blocks of texts, one of which holds a single long document
    [Document(f"d{i:03d}", f"Filler {i}." * (900 if i == 20 else 30), f"Filler {i}", {"number": i}) for i in range(40)],
]


def main() -> None:
    """Write the index and, beside it, what must be read from it."""
    directory = HERE / f"store-{FORMAT_VERSION}.colstore"
    if directory.exists():
        raise SystemExit(f"{directory.name} is there already, and a golden index is never made again")
    random = np.random.default_rng(FORMAT_VERSION)
    expected: list[dict[str, object]] = []
    segments = [_segment(directory, n, documents, random, expected) for n, documents in enumerate(DOCUMENTS, 1)]
    _commit(directory, 1, segments[:1])
    # An index that has grown once, and has lost its second document ("β-carotene": 2 tokens).
    first = write_tombstones(directory, segments[0], 2, np.array([1]), 2)
    second = replace(segments[1], added=AddedTokens(segments[1].tokens, 0.25))
    _commit(directory, 2, [first, second])
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (HERE / f"store-{FORMAT_VERSION}.json").write_text(text + "\n", encoding="utf-8")


def _segment(
    directory: Path,
    number: int,
    documents: Sequence[Document],
    random: np.random.Generator,
    expected: list[dict[str, object]],
) -> SegmentEntry:
    counts = [1 + i % 3 for i in range(len(documents))]
    vectors = random.standard_normal((sum(counts), DIM)).astype(np.float16)
    kinds = {"vectors": ("<f2", (DIM,))}
    with SegmentWriter(segments_folder(directory), f"{number:06d}", kinds, store_texts=True) as writer:
        records = [(document.title, document.text, document.metadata) for document in documents]
        writer.append([document.id for document in documents], counts, {"vectors": vectors}, records)
        record = writer.seal({"postings": np.arange(5, dtype="<u2"), "postings_offsets": np.array([0, 2, 5], "<u4")})
    for document, rows in zip(documents, np.split(vectors, np.cumsum(counts)[:-1]), strict=True):
        fields = {name: getattr(document, name) for name in ("id", "title", "text", "metadata")}
        expected.append({**fields, "vectors": rows.astype(float).tolist()})
    return record


def _commit(directory: Path, generation: int, segments: Sequence[SegmentEntry]) -> None:
    codec = _codec(directory, generation)
    encoder = write_whole(directory, encoder_name("tokenizer.json"), b'{"golden": true}')
    manifest = Manifest(
        generation=generation,
        created="2026-01-31T12:00:00Z",
        writer="colstore 0.1.0",
        dim=DIM,
        config={"bits": 16, "pool_factor": 1.5, "name": "gülden"},
        codec=Part({"kind": "float16"}, (codec,)),
        segments=tuple(segments),
        centroids=write_whole(directory, centroids_name(1), b"opaque"),
        encoder=Part({"kind": "fake", "model": "none"}, (encoder,)),
        tuned={"probe": 8, "recall": 0.99},
    )
    commit(directory, manifest)


def _codec(directory: Path, generation: int) -> FileEntry:
    arrays = {
        "steps": np.linspace(0, 1, 5, dtype=np.float32),
        "table": np.arange(6, dtype="<u2").reshape(2, 3),
    }
    return write_arrays_file(directory, codec_name(generation), arrays, {"bits": 16})


if __name__ == "__main__":
    main()
