"""Evaluation of indexes and runs, and notes on what does not match."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError, CorpusError
from colstore.evaluate import evaluate_index, evaluate_run, load_qrels, load_run, save_run
from colstore.reports import Progress

CORPUS = {"d1": "bees dance on the comb", "d2": "bread dough rises", "d3": "the moon pulls the sea", "d4": "iron rusts"}
QUERIES = {"q1": "bees dance", "q2": "dough rises", "q3": "moon and sea", "q4": "never judged"}
QRELS = {"q1": {"d1": 2}, "q2": {"d2": 1, "d3": 0}, "q3": {"d1": 1, "d3": 2}}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "tiny.colstore"
    documents = [{"id": name, "text": text} for name, text in CORPUS.items()]
    colstore.build(path, documents, model=FakeEncoder(64), bits=16).close()
    return path


def test_an_index_is_searched_for_every_judged_query(index: Path) -> None:
    seen: list[Progress] = []
    found = evaluate_index(index, QUERIES, QRELS, k=3, progress=seen.append)
    assert found.queries == ("q1", "q2", "q3")
    assert found["success@5"] == 1.0
    assert found.values["MRR@10"].tolist() == [1, 1, 1]
    assert found["recall@3"] > 0.8
    assert found.coverage.unjudged_queries == 1
    assert found.coverage.notes() == ["1 query without judgements was left out"]
    assert found.latency is not None
    assert 0 < found.latency.encode < found.latency.median <= found.latency.p95
    assert found.bytes_per_document is not None
    assert found.bytes_per_document > 4 * 64 * 2  # at least its tokens in float16
    assert [(p.done, p.total, p.unit) for p in seen] == [(1, 3, "queries"), (2, 3, "queries"), (3, 3, "queries")]
    json.dumps(found.to_json())


def test_an_open_index_stays_open_and_vectors_will_do(index: Path) -> None:
    vectors = dict(zip(QUERIES, FakeEncoder(64).encode_queries(list(QUERIES.values())), strict=True))
    with colstore.open(index) as opened:
        by_vectors = evaluate_index(opened, vectors, QRELS)
        by_texts = evaluate_index(opened, QUERIES, QRELS)
        assert len(opened.search(vectors["q1"])) == 4
    assert by_vectors.latency is not None
    assert by_vectors.latency.encode == 0
    assert by_vectors["nDCG@10"] == by_texts["nDCG@10"]


def test_a_beir_folder_and_a_trec_file_give_the_same(index: Path, tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    rows = [(q, d, grade) for q, grades in QRELS.items() for d, grade in grades.items()]
    tsv = "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{grade}\n" for q, d, grade in rows)
    (tmp_path / "qrels" / "test.tsv").write_text(tsv)
    (tmp_path / "judged.qrels").write_text("".join(f"{q} 0 {d} {grade}\n" for q, d, grade in rows))
    lines = [json.dumps({"_id": name, "text": text}) for name, text in QUERIES.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    from_folder = evaluate_index(index, tmp_path, tmp_path)
    from_files = evaluate_index(index, tmp_path / "queries.jsonl", tmp_path / "judged.qrels")
    assert from_folder.intervals == from_files.intervals
    assert load_qrels(tmp_path / "qrels") == QRELS


def test_a_saved_run_gives_the_same_figures_again(index: Path, tmp_path: Path) -> None:
    found = evaluate_index(index, QUERIES, QRELS, k=3)
    save_run(tmp_path / "ours.trec.gz", found.run)
    with gzip.open(tmp_path / "ours.trec.gz", "rt") as lines:
        first = lines.readline().split()
    assert first[:4] == ["q1", "Q0", "d1", "1"]
    assert first[5] == "colstore"
    again = evaluate_run(tmp_path / "ours.trec.gz", QRELS, k=3, baseline=found.run)
    assert again.intervals == found.intervals
    assert {change.p for change in again.differences.values()} == {1.0}


def test_a_run_is_compared_with_a_baseline() -> None:
    good = {query: [(max(grades, key=lambda d: grades[d]), 1.0)] for query, grades in QRELS.items()}
    bad = {"q1": [("d2", 1.0)]}
    found = evaluate_run(good, QRELS, baseline=bad, measures=["MRR@10"])
    assert found.differences["MRR@10"].mean == 1.0
    assert found.differences["MRR@10"].p == pytest.approx(2 / 8)
    assert found["MRR@10"] == 1.0


def test_only_so_many_hits_count() -> None:
    run = {"q1": [("d2", 3.0), ("d1", 2.0)]}
    assert evaluate_run(run, {"q1": {"d1": 1, "d2": 0}}, k=1)["recall@1"] == 0
    assert evaluate_run(run, {"q1": {"d1": 1}}, k=2)["recall@2"] == 1


def test_queries_that_a_run_lacks_count_zero_and_are_noted() -> None:
    run = {"q1": [("d1", 1.0)], "q9": [("d1", 1.0)]}
    found = evaluate_run(run, {**QRELS, "q5": {"d1": 0}})
    assert found.coverage.to_json() == {
        "queries": 4,
        "unjudged_queries": 1,
        "unasked_queries": 0,
        "unanswered": 3,
        "without_relevant": 1,
        "unknown_documents": 0,
        "duplicate_judgements": 0,
        "identical_ids": 0,
        "ignored_identical_ids": 0,
        "truncated_queries": 0,
        "unreadable_queries": 0,
    }
    assert found["success@5"] == 0.25
    notes = " / ".join(found.coverage.notes())
    assert "3 evaluated queries have no hit and count 0" in notes


def test_with_queries_only_those_are_evaluated() -> None:
    found = evaluate_run({"q1": [("d1", 1.0)]}, QRELS, queries={"q1": "bees"})
    assert found["success@5"] == 1
    assert found.coverage.unasked_queries == 2


def test_relevant_documents_that_the_index_lacks_are_counted(index: Path) -> None:
    found = evaluate_index(index, QUERIES, {"q1": {"d1": 1, "gone": 1}})
    assert found.coverage.unknown_documents == 1
    assert found["recall@100"] == 0.5


def test_judgements_of_something_else(index: Path) -> None:
    with pytest.raises(CorpusError, match=r"none of the 4 queries is among the 1 judged"):
        evaluate_index(index, QUERIES, {"other": {"d1": 1}})
    with pytest.raises(CorpusError, match=r"none of the 1 relevant documents of the qrels is in the index"):
        evaluate_index(index, QUERIES, {"q1": {"other": 1}})
    with pytest.raises(CorpusError, match="do they belong together"):
        evaluate_run({"x": [("d1", 1.0)]}, QRELS)
    with pytest.raises(CorpusError, match="is in the run"):
        evaluate_run({"q1": [("other", 1.0)]}, QRELS)
    with pytest.raises(CorpusError, match="baseline run shares no query"):
        evaluate_run({"q1": [("d1", 1.0)]}, QRELS, baseline={"x": [("d1", 1.0)]})


def test_an_unknown_measure_fails_before_the_first_search(index: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(ConfigError, match="no measure is called 'shine@10'"):
        evaluate_index(index, QUERIES, QRELS, measures=["shine@10"], progress=seen.append)
    assert not seen


def test_files_without_content(tmp_path: Path) -> None:
    (tmp_path / "empty.trec").write_text("")
    with pytest.raises(CorpusError, match="no ranked documents"):
        load_run(tmp_path / "empty.trec")
    (tmp_path / "empty.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(CorpusError, match="no judgements"):
        load_qrels(tmp_path / "empty.tsv")
    with pytest.raises(CorpusError, match=r"no qrels/dev\.tsv in this folder"):
        load_qrels(tmp_path, split="dev")


def test_a_broken_line_of_a_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.trec"
    path.write_text("q1 Q0 d1 1 2.5 x\nq1 Q0 d2 2 high x\n")
    with pytest.raises(CorpusError, match=r"bad\.trec:2"):
        load_run(path)
    path.write_text("q1 Q0 d1 1 2.5 x\nq1 Q0 d1 2 1.5 x\n")
    with pytest.raises(CorpusError, match=r"bad\.trec:2.*twice"):
        load_run(path)


def test_scores_go_before_ranks_and_ranks_decide_between_equals(tmp_path: Path) -> None:
    path = tmp_path / "mixed.trec"
    path.write_text("q1 Q0 low 1 0.5 x\nq1 Q0 second 3 0.9 x\nq1 Q0 first 2 0.9 x\n")
    assert [name for name, _ in load_run(path)["q1"]] == ["first", "second", "low"]


def test_only_the_needed_part_of_a_run_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.trec"
    path.write_text("".join(f"q{i} Q0 d{j} {j} {10 - j} x\n" for i in range(3) for j in range(5)))
    assert load_run(path, {"q1"}, 2) == {"q0": [], "q1": [("d0", 10.0), ("d1", 9.0)], "q2": []}


def test_thread_settings_are_restored() -> None:
    import torch

    from colstore.evaluate.machine import one_thread

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
        assert np.ones((2, 2)).sum() == 4
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
