"""Choices, reports, streaming, and the set of ids behind the search for duplicates."""

from __future__ import annotations

import json
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colstore.corpus import ReadReport, SeenIds, read_documents
from colstore.errors import CorpusError, DuplicateIdError, EmptyDocumentError

Write = Callable[[str, "str | bytes"], Path]
MIXED: list[str | dict[str, object]] = ["one", "", {"id": "0", "text": "again"}, {"id": "x"}, "four"]


def test_each_choice_covers_its_own_kind_only() -> None:
    with pytest.raises(EmptyDocumentError):
        list(read_documents(MIXED, on_error="skip", on_duplicate="skip", on_empty="error"))
    with pytest.raises(DuplicateIdError):
        list(read_documents(MIXED, on_error="skip"))
    with pytest.raises(CorpusError, match="has no text"):
        list(read_documents(MIXED, on_empty="skip", on_duplicate="skip"))


def test_skipping_all_counts_all_and_keeps_the_first_of_two() -> None:
    report = ReadReport()
    documents = list(read_documents(MIXED, on_error="skip", on_duplicate="skip", report=report))
    assert [(d.id, d.text) for d in documents] == [("0", "one"), ("4", "four")]
    counts = (report.documents, report.skipped_errors, report.skipped_duplicates, report.skipped_empty)
    assert counts == (2, 1, 1, 1)


def test_the_id_of_a_skipped_document_is_free_again() -> None:
    items = [{"id": "a", "text": ""}, {"id": "a", "text": "t"}]
    assert [d.text for d in read_documents(items, on_error="skip")] == ["t"]


def test_a_report_keeps_a_few_short_examples_of_each_kind() -> None:
    report = ReadReport()
    items = [{"id": f"{n}" * 1000, "text": "" if n % 2 else 5} for n in range(1, 100)]
    assert list(read_documents(items, on_error="skip", report=report)) == []
    assert (report.skipped_errors, report.skipped_empty, len(report.examples)) == (49, 50, 10)
    assert max(map(len, report.examples)) <= 300
    assert json.loads(json.dumps(report.to_json()))["skipped_empty"] == 50
    assert report.summary().splitlines()[0] == "0 taken, 99 skipped: 49 broken, 0 duplicate, 50 empty"
    assert ReadReport(documents=5).summary() == "5 taken, 0 skipped"


def test_items_are_taken_one_at_a_time() -> None:
    taken: list[int] = []

    def items() -> Iterator[str]:
        for number in range(1_000_000):
            taken.append(number)
            yield "text"

    documents = read_documents(items())
    assert taken == []
    assert [next(documents).id for _ in range(3)] == ["0", "1", "2"]
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.jsonl.gz"])
def test_memory_does_not_grow_with_the_corpus(write: Write, name: str) -> None:
    text = "words " * 200
    rows = (f'{{"id": {n}, "text": "{text}"}}' if "json" in name else f"{n},{text}" for n in range(5000))
    path = write(name, ("" if "json" in name else "id,text\n") + "\n".join(rows))  # 6 MB
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_documents(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5000
    assert peak < 2_000_000  # of which the 5,000 ids take a half


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="NEEDS /proc, to see which files are open")
def test_stopping_early_closes_the_file(write: Write) -> None:
    path = write("c.jsonl", '{"id": 1, "text": "t"}\n' * 2)
    documents = read_documents(path)
    next(documents)
    assert is_open(path)
    documents.close()  # type: ignore[attr-defined]  # what is read is a generator
    assert not is_open(path)


def is_open(path: Path) -> bool:
    """Tell whether this process has the file open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(descriptor.readlink())
    return path in found


def temporary_folders() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("colstore-ids-*"))


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@given(ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3)), limit=st.integers(0, 5))
def test_seen_ids_agree_with_a_set_wherever_they_spill(ids: list[str], limit: int) -> None:
    known: set[str] = set()
    with SeenIds(memory_ids=limit) as seen:
        for identifier in ids:
            assert seen.add(identifier) == (identifier not in known)
            known.add(identifier)


@pytest.mark.usefixtures("own_temp")
def test_the_table_goes_at_the_end_and_after_an_error() -> None:
    def fill_and_fail(seen: SeenIds) -> None:
        assert [seen.add(i) for i in ("a", "b", "A", "a\0", "a ", "b")] == [
            True,
            True,
            True,
            True,
            True,
            False,
        ]
        assert len(temporary_folders()) == 1
        raise KeyError

    with pytest.raises(KeyError), SeenIds(memory_ids=1) as seen:
        fill_and_fail(seen)
    assert temporary_folders() == []
    seen.close()


@pytest.mark.usefixtures("own_temp")
def test_duplicates_are_found_beyond_the_memory_limit_and_from_another_thread() -> None:
    documents = read_documents([*(f"text {n}" for n in range(50_010)), {"id": "7", "text": "again"}])
    first = [next(documents) for _ in range(50_005)]
    assert len(temporary_folders()) == 1
    caught: list[CorpusError] = []

    def finish() -> None:
        try:
            list(documents)
        except DuplicateIdError as error:
            caught.append(error)

    thread = threading.Thread(target=finish)
    thread.start()
    thread.join()
    assert (len(first), [error.line for error in caught]) == (50_005, [50_011])
    assert temporary_folders() == []


def test_a_temporary_folder_that_cannot_be_had_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with SeenIds(memory_ids=0) as seen, pytest.raises(CorpusError, match="set TMPDIR"):
        seen.add("a")
