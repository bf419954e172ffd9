"""Every reader of documents, queries, judgements and runs, on good files with a few bytes changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.proofs.fuzz_corpus import DOCUMENTS, OTHERS, parquet, read_as_documents, read_as_others
from tests.proofs.fuzz_index import bounded_memory
from tests.proofs.scripts import edited

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
EDITS = st.binary(min_size=6, max_size=36)


@pytest.mark.parametrize("name", DOCUMENTS)
@FUZZ
@given(data=st.data(), script=EDITS)
def test_documents_of_damaged_files(tmp_path: Path, name: str, data: st.DataObject, script: bytes) -> None:
    good = data.draw(st.sampled_from(DOCUMENTS[name]))
    read_as_documents(tmp_path, name, edited(good, script))


@FUZZ
@given(script=EDITS)
def test_documents_of_a_damaged_parquet_file(tmp_path: Path, script: bytes) -> None:
    pytest.importorskip("pyarrow")
    with bounded_memory():
        read_as_documents(tmp_path, "c.parquet", edited(parquet(), script))


@pytest.mark.parametrize("name", OTHERS)
@FUZZ
@given(data=st.data(), script=EDITS)
def test_queries_judgements_and_runs_of_damaged_files(
    tmp_path: Path, name: str, data: st.DataObject, script: bytes
) -> None:
    good = data.draw(st.sampled_from(OTHERS[name]))
    read_as_others(tmp_path, name, edited(good, script))


@pytest.mark.parametrize("name", [*DOCUMENTS, "c.parquet"])
def test_the_good_files_are_good(tmp_path: Path, name: str) -> None:
    for good in DOCUMENTS.get(name) or [parquet()]:
        read_as_documents(tmp_path, name, good)
