"""One writer process, and readers in processes and threads: each answer is exactly that of one generation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import colstore
from tests.proofs.crash_scenes import living

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

# Changes the index all the time, and writes down what each generation answers.
WRITER = (
    SHARED
    + """
path, end, step = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2]), 0
index = colstore.open(path)
told = {index.generation: answer(index)}
while time.monotonic() < end:
    step += 1
    number = 1000 + step % 11
    if step % 10 == 9:
        index.compact(retrain=step % 4 == 1, clean=step % 3 == 0)
    elif step % 5 == 4:
        index.delete([f"d{number}"], missing="skip")
    else:
        index.replace([document(number, 5000 + step), document(number + 20, 5000 + step)])
    told[index.generation] = answer(index)
print(json.dumps({"told": told, "steps": step}))
"""
)

# Asks, moves on, opens anew; in several threads that share one index, while another moves it on.
READER = (
    SHARED
    + """
path, end = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
heard, asked, errors = set(), [0], []

def ask(index, moves):
    try:
        while time.monotonic() < end:
            if moves:
                index.refresh()
                with colstore.open(path) as fresh:
                    heard.add((fresh.generation, answer(fresh)))
            before = index.generation
            said = answer(index)
            asked[0] += 1
            # another thread may have moved the index on meanwhile: then the answer may mix two generations
            if index.generation == before:
                heard.add((before, said))
    except Exception as error:
        errors.append(repr(error))

with colstore.open(path) as index:
    threads = [threading.Thread(target=ask, args=(index, number == 0)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(json.dumps({"heard": sorted(heard), "asked": asked[0], "errors": errors}))
"""
)


def watch(path: Path, seconds: float, readers: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Let a writer and readers work on an index, and return what they say."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(seconds)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for code in (WRITER, *[READER] * readers)
    ]
    said = [process.communicate(timeout=seconds + 120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * (1 + readers)
    writer, *heard = map(json.loads, said)
    return writer, heard


def check(path: Path, seconds: float, readers: int) -> None:
    living(path)
    writer, heard = watch(path, seconds, readers)
    told = {int(generation): digest for generation, digest in writer["told"].items()}
    for reader in heard:
        assert reader["errors"] == []
        wrong = [generation for generation, digest in reader["heard"] if told.get(generation) != digest]
        assert wrong == []
        assert len({generation for generation, _ in reader["heard"]}) > 1
        assert reader["asked"] > 10
    assert writer["steps"] > 10
    assert colstore.verify(path, "deep").ok
    print(f"{writer['steps']} changes, {sum(reader['asked'] for reader in heard)} answers")


def test_each_answer_is_that_of_one_generation(tmp_path: Path) -> None:
    check(tmp_path / "x.colstore", 4, readers=2)


@pytest.mark.slow
def test_each_answer_is_that_of_one_generation_for_minutes(tmp_path: Path) -> None:
    check(tmp_path / "x.colstore", 120, readers=4)
