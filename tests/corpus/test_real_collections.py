"""The real collections beside the checkout."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from colstore.corpus import (
    ReadReport,
    group_run,
    read_documents,
    read_qrels,
    read_queries,
    read_run,
    write_run,
)
from colstore.errors import EmptyDocumentError

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(("name", "documents", "queries"), [("scifact", 5183, 1109), ("nfcorpus", 3633, 3237)])
def test_beir_folders_are_read_whole(shared: Path, name: str, documents: int, queries: int) -> None:
    folder = shared / "data" / name
    report = ReadReport()
    ids = {document.id for document in read_documents(folder, report=report)}
    assert (len(ids), report.documents, report.skipped) == (documents, documents, 0)
    assert len(list(read_queries(folder))) == queries


def test_two_documents_of_cranfield_have_no_text(shared: Path) -> None:
    folder = shared / "data" / "cranfield"
    with pytest.raises(EmptyDocumentError, match="'471'") as caught:
        list(read_documents(folder))
    assert caught.value.line == 471
    report = ReadReport()
    assert len(list(read_documents(folder, on_error="skip", report=report))) == 1398
    assert (report.skipped, report.skipped_empty) == (2, 2)
    assert [example.split(":")[1] for example in report.examples] == ["471", "995"]


@pytest.mark.parametrize(
    ("name", "judged", "rows"),
    [("scifact", 300, 339), ("nfcorpus", 323, 12_334), ("cranfield", 225, 1837), ("cisi", 76, 3114)],
)
def test_qrels_and_runs_agree(shared: Path, tmp_path: Path, name: str, judged: int, rows: int) -> None:
    folder = shared / "data" / name
    qrels = read_qrels(folder / "qrels" / "test.tsv")
    assert (len(qrels), sum(map(len, qrels.values()))) == (judged, rows)
    source = folder / "runs" / "bm25.test.trec.gz"
    groups = dict(group_run(read_run(source)))
    assert set(groups) <= set(qrels)
    for ranked in groups.values():
        assert [line.rank for line in ranked] == list(range(1, len(ranked) + 1))
        assert all(a.score >= b.score for a, b in pairwise(ranked))
    again = tmp_path / "again.gz"
    write_run(again, (line for ranked in groups.values() for line in ranked), tag="bm25s")
    assert dict(group_run(read_run(again))) == groups
