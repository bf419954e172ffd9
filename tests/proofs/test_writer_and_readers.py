"""One writer process, and readers in processes and threads: each answer is exactly that of one generation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import colstore
from tests.proofs.crash_scenes import changed_index

REPOSITORY = Path(__file__).resolve().parents[2]

SHARED = """
import hashlib, json, sys, threading, time
from pathlib import Path
import colstore
from tests.proofs.crash_scenes import document, matrix

def answer(index):
    # everything that an index says: all documents with scores and texts, then a pruned search
    digest = hashlib.sha256()
    for hit in index.search(matrix(900), k=10_000):
        digest.update(repr((hit.id, hit.score, hit.title, hit.text, dict(hit.metadata))).encode())
    for hit in index.search(matrix(901), k=5, params=colstore.SearchParams(exact_tokens=0, probes=4)):
        digest.update(repr((hit.id, hit.score)).encode())
    return digest.hexdigest()
"""

# Changes the index all the time, and records the hits of each generation.
WRITER = (
    SHARED
    + """
path, end, step = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0
index = colstore.open(path)
digests = {index.generation: answer(index)}
while time.monotonic() < end:
    step += 1
    number = 1000 + step % 11
    if step % 10 == 9:
        index.compact(retrain=step % 4 == 1, clean=step % 3 == 0)
    elif step % 5 == 4:
        index.delete([f"d{number}"], missing="skip")
    else:
        index.replace([document(number, 5000 + step), document(number + 20, 5000 + step)])
    digests[index.generation] = answer(index)
print(json.dumps({"digests": digests, "steps": step}))
"""
)

# Searches in two threads that share one index; one of them also refreshes it and opens the index again.
READER = (
    SHARED
    + """
path, end = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
seen, searches, errors = set(), [0], []

def search(index, refreshes):
    try:
        while time.monotonic() < end:
            if refreshes:
                index.refresh()
                with colstore.open(path) as fresh:
                    seen.add((fresh.generation, answer(fresh)))
            before = index.generation
            digest = answer(index)
            searches[0] += 1
            # Another thread may have refreshed the index meanwhile; then the searches may be of two generations.
            if index.generation == before:
                seen.add((before, digest))
    except Exception as error:
        errors.append(repr(error))

with colstore.open(path) as index:
    threads = [threading.Thread(target=search, args=(index, number == 0)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(json.dumps({"seen": sorted(seen), "searches": searches[0], "errors": errors}))
"""
)


def watch(path: Path, seconds: float, readers: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Let a writer and readers work on an index, and return what they print."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(seconds)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for code in (WRITER, *[READER] * readers)
    ]
    printed = [process.communicate(timeout=seconds + 120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * (1 + readers)
    writer, *readers_seen = map(json.loads, printed)
    return writer, readers_seen


def check(path: Path, seconds: float, readers: int) -> None:
    changed_index(path)
    writer, watched = watch(path, seconds, readers)
    expected = {int(generation): digest for generation, digest in writer["digests"].items()}
    for reader in watched:
        assert reader["errors"] == []
        wrong = [generation for generation, digest in reader["seen"] if expected.get(generation) != digest]
        assert wrong == []
        assert len({generation for generation, _ in reader["seen"]}) > 1
        assert reader["searches"] > 10
    assert writer["steps"] > 10
    assert colstore.verify(path, "deep").ok
    print(f"{writer['steps']} changes, {sum(reader['searches'] for reader in watched)} searches")


def test_each_answer_is_that_of_one_generation(tmp_path: Path) -> None:
    check(tmp_path / "x.colstore", 4, readers=2)


@pytest.mark.slow
def test_each_answer_is_that_of_one_generation_for_minutes(tmp_path: Path) -> None:
    check(tmp_path / "x.colstore", 120, readers=4)
