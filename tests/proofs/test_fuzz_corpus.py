"""Every reader of documents, queries, judgements and runs, on good files with a few bytes changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from colstore.corpus import read_qrels, read_queries, read_run
from tests.proofs.fuzz_corpus import DOCUMENTS, OTHERS, parquet, read_as_documents, read_as_others
from tests.proofs.fuzz_index import bounded_memory
from tests.proofs.scripts import edited

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
EDITS = st.binary(min_size=6, max_size=36)


READERS: dict[str, Callable[[Path], Iterable[object]]] = {"queries": read_queries, "qrels": read_qrels, "run": read_run}


@pytest.mark.parametrize("name", DOCUMENTS)
@FUZZ
@given(data=st.data(), script=EDITS)
def test_documents_of_damaged_files(tmp_path: Path, name: str, data: st.DataObject, script: bytes) -> None:
    good = data.draw(st.sampled_from(DOCUMENTS[name]))
    read_as_documents(tmp_path, name, edited(good, script))


@FUZZ
@given(script=EDITS)
@example(script=b"\x00\x03-\x874\x00\x03;n\x00\x80\x00")  # a column's name that is no UTF-8
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
    """Else the damage done to them would be to files that nobody could read before."""
    for good in DOCUMENTS.get(name) or [parquet()]:
        report = read_as_documents(tmp_path, name, good)
        twice = good == 2 * good[: len(good) // 2]
        assert report.documents == (3 if "jsonl" in name else 1 if name.startswith("texts") else 2)
        assert (report.skipped > 0) == twice


def test_the_other_good_files_are_good(tmp_path: Path) -> None:
    found = {}
    for name, contents in OTHERS.items():
        for number, good in enumerate(contents):
            path = tmp_path / name
            path.write_bytes(good)
            found[name, number] = len(list(READERS[name.partition(".")[0]](path)))
    assert found == {
        ("queries.jsonl", 0): 2,
        ("queries.tsv", 0): 2,
        ("queries.tsv.gz", 0): 1,
        ("qrels.tsv", 0): 2,
        ("qrels.tsv", 1): 2,
        ("run.txt", 0): 3,
        ("run.txt", 1): 3,
        ("run.txt", 2): 2,
        ("run.txt.gz", 0): 3,
    }
