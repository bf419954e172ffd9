"""Small segments and indexes, made through the store alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from colstore.store import (
    Manifest,
    Part,
    SegmentEntry,
    SegmentWriter,
    codec_name,
    commit,
    encoder_name,
    segments_folder,
    write_arrays_file,
    write_whole,
)

DIM = 4
Record: TypeAlias = tuple[str, str, Mapping[str, Any]]
MakeSegment: TypeAlias = Callable[..., SegmentEntry]
MakeIndex: TypeAlias = Callable[..., Manifest]


def vectors_of(counts: Sequence[int], seed: int = 0) -> NDArray[np.float16]:
    """Return token vectors, shape ``(sum(counts), DIM)``."""
    return np.random.default_rng(seed).standard_normal((sum(counts), DIM)).astype(np.float16)


def _make_segment(
    folder: Path,
    segment_id: str = "000001",
    ids: Sequence[str] = ("b", "a", "ü"),
    counts: Sequence[int] | None = None,
    records: Sequence[Record] | None = None,
    *,
    extra: Mapping[str, NDArray[Any]] | None = None,
    store_texts: bool = True,
    batch: int = 7,
) -> SegmentEntry:
    sizes = [1 + i % 3 for i in range(len(ids))] if counts is None else list(counts)
    texts = [(f"title {x}", f"text of {x}", {"number": i}) for i, x in enumerate(ids)] if records is None else records
    vectors, done = vectors_of(sizes), 0
    with SegmentWriter(folder, segment_id, {"vectors": ("<f2", (DIM,))}, store_texts=store_texts) as writer:
        for i in range(0, len(ids), batch):
            tokens = sum(sizes[i : i + batch])
            rows = {"vectors": vectors[done : done + tokens]}
            writer.append(ids[i : i + batch], sizes[i : i + batch], rows, texts[i : i + batch])
            done += tokens
        return writer.seal(extra)


def _make_index(
    directory: Path, generation: int = 1, segments: Sequence[SegmentEntry] | None = None, **changes: Any
) -> Manifest:
    made = [_make_segment(segments_folder(directory))] if segments is None else segments
    codec = write_arrays_file(directory, codec_name(1), {"steps": np.arange(3, dtype=np.float32)}, {"bits": 16})
    encoder = write_whole(directory, encoder_name("tokenizer.json"), b"{}")
    fields: dict[str, Any] = {
        "generation": generation,
        "created": "2026-01-31T12:00:00Z",
        "writer": "colstore tests",
        "dim": DIM,
        "config": {"bits": 16, "pool_factor": 1.5},
        "codec": Part({"kind": "float16"}, (codec,)),
        "segments": tuple(made),
        "encoder": Part({"kind": "fake"}, (encoder,)),
    }
    manifest = Manifest(**(fields | changes))
    commit(directory, manifest)
    return manifest


@pytest.fixture(scope="session")
def make_segment() -> MakeSegment:
    return _make_segment


@pytest.fixture(scope="session")
def make_index() -> MakeIndex:
    """Return a function that writes and commits a small index, and returns its manifest."""
    return _make_index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Return the directory of a committed index of three documents."""
    directory = tmp_path / "small.colstore"
    _make_index(directory)
    return directory


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.fixture(scope="session")
def flip() -> Callable[[Path, int], None]:
    """Return a function that inverts one byte of a file."""
    return _flip
