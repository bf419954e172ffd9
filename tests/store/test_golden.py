"""Indexes of every released format version open for ever. They are never made again; a missing one fails."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.store import (
    FORMAT_VERSION,
    Manifest,
    Segment,
    generations,
    latest,
    load,
    read_arrays_file,
    read_tombstones,
    read_whole,
    segments_folder,
    verify,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

# sha256 over the sorted names and contents of the files of each golden index, so that none changes unnoticed.
FINGERPRINTS = {
    1: "758749f4af78269e2aebc3cdad785c10b49c42355ebfc1196d87f1aaa07e23a4",
}


def directory_of(version: int) -> Path:
    return GOLDEN / f"store-{version}.colstore"


def test_every_version_has_its_golden_index() -> None:
    assert list(FINGERPRINTS) == list(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize("version", FINGERPRINTS)
def test_a_golden_index_is_what_was_checked_in(version: int) -> None:
    directory = directory_of(version)
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes())
    assert digest.hexdigest() == FINGERPRINTS[version], "restore the golden index from version control"


def read_segments(directory: Path, manifest: Manifest) -> list[dict[str, Any]]:
    found = []
    for entry in manifest.segments:
        segment = Segment.open(segments_folder(directory), entry)
        ends = segment.doc_offsets().tolist()
        for i in range(segment.documents):
            title_text = segment.title_and_text(i)
            assert title_text is not None
            rows = segment.rows("vectors", ends[i], ends[i + 1])
            fields = {"id": segment.ids[i], "title": title_text[0], "text": title_text[1]}
            found.append({**fields, "metadata": segment.metadata(i), "vectors": rows.astype(float).tolist()})
        assert segment.ids.find(segment.ids[1]) == 1
        assert segment.rows("postings").tolist() == list(range(5))
    return found


@pytest.mark.parametrize("version", FINGERPRINTS)
def test_a_golden_index_reads_as_it_was_written(version: int) -> None:
    directory = directory_of(version)
    expected = json.loads((GOLDEN / f"store-{version}.json").read_text("utf-8"))
    manifest = latest(directory)
    assert generations(directory) == [1, 2]
    assert read_segments(directory, manifest) == expected
    assert read_segments(directory, load(directory, 1)) == expected[:3]
    assert verify(directory, "deep") == []


@pytest.mark.parametrize("version", FINGERPRINTS)
def test_the_deleted_and_added_documents_of_a_golden_index_are_known(version: int) -> None:
    directory = directory_of(version)
    manifest = latest(directory)
    deleted = [read_tombstones(directory, entry) for entry in manifest.segments]
    assert deleted[0] is not None
    assert (deleted[0].tolist(), deleted[1]) == ([1], None)
    assert (manifest.documents, manifest.live_documents) == (43, 42)
    assert manifest.tokens - manifest.live_tokens == 2
    added = [entry.added for entry in manifest.segments]
    assert added[0] is None
    assert added[1] is not None
    assert (added[1].tokens, added[1].error) == (manifest.segments[1].tokens, 0.25)
    assert load(directory, 1).live_documents == 3


@pytest.mark.parametrize("version", FINGERPRINTS)
def test_the_other_files_of_a_golden_index_read_as_they_were_written(version: int) -> None:
    directory = directory_of(version)
    manifest = latest(directory)
    codec = read_arrays_file(directory, manifest.codec.files[0])
    assert codec.attributes == {"bits": 16}
    np.testing.assert_array_equal(codec.arrays["steps"], np.linspace(0, 1, 5, dtype=np.float32))
    assert codec.arrays["table"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert manifest.encoder is not None
    assert manifest.centroids is not None
    assert read_whole(directory, manifest.encoder.files[0]) == b'{"golden": true}'
    assert read_whole(directory, manifest.centroids) == b"opaque"
    assert manifest.config == {"bits": 16, "pool_factor": 1.5, "name": "gülden"}
    assert manifest.tuned == {"probe": 8, "recall": 0.99}
