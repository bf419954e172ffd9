"""The collection under ``data/``: complete, consistent, and not answerable by matching words alone."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[1] / "data"

# Small on purpose: question words, articles, pronouns, auxiliaries and prepositions carry no topic.
STOP_LIST = """
a about after all an and any are as at be been but by can cannot could did do does for from get gets had
has have he her his how i if in into is it its like may might more most my no not of off on one or our out
over she should so some such than that the their them then there these they this those to too up us was
we were what when where which while who whom why will with without would you your
"""
STOP_WORDS = frozenset(STOP_LIST.split())


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower().replace("'", ""))


def content_words(text: str) -> set[str]:
    return set(words(text)) - STOP_WORDS


def overlap(query: str, passage: str) -> float:
    """Return the share of the query's content words that also stand in the passage, 0 to 1."""
    asked = content_words(query)
    return len(asked & content_words(passage)) / len(asked)


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, Any]]:
    return read_jsonl(DATA / "corpus.jsonl")


@pytest.fixture(scope="module")
def queries() -> list[dict[str, Any]]:
    return read_jsonl(DATA / "queries.jsonl")


@pytest.fixture(scope="module")
def judgements() -> list[tuple[str, str, int]]:
    with (DATA / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    assert rows[0] == ["query-id", "corpus-id", "score"]
    return [(query, document, int(score)) for query, document, score in rows[1:]]


@pytest.fixture(scope="module")
def passages(corpus: list[dict[str, Any]]) -> dict[str, str]:
    return {row["_id"]: f"{row['title']} {row['text']}" for row in corpus}


def test_corpus_has_enough_passages_over_thirteen_subjects(corpus: list[dict[str, Any]]) -> None:
    subjects = Counter(row["subject"] for row in corpus)
    assert len(corpus) >= 260
    assert len(subjects) == 13
    assert min(subjects.values()) >= 15


def test_corpus_rows_have_flat_typed_fields(corpus: list[dict[str, Any]]) -> None:
    for row in corpus:
        assert {"_id", "title", "text", "subject"} <= set(row) <= {"_id", "title", "text", "subject", "year"}
        assert all(isinstance(row[key], str) and row[key].strip() for key in ("_id", "title", "text", "subject"))
        assert isinstance(row.get("year", 0), int)


def test_passages_are_60_to_150_words_long(corpus: list[dict[str, Any]]) -> None:
    outside = {row["_id"]: n for row in corpus if not 60 <= (n := len(row["text"].split())) <= 150}
    assert outside == {}


def test_ids_titles_and_texts_are_unique(corpus: list[dict[str, Any]], queries: list[dict[str, Any]]) -> None:
    for values in (
        [row["_id"] for row in corpus + queries],
        [row["title"] for row in corpus],
        [row["text"] for row in corpus],
        [row["text"] for row in queries],
    ):
        assert [value for value, times in Counter(values).items() if times > 1] == []


def test_there_are_at_least_60_queries_of_two_fields(queries: list[dict[str, Any]]) -> None:
    assert len(queries) >= 60
    assert all(set(row) == {"_id", "text"} and content_words(row["text"]) for row in queries)


def test_judgements_name_what_exists_once_with_known_grades(
    judgements: list[tuple[str, str, int]], queries: list[dict[str, Any]], passages: dict[str, str]
) -> None:
    assert {query for query, _, _ in judgements} == {row["_id"] for row in queries}
    assert {document for _, document, _ in judgements} <= set(passages)
    assert {grade for _, _, grade in judgements} == {0, 1, 2}
    assert len({(query, document) for query, document, _ in judgements}) == len(judgements)


def test_every_query_has_an_answer_and_most_have_near_misses(
    judgements: list[tuple[str, str, int]], queries: list[dict[str, Any]]
) -> None:
    judged = {grade: {query for query, _, given in judgements if given == grade} for grade in (0, 1, 2)}
    assert judged[2] == {row["_id"] for row in queries}
    assert len(judged[1]) > len(queries) / 2
    assert len(judged[0]) > len(queries) / 2


def test_at_least_25_queries_share_few_words_with_their_answers(
    judgements: list[tuple[str, str, int]], queries: list[dict[str, Any]], passages: dict[str, str]
) -> None:
    texts = {row["_id"]: row["text"] for row in queries}
    # The strictest reading of "best": the answer that shares the most words with the question.
    best: dict[str, float] = {}
    for query, document, grade in judgements:
        if grade == 2:
            best[query] = max(best.get(query, 0.0), overlap(texts[query], passages[document]))
    paraphrased = [query for query, share in best.items() if share <= 0.30]
    assert len(paraphrased) >= 25


def test_no_query_is_copied_from_a_passage(queries: list[dict[str, Any]], passages: dict[str, str]) -> None:
    haystacks = [" ".join(words(passage)) for passage in passages.values()]
    copied = [row["_id"] for row in queries if any(" ".join(words(row["text"])) in text for text in haystacks)]
    assert copied == []


def test_the_readme_states_the_counts_and_the_licence(
    corpus: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    judgements: list[tuple[str, str, int]],
) -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for number, noun in (
        (len(corpus), "passages"),
        (len(queries), "questions"),
        (len(judgements), "judgements"),
    ):
        assert f"{number} {noun}" in readme
    assert "Apache-2.0" in readme
