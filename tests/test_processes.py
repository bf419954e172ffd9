"""An index that goes where its process goes: another folder, a fork, a worker."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import colstore
from colstore.errors import EncoderError, IndexClosedError, IndexNotFoundError
from colstore.frozen import FrozenEncoder
from colstore.testing import FakeEncoder
from tests.encode.checkpoints import make_checkpoint
from tests.proofs.crash_calls import Calls

DOCUMENTS = [{"id": f"d{i}", "text": f"page {i} about ships"} for i in range(6)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processes") / "x.colstore"
    colstore.build(path, DOCUMENTS, model=FakeEncoder(dim=16)).close()
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model") / "tiny", "stanford")


def best(index: colstore.Index, query: str) -> str:
    return index.search(query, k=1)[0].id


def test_the_working_directory_may_change(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(path, tmp_path / "x.colstore")
    monkeypatch.chdir(tmp_path)
    with colstore.open("x.colstore") as index:
        monkeypatch.chdir("/")
        assert index.path == tmp_path / "x.colstore"
        assert best(index, "page 2") == "d2"
        assert index.search("page 2", k=1)[0].text == "page 2 about ships"
        assert index.refresh() is False
        assert index.delete(["d2"]).deleted == 1
        assert index.verify().ok
        assert "d2" not in index


def test_a_relative_build_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with colstore.build("x.colstore", DOCUMENTS, model=FakeEncoder(dim=16)) as index:
        monkeypatch.chdir("/")
        assert index.add([{"id": "d9", "text": "page 9"}]).added == 1
        assert best(index, "page 9") == "d9"


def test_a_pickled_index_opens_again(path: Path) -> None:
    with colstore.open(path) as index, pickle.loads(pickle.dumps(index)) as again:
        assert again.path == index.path
        assert again.search("page 3") == index.search("page 3")


def test_a_pickled_index_opens_the_newest_generation(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "x.colstore")
    with colstore.open(tmp_path / "x.colstore") as index:
        pickled = pickle.dumps(index)
        index.delete(["d1"])
    with pickle.loads(pickled) as again:
        assert again.generation == 2


def test_worker_processes_that_start_anew(path: Path) -> None:
    with (
        colstore.open(path) as index,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        queries = ["page 1", "page 4"]
        assert list(pool.map(partial(best, index), queries, timeout=120)) == ["d1", "d4"]


def test_a_pickled_index_whose_path_is_gone(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "x.colstore")
    with colstore.open(tmp_path / "x.colstore") as index:
        pickled = pickle.dumps(index)
    shutil.rmtree(tmp_path / "x.colstore")
    with pytest.raises(IndexNotFoundError, match=r"x\.colstore"):
        pickle.loads(pickled)


def test_the_callers_encoder_travels_along(path: Path) -> None:
    with colstore.open(path, encoder=FakeEncoder(dim=16, seed=5)) as index, pickle.loads(pickle.dumps(index)) as again:
        assert again.encoder.settings["seed"] == 5


def test_a_model_that_the_index_does_not_know_does_not_travel(tmp_path: Path, checkpoint: Path) -> None:
    encoder = colstore.load_encoder(checkpoint, device="cpu")
    rows = np.eye(16, dtype=np.float32)
    colstore.build_from_vectors(tmp_path / "x", ["a"], [rows]).close()
    index = colstore.open(tmp_path / "x", encoder=encoder)
    with index, pytest.raises(EncoderError, match=r"open the index there.*encoder=\.\.\."):
        pickle.dumps(index)
    with pytest.raises(IndexClosedError):
        pickle.dumps(index)


def test_the_encoder_that_the_index_was_built_with_does_not_travel(tmp_path: Path, checkpoint: Path) -> None:
    encoder = colstore.load_encoder(checkpoint, device="cpu")
    colstore.build(tmp_path / "x", DOCUMENTS, model=encoder).close()
    with colstore.open(tmp_path / "x", encoder=encoder) as index, pickle.loads(pickle.dumps(index)) as again:
        assert isinstance(again.encoder, FrozenEncoder)


class Mine(FakeEncoder):
    """An encoder of a kind that an index cannot load by itself."""

    @property
    def settings(self) -> dict[str, colstore.types.Json]:
        return {**super().settings, "kind": "mine"}


def test_an_index_that_was_just_built_travels_too(tmp_path: Path, checkpoint: Path) -> None:
    models: tuple[FakeEncoder | Path, ...] = (FakeEncoder(dim=16), Mine(dim=16), checkpoint)
    for number, model in enumerate(models):
        with (
            colstore.build(tmp_path / str(number), DOCUMENTS, model=model) as index,
            pickle.loads(pickle.dumps(index)) as again,
        ):
            assert again.search("what do bees do") == index.search("what do bees do")


def in_child(index: colstore.Index, query: str) -> Sequence[str]:
    """Return the ids that a forked child finds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, " ".join(hit.id for hit in index.search(query, k=3)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode().split()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_index_that_was_just_built_answers_after_a_fork(tmp_path: Path, checkpoint: Path) -> None:
    """Queries are encoded without torch, whose threads do not survive a fork."""
    with colstore.build(tmp_path / "x", DOCUMENTS, model=checkpoint) as index:
        assert isinstance(index.encoder, FrozenEncoder)
        expected = [hit.id for hit in index.search("what do bees do", k=3)]
        assert in_child(index, "what do bees do") == expected
        assert index.add([{"id": "d9", "text": "added with the model in memory"}]).added == 1
    with colstore.open(tmp_path / "x") as opened:
        vectors = opened.encoder.encode_queries(["what do bees do"])[0]
        np.testing.assert_array_equal(vectors, index._state.encoder.encode_queries(["what do bees do"])[0])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="NEEDS fork")
def test_a_model_of_torch_works_in_a_child_of_a_process_that_used_it(tmp_path: Path) -> None:
    """gunicorn --preload: the threads of torch's pool are gone in the child, and waiting for them would never end."""
    pytest.importorskip("torch")
    script = tmp_path / "preload.py"
    script.write_text(PRELOADED, encoding="utf-8")
    model = make_checkpoint(tmp_path / "tiny", "stanford")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(model), str(tmp_path / "x")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.stdout.split() == ["searched", "added"], run.stderr[-2000:]


PRELOADED = """
import os, select, signal, sys
import torch
import colstore

torch.set_num_threads(2)
encoder = colstore.load_encoder(sys.argv[1], device="cpu")
texts = [{"id": f"d{n}", "text": f"page {n} about ships and bees " * 8} for n in range(64)]
encoder.encode_documents([text["text"] for text in texts])
big = torch.ones(2048, 2048)
(big * big).sum(), big @ big
built = colstore.build(sys.argv[2], texts, model=encoder)
opened = colstore.open(sys.argv[2], encoder=encoder)
opened.search("bees", k=1)


def searched():
    (big * big).sum(), big @ big
    return opened.search("bees", k=1)[0].id


def added():
    return built.add([{"id": f"n{n}", "text": f"new {n} about bees " * 8} for n in range(40)]).added


for work in (searched, added):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        work()
        os.write(writing, work.__name__.encode())
        os._exit(0)
    os.close(writing)
    if select.select([reading], [], [], 60)[0]:
        print(os.read(reading, 100).decode())
    else:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="NEEDS forkserver")
def test_worker_processes_of_a_fork_server(path: Path) -> None:
    with (
        colstore.open(path) as index,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool,
    ):
        assert list(pool.map(partial(best, index), ["page 2"], timeout=120)) == ["d2"]


def test_a_created_index_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with colstore.create("x.colstore", model=FakeEncoder(dim=16)) as index:
        monkeypatch.chdir("/")
        assert index.add([{"id": "d9", "text": "page 9"}]).added == 1
        assert best(index, "page 9") == "d9"


def test_reading_writes_nothing(path: Path) -> None:
    """So that a read-only file system, or the index of another user, is as good as any other."""
    with Calls(path).watching() as calls:
        with colstore.open(path) as index:
            assert best(index, "page 1") == "d1"
            assert len(index.get(["d1"])) == len(list(index.iter_vectors(["d1"]))) == 1
            assert index.count() == 6
            assert index.refresh() is False
            assert index.info().documents == 6
        assert colstore.verify(path, "deep", all_generations=True).ok
        assert colstore.history(path)[0].ok
    assert calls.seen == []


FOREIGN = """
import os, sys
import colstore

new = [{"id": "n", "text": "new"}]


def use(path):
    with colstore.open(path) as index:
        yield index.search("page 1", k=1)[0].id
        yield colstore.verify(path).ok
        acts = (
            lambda: index.add(new),
            lambda: index.delete(["d1"]),
            lambda: colstore.build(path, new, model="no/model", overwrite=True),
        )
        for act in acts:
            try:
                act()
            except colstore.errors.ColstoreError as error:
                yield type(error).__name__ + ("" if path in str(error) else " " + str(error))


list(use(sys.argv[1]))  # everything is imported before the other user cannot read the modules
os.setgid(65534)
os.setuid(65534)
print(*use(sys.argv[2]))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="NEEDS root, to become another user")
def test_an_index_of_another_user_is_read_and_not_changed(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warm, foreign = Path(folder) / "warm", Path(folder) / "foreign"
        for copy in (warm, foreign):
            shutil.copytree(path, copy)
        Path(folder).chmod(0o755)
        foreign.chmod(0o755)
        run = subprocess.run(
            [sys.executable, "-c", FOREIGN, str(warm), str(foreign)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert run.stdout.split() == ["d1", "True", *["StorageError"] * 3], run.stderr[-2000:]
        assert len(list(foreign.glob("manifest-*"))) == 1
