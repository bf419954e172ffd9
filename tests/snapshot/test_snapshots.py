"""Readers keep their snapshot until they refresh it, and writers do not disturb them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import colstore
from colstore import Index
from colstore.errors import ColstoreError, IndexLockedError, MissingFileError
from colstore.snapshot.snapshot import Snapshot
from colstore.store import WriterLock, generations, latest, load, segments_folder
from colstore.updating import retention

REPOSITORY = Path(__file__).resolve().parents[2]


def answer(index: Index, query: Any) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in index.search(query, k=100)]


def test_a_reader_keeps_its_snapshot_until_it_refreshes(index: Index, document: Any) -> None:
    query = document(50).vectors
    with colstore.open(index.path) as reader:
        before = answer(reader, query)
        index.replace([document(3, seed=50)])
        index.delete(["d4"])
        index.compact(retrain=True, clean=True)  # even when all its files are gone
        assert generations(index.path) == [4]
        assert answer(reader, query) == before
        assert (reader.generation, len(reader), "d4" in reader) == (1, 20, True)
        assert reader.vectors(["d4"])[0].shape == (4, 16)
        assert reader.refresh()
        assert (reader.generation, len(reader), "d4" in reader) == (4, 19, False)
        assert reader.search(query, k=1)[0].id == "d3"
        assert not reader.refresh()


def test_a_snapshot_never_read_before_survives_its_files(index: Index, document: Any) -> None:
    with colstore.open(index.path) as reader:
        index.compact(retrain=True, clean=True)
        assert reader.search(document(7).vectors, k=1)[0].id == "d7"
        assert reader.search(document(7).vectors, k=1)[0].title is not None


def test_refreshing_keeps_open_what_stays(index: Index, document: Any) -> None:
    index.search(document(1).vectors)
    view = index._state.searcher.views[0]
    index.delete(["d1"])
    again = index._state.searcher.views[0]
    assert again.segment._data is view.segment._data
    assert again.offsets is view.offsets


def test_opening_starts_again_where_a_writer_cleaned_up(
    index: Index, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the manifest and opening its files, everything is replaced."""
    original: Any = vars(Snapshot)["from_manifest"].__func__
    raced: list[int] = []

    def slow(cls: Any, path: Path, manifest: Any, previous: Any = None) -> Snapshot:
        if not raced:
            raced.append(manifest.generation)
            monkeypatch.undo()
            index.compact(retrain=True, clean=True)
        made: Snapshot = original(cls, path, manifest, previous)
        return made

    monkeypatch.setattr(Snapshot, "from_manifest", classmethod(slow))
    with colstore.open(index.path) as reader:
        assert raced == [1]
        assert reader.generation == 2


def test_a_file_that_is_really_missing_is_an_error(index: Index) -> None:
    next(segments_folder(index.path).glob("*.h5")).unlink()
    with pytest.raises(MissingFileError):
        colstore.open(index.path)


# --- writers ----------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_at_once_or_waits(index: Index, document: Any) -> None:
    with WriterLock(index.path):
        start = time.monotonic()
        with pytest.raises(IndexLockedError, match=f"process {os.getpid()}"):
            index.add([document(60)])
        with pytest.raises(IndexLockedError):
            index.delete(["d1"])
        with pytest.raises(IndexLockedError):
            index.compact()
        assert time.monotonic() - start < 5
    holder = WriterLock(index.path)
    releaser = threading.Timer(0.3, holder.close)
    releaser.start()
    index.add([document(60)], wait=30)
    releaser.join()
    assert "d60" in index


def test_two_writers_lose_nothing(index: Index, document: Any) -> None:
    """Each begins with the newest generation, not with its own snapshot."""
    with colstore.open(index.path) as other:
        index.add([document(60)])
        other.add([document(61)])
        index.delete(["d1"])
        for writer in (index, other):
            writer.refresh()
            assert len(writer) == 21
            assert "d60" in writer
            assert "d61" in writer
            assert "d1" not in writer


def test_a_lock_of_a_dead_process_is_no_obstacle(index: Index, document: Any) -> None:
    code = (
        "import os, sys; from pathlib import Path; from colstore.store import WriterLock\n"
        "lock = WriterLock(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(index.path)], cwd=REPOSITORY, check=False)
    assert run.returncode == -9
    assert index.add([document(60)]).added == 1


def test_a_closed_index_refuses_everything(index: Index, document: Any) -> None:
    index.close()
    actions: list[Callable[[], object]] = [
        lambda: index.add([document(60)]),
        lambda: index.delete(["d1"]),
        index.compact,
        index.refresh,
    ]
    for action in actions:
        with pytest.raises(ColstoreError, match="closed"):
            action()
    assert latest(index.path).generation == 1


# --- processes and threads --------------------------------------------------------------------------------------

WRITER = """
import sys
import numpy as np
import colstore

path, seconds = sys.argv[1], float(sys.argv[2])
import time
index, end, step = colstore.open(path), time.monotonic() + seconds, 0
while time.monotonic() < end:
    step += 1
    vectors = np.random.default_rng(step).standard_normal((4, 16)).astype(np.float32)
    # Both documents of a step in one batch: no reader may ever see one without the other.
    ids = [f"x{step % 5}", f"y{step % 5}"]
    index.replace([colstore.Document(id=name, metadata={"step": step}, vectors=vectors) for name in ids])
    if step % 4 == 0:
        index.delete(ids)
    if step % 9 == 0:
        index.compact(clean=True)
print(step)
"""


def watch(path: Path, until: threading.Event, found: list[str]) -> None:
    """Open, search and refresh; note everything that is not one committed state."""
    reader = colstore.open(path)
    try:
        while not until.is_set():
            hits = reader.search(np.ones((1, 16)), k=1000)
            steps = {hit.id: hit.metadata.get("step") for hit in hits if hit.id[0] in "xy"}
            if any(steps.get(f"x{i}") != steps.get(f"y{i}") for i in range(5)):
                found.append(f"half a batch: {steps}")
            if len(hits) != len({hit.id for hit in hits}) or len(hits) != len(reader):
                found.append(f"{len(hits)} hits of {len(reader)} documents")
            reader.refresh()
            colstore.open(path).close()
    except Exception as error:
        found.append(repr(error))
    finally:
        reader.close()


def test_readers_beside_a_writer_process_see_whole_generations(index: Index) -> None:
    index.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(index.path), "4"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    until, found = threading.Event(), list[str]()
    readers = [threading.Thread(target=watch, args=(index.path, until, found)) for _ in range(2)]
    for reader in readers:
        reader.start()
    steps, _ = writer.communicate(timeout=120)
    until.set()
    for reader in readers:
        reader.join()
    assert found == []
    assert writer.returncode == 0
    assert int(steps) > 2
    assert colstore.verify(index.path, "deep").ok


def test_threads_search_while_one_refreshes(index: Index, document: Any) -> None:
    stop, failed = threading.Event(), list[Exception]()

    def search() -> None:
        while not stop.is_set():
            try:
                hits = index.search(document(2).vectors, k=50)
                assert hits[0].id == "d2"
            except Exception as error:
                failed.append(error)
                return

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(200, 215):
        index.add([document(i)])
        index.delete([f"d{i}"])
    index.compact(retrain=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


FORK = """
import os, sys, threading
import numpy as np
import colstore

path = sys.argv[1]
index = colstore.open(path)
query = np.random.default_rng(7).standard_normal((4, 16)).astype(np.float32)
before = [(hit.id, hit.score) for hit in index.search(query, k=30, threads=2)]
threads = threading.active_count()
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            same = [(hit.id, hit.score) for hit in index.search(query, k=30)] == before
            many = index.search_many([query] * 3, k=30)
            same = same and [[(hit.id, hit.score) for hit in hits] for hits in many] == [before] * 3
            index.add([colstore.Document(id=f"child{number}", vectors=query)], wait=60)
            os._exit(0 if same and f"child{number}" in index else 1)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(2)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
same = [(hit.id, hit.score) for hit in index.search(query, k=30)] == before
index.refresh()
print(codes, same, len(index), threading.active_count() == threads == 1)
"""


def test_an_open_index_survives_a_fork(index: Index) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORK, str(index.path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.stdout == "[0, 0, 0] True 23 True\n", run.stderr


def test_no_thread_outlives_close(index: Index, document: Any) -> None:
    before = set(threading.enumerate())
    with colstore.open(index.path) as opened:
        opened.search(document(1).vectors, threads=2)
        opened.search_many([document(1).vectors] * 4, threads=2)
        opened.add([document(60)])
        opened.compact(retrain=True)
    assert set(threading.enumerate()) - before == set()


# --- old generations --------------------------------------------------------------------------------------------


def age(path: Path, generation: int, seconds: float) -> None:
    from colstore.store.format import manifest_name

    then = time.time() - seconds
    os.utime(path / manifest_name(generation), (then, then))


def test_old_generations_go_after_the_grace_period(index: Index, document: Any) -> None:
    for i in range(100, 105):
        index.add([document(i)])
    assert generations(index.path) == [1, 2, 3, 4, 5, 6]
    for generation in range(1, 7):
        age(index.path, generation, retention.GRACE_SECONDS + 5)
    index.add([document(105)])
    assert generations(index.path) == [6, 7]
    assert index.verify("deep").ok
    named = {record.path for n in (6, 7) for record in load(index.path, n).files}
    there = {str(file.relative_to(index.path)) for file in segments_folder(index.path).iterdir()}
    assert there == {path for path in named if path.startswith("segments/")}


def test_fast_changes_keep_a_bounded_number_of_generations(
    index: Index, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_MOST", 4)
    monkeypatch.setattr(retention, "SLACK", 2)
    for i in range(100, 120):
        index.add([document(i)])
        assert len(generations(index.path)) <= 6
    assert index.verify("deep").ok


@pytest.mark.usefixtures("unmerged")
def test_nothing_goes_while_a_generation_cannot_be_read(index: Index, document: Any) -> None:
    from colstore.store.format import manifest_name

    index.add([document(100)])
    index.add([document(101)])
    (index.path / manifest_name(2)).write_bytes(b"{}")
    age(index.path, 1, retention.GRACE_SECONDS + 5)
    index.add([document(102)])
    assert generations(index.path) == [1, 2, 3, 4]
    index.compact(clean=True)
    assert generations(index.path) == [5]


def test_foreign_files_stay(index: Index, document: Any) -> None:
    (index.path / "notes.txt").write_text("mine")
    (index.path / "deletes").mkdir(exist_ok=True)
    (index.path / "deletes" / "notes.txt").write_text("mine")
    index.delete(["d1"])
    index.compact(clean=True)
    assert (index.path / "notes.txt").exists()
    assert [file.name for file in (index.path / "deletes").iterdir()] == ["notes.txt"]
