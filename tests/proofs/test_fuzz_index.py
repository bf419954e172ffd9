"""Every reader behind the checksums, on files forged with right ones: named errors, no crash, bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import colstore
from colstore.encode import load_encoder_from_settings
from colstore.errors import ColstoreError, ConfigError, CorruptIndexError
from colstore.updating.compact import compact
from tests.proofs.fuzz_index import FIRST, HEAVY, LIGHT, Lab, attempt, bounded_memory

SCRIPTS = st.binary(min_size=8, max_size=40)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def fuzz(lab: Lab, target: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(script=SCRIPTS)
    def each(script: bytes) -> None:
        with bounded_memory():
            getattr(lab, target)(script)

    each()


@pytest.mark.parametrize("target", LIGHT)
def test_what_is_read_by_itself(lab: Lab, target: str) -> None:
    fuzz(lab, target, 120)


@pytest.mark.parametrize("target", HEAVY)
def test_what_an_index_is_read_from(lab: Lab, target: str) -> None:
    fuzz(lab, target, 12 if target == "changes" else 30)


@pytest.mark.slow
@pytest.mark.parametrize("target", [*LIGHT, *HEAVY])
def test_the_same_for_longer(lab: Lab, target: str) -> None:
    fuzz(lab, target, 3_000 if target in LIGHT else 300)


# --- that it would see it ---------------------------------------------------------------------------------------------


def test_forged_files_get_past_their_checksums(lab: Lab) -> None:
    """Else the fuzzing above would only ever test the checksums."""
    record = lab.manifest.segments[0]
    data = bytearray(lab.tree[f"{FIRST}.h5"])
    at = record.arrays["codes"].offset
    data[at] = 255  # a centroid that does not exist
    with lab.forged({f"{FIRST}.h5": bytes(data)}):
        assert any("centroid that does not exist" in message for message in lab.seen())
    assert lab.seen() == []


def test_memory_is_bounded() -> None:
    with pytest.raises(MemoryError), bounded_memory(1 << 28):
        np.empty(1 << 30, np.uint8)
    assert len(np.empty(1 << 30, np.uint8)) == 1 << 30


def test_only_named_errors_are_let_by() -> None:
    def refuse() -> None:
        raise CorruptIndexError("damaged")

    assert isinstance(attempt(refuse), ColstoreError)
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0)


# --- what fuzzing found, kept -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["\ud800", "nested 900 deep", "nested 200 deep"])
@pytest.mark.parametrize("field", ["config", "tuned"])
def test_a_signed_manifest_with_what_cannot_be_written_is_refused(lab: Lab, field: str, value: str) -> None:
    body = {**lab.body, field: {"x": value}}
    with lab.forged({}, body) as path:
        assert isinstance(attempt(lambda: colstore.open(path).close()), CorruptIndexError)


def test_a_code_beyond_the_centroids_is_refused_wherever_it_is_read(lab: Lab) -> None:
    record = lab.manifest.segments[0]
    data = bytearray(lab.tree[f"{FIRST}.h5"])
    data[record.arrays["codes"].offset] = 255
    with lab.forged({f"{FIRST}.h5": bytes(data)}) as path:
        for change in (lambda: colstore.open(path).vectors(["d0-000"]), lambda: compact(path)):
            with pytest.raises(CorruptIndexError, match="centroid"):
                change()


def test_forged_settings_of_an_encoder_allocate_nothing() -> None:
    with pytest.raises(ConfigError, match="65536"):
        load_encoder_from_settings({"kind": "fake", "dim": 2**53, "seed": 0})
