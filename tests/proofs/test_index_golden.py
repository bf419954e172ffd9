"""Whole indexes of every released format version, one of each codec: they open, are in order, answer as they did."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import SearchParams
from colstore.config import BITS
from colstore.errors import ConfigError, CorruptIndexError, FormatVersionError
from colstore.store import FORMAT_VERSION
from tests.golden.make_indexes import (
    BM25,
    FROZEN,
    LEXICAL_QUESTIONS,
    QUESTIONS,
    WAYS,
    content,
    decoded,
    directory_of,
    hits,
    lexical_hits,
)
from tests.proofs.fuzz_index import signed
from tests.proofs.small_index import TableEncoder, documents

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = [(version, bits) for version in range(1, FORMAT_VERSION + 1) for bits in BITS]
TOLERANCE = 1e-5

# sha256 over the sorted names and contents of the files of each golden index, so that none changes unnoticed.
FINGERPRINTS: dict[tuple[int, int | str], str] = {
    (1, 16): "4c5d67cfe2edb5ef640694e58d2c534f31cd24fb7a0898db5ddfa0489d32eac4",
    (1, 8): "696b864a24824acc1e2d9f0903459d58291886a528c7827ef48f8fd0a874c599",
    (1, 4): "804e8fc9bdf3260b565afa9a7e17e52c00769ba3e4a0063fb721089462a70143",
    (1, 2): "7b21ad83b8a3aa31d1abe570d838fe4c2e8f71d0a41aa82251873ed78de2d048",
    (1, 1): "aa2038d6a8c002240967e4b6aba2771d7248e7d5da7c07b1d84377b7bc244a49",
    (1, BM25): "329c856c26d65ba6296c86d9e090d29980b83e876bac4d6318cea0640af1fe73",
}


@cache
def expected(version: int, which: int | str) -> dict[str, Any]:
    recorded = json.loads((GOLDEN / f"index-{version}.json").read_text("utf-8"))
    return dict(recorded[str(which)])


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[int, int | str], Path]:
    """Return a function: a golden index to write to."""

    def make(version: int, which: int | str) -> Path:
        return Path(shutil.copytree(directory_of(version, which), tmp_path / f"{version}-{which}.colstore"))

    return make


def same_hits(found: list[list[Any]], wanted: list[list[Any]]) -> None:
    assert [name for name, _ in found] == [name for name, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("version", "which"), FINGERPRINTS)
def test_a_golden_index_is_what_was_checked_in(version: int, which: int | str) -> None:
    directory = directory_of(version, which)
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes())
    assert digest.hexdigest() == FINGERPRINTS[version, which], "restore the golden index from version control"


@pytest.mark.parametrize(("version", "bits"), CASES)
def test_it_is_in_order(version: int, bits: int) -> None:
    report = colstore.verify(directory_of(version, bits), "deep")
    assert report.ok, report.problems
    with colstore.open(directory_of(version, bits)) as index:
        info = index.info()
        assert (info.bits, info.documents, info.segments, info.deleted) == (bits, 29, 2, 2)
        assert info.tuned is not None


@pytest.mark.parametrize(("version", "bits"), CASES)
def test_it_holds_what_it_held(version: int, bits: int) -> None:
    with colstore.open(directory_of(version, bits)) as index:
        assert content(index) == expected(version, bits)["documents"]
        for one, other in zip(decoded(index), expected(version, bits)["vectors"], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("version", "bits"), CASES)
def test_it_answers_as_it_did(version: int, bits: int, way: str) -> None:
    with colstore.open(directory_of(version, bits)) as index:
        for question in QUESTIONS:
            same_hits(hits(index, question, way), expected(version, bits)["hits"][way][question])


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_its_frozen_encoder_still_encodes(version: int) -> None:
    with colstore.open(directory_of(version, FROZEN)) as index:
        for question in QUESTIONS:
            vectors = index.encoder.encode_queries([question])[0]
            np.testing.assert_array_equal(vectors, TableEncoder().encode_queries([question])[0])
        found = [[hit.id, hit.score] for hit in index.search(QUESTIONS[0], k=5, params=SearchParams(exact=True))]
    same_hits(found, expected(version, FROZEN)["hits"]["exact"][QUESTIONS[0]])


@pytest.mark.parametrize(("version", "bits"), CASES)
def test_it_can_still_be_changed(copy: Callable[[int, int], Path], version: int, bits: int) -> None:
    with colstore.open(copy(version, bits), encoder=TableEncoder()) as index:
        assert index.add(documents(3, 9)).added == 3
        index.delete([document.id for document in documents(3, 9)])
        index.compact()
        assert index.info().deleted == 0
        assert index.verify("deep").ok
        for question in QUESTIONS:
            same_hits(hits(index, question, "exact"), expected(version, bits)["hits"]["exact"][question])


# --- the one with a BM25 index ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_its_bm25_index_ranks_as_it_did(copy: Callable[[int, str], Path], version: int) -> None:
    path = copy(version, BM25)
    assert colstore.verify(path, "deep").ok
    for question in LEXICAL_QUESTIONS:
        wanted = expected(version, BM25)["hits"][question]
        found = lexical_hits(path, question)
        assert [number for number, _ in found] == [number for number, _ in wanted]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], rtol=1e-5)
    with colstore.open(path, encoder=TableEncoder()) as index:
        assert index.search("Orange", k=1, first_stage="bm25")
        index.add(documents(3, 9))
        with pytest.raises(ConfigError, match="out of date"):
            index.search("Orange", k=1, first_stage="bm25")
        index.build_bm25()
        assert index.verify("deep").ok


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_it_misses_its_newest_manifest(copy: Callable[[int, str], Path], version: int) -> None:
    path = copy(version, BM25)
    body = max(path.glob("manifest-*.json"))
    (path / "manifest-000000000001.json").write_bytes(signed({**json.loads(body.read_text("utf-8")), "generation": 1}))
    body.unlink()
    with pytest.raises(CorruptIndexError, match="generation 5 was committed here"):
        colstore.open(path)


# --- forged ones ------------------------------------------------------------------------------------------------------


def with_manifest(path: Path, forge: Callable[[dict[str, Any]], None]) -> Path:
    """Change the newest manifest, and sign it."""
    newest = max(path.glob("manifest-*.json"))
    body = json.loads(newest.read_text("utf-8"))
    forge(body)
    newest.write_bytes(signed(body))
    return path


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 10**9])
def test_a_newer_version_is_refused_by_name(copy: Callable[[int, int], Path], version: int) -> None:
    path = with_manifest(copy(1, 4), lambda body: body.update(format_version=version, more="unknown"))
    with pytest.raises(FormatVersionError, match=rf"version {version}.*[Uu]pgrade"):
        colstore.open(path)
    with pytest.raises(FormatVersionError):
        colstore.verify(path)


@pytest.mark.parametrize("version", [0, -1, True, None, "1", 1.0])
def test_a_version_that_cannot_be_is_refused(copy: Callable[[int, int], Path], version: object) -> None:
    path = with_manifest(copy(1, 4), lambda body: body.update(format_version=version))
    with pytest.raises(CorruptIndexError, match="version"):
        colstore.open(path)


PLACES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "manifest": lambda body: body,
    "codec": lambda body: body["codec"],
    "a file": lambda body: body["codec"]["files"][0],
    "an array": lambda body: body["codec"]["files"][0]["arrays"]["centroids"],
    "the centroids": lambda body: body["centroids"],
    "the encoder": lambda body: body["encoder"],
    "a segment": lambda body: body["segments"][0],
    "what is deleted": lambda body: body["segments"][0]["deleted"],
    "what was added": lambda body: body["segments"][1]["added"],
    "the build's settings": lambda body: body["config"],
}


@pytest.mark.parametrize("place", PLACES)
def test_unknown_keys_are_refused(copy: Callable[[int, int], Path], place: str) -> None:
    path = with_manifest(copy(1, 4), lambda body: PLACES[place](body).update(surprise=1))
    if place == "the build's settings":  # which only a change needs
        with pytest.raises(CorruptIndexError, match="settings"):
            colstore.open(path).delete(["d0-000"])
    else:
        with pytest.raises(CorruptIndexError, match="surprise"):
            colstore.open(path)
    assert not colstore.verify(path, "deep").ok


@pytest.mark.parametrize("place", [place for place in PLACES if place != "the build's settings"])
def test_missing_keys_are_refused(copy: Callable[[int, int], Path], place: str) -> None:
    def forge(body: dict[str, Any]) -> None:
        fields = PLACES[place](body)
        del fields[sorted(set(fields) - {"format", "format_version"})[-1]]

    path = with_manifest(copy(1, 4), forge)
    with pytest.raises(CorruptIndexError, match="missing"):
        colstore.open(path)
