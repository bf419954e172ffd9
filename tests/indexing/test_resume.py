"""Builds that are killed, interrupted, or run out of disk, and go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import colstore
from colstore.encode import FakeEncoder
from colstore.errors import IndexExistsError, ResumeError, StorageError
from colstore.types import EncodedText
from tests.indexing.helpers import documents

REPOSITORY = Path(__file__).resolve().parents[2]
COUNT = 200

# Windows of 10 and parts of 20 documents; each window takes as long as the second argument says.
_BUILD = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background inherits as ignored
import colstore
from colstore.indexing import ingest as encoding
from colstore.indexing import parts
from colstore.encode import FakeEncoder
from tests.indexing.helpers import documents

encoding.WINDOW_DOCUMENTS, parts.PART_DOCUMENTS = 10, 20
pause, resume = float(sys.argv[2]), sys.argv[3] == "resume"

class Slow(FakeEncoder):
    def encode_documents(self, texts):
        time.sleep(pause)
        return super().encode_documents(texts)

try:
    colstore.build(sys.argv[1], documents(200), model=Slow(), centroids=16, resume=resume).close()
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(130)
"""


def start(path: Path, pause: float, mode: str = "begin", **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(path), str(pause), mode],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def payload(path: Path) -> dict[str, bytes]:
    """Return the bytes of all segments, codec and centroids."""
    files = [*path.glob("segments/*"), *path.glob("codec-*"), *path.glob("centroids-*")]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def wait_for_parts(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list((path / "building").glob("part-*.h5"))) < count:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the payload of a build that nothing interrupted."""
    path = tmp_path_factory.mktemp("whole") / "x.colstore"
    process = start(path, 0)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return payload(path)


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_build_that_was_stopped_goes_on_and_ends_the_same(
    tmp_path: Path, whole: dict[str, bytes], blow: signal.Signals
) -> None:
    path = tmp_path / "x.colstore"
    process = start(path, 0.2)
    wait_for_parts(path, 3, process)
    sent = time.monotonic()
    process.send_signal(blow)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - sent < 30
    assert process.returncode == (-signal.SIGKILL if blow is signal.SIGKILL else 130), errors
    assert not list(path.glob("manifest-*"))
    kept = {part.name: part.stat().st_mtime_ns for part in (path / "building").glob("part-*.h5")}

    process = start(path, 0, "resume")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert len(kept) >= 3
    assert payload(path) == whole
    assert not (path / "building").exists()


@pytest.mark.skipif(os.name == "nt", reason="limits are those of POSIX")
def test_a_full_disk_is_a_named_error_and_the_build_goes_on_later(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """A limit on the size of files stands for the disk: sooner or later, one cannot be written."""
    path = tmp_path / "x.colstore"
    limit = max(len(data) for data in whole.values()) // 2

    def limited() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing says EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(path, 0, preexec_fn=limited)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "StorageError" in errors
    assert not list(path.glob("manifest-*"))
    process = start(path, 0, "resume")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert payload(path) == whole


class Failing(FakeEncoder):
    """Encodes a few windows, then does what it is told."""

    def __init__(self, windows: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._left, self._act = windows, act

    def encode_documents(self, texts: Any) -> list[EncodedText]:
        self._left -= 1
        if self._left < 0:
            self._act()
        return super().encode_documents(texts)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make windows of 10 and parts of 20 documents."""
    monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 10)
    monkeypatch.setattr("colstore.indexing.parts.PART_DOCUMENTS", 20)


def stop() -> None:
    raise StorageError("no space left on device")


@pytest.mark.usefixtures("small_windows")
def test_when_parts_are_sealed_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name, seconds, count in (("a", 0.0, 10**9), ("b", 1e9, 10**9), ("c", 1e9, 30)):
        monkeypatch.setattr("colstore.indexing.parts.PART_SECONDS", seconds)
        monkeypatch.setattr("colstore.indexing.parts.PART_DOCUMENTS", count)
        colstore.build(tmp_path / name, documents(95), model=FakeEncoder(), centroids=8).close()
        made.append(payload(tmp_path / name))
    assert made[0] == made[1] == made[2]


@pytest.mark.usefixtures("small_windows")
def test_time_seals_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.indexing.parts.PART_SECONDS", 0.0)
    with pytest.raises(StorageError):
        colstore.build(tmp_path / "x", documents(95), model=Failing(5, stop))
    assert len(list((tmp_path / "x" / "building").glob("part-*.h5"))) == 5


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize(
    "change",
    ["text", "id", "title", "metadata", "order", "fewer"],
)
def test_another_corpus_is_refused(tmp_path: Path, change: str) -> None:
    from dataclasses import replace

    with pytest.raises(StorageError):
        colstore.build(tmp_path / "x", documents(95), model=Failing(5, stop))
    corpus = documents(95)
    if change == "order":
        corpus[3], corpus[4] = corpus[4], corpus[3]
    elif change == "fewer":
        corpus = corpus[:15]
    else:
        value: Any = {"n": -1} if change == "metadata" else "another"
        corpus[7] = replace(corpus[7], **{change: value})
    with pytest.raises(ResumeError, match="corpus is not the one"):
        colstore.build(tmp_path / "x", corpus, model=FakeEncoder(), resume=True)


@pytest.mark.usefixtures("small_windows")
def test_a_corpus_that_grew_after_it_was_encoded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        stop()

    with monkeypatch.context() as patch:
        patch.setattr("colstore.indexing.build.train_codec", full)
        with pytest.raises(StorageError):
            colstore.build(tmp_path / "x", documents(40), model=FakeEncoder())
    with pytest.raises(ResumeError, match="corpus is not the one"):
        colstore.build(tmp_path / "x", documents(41), model=FakeEncoder(), resume=True)
    with colstore.build(tmp_path / "x", documents(40), model=FakeEncoder(), resume=True) as index:
        assert len(index) == 40
        assert index.report is not None
        assert index.report.encoded_tokens == 0


@pytest.mark.usefixtures("small_windows")
def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        colstore.build(tmp_path / "x", documents(95), model=Failing(5, stop))
    for options, said in (({"bits": 2}, "config"), ({"dim": 8}, "dim"), ({"model": FakeEncoder(seed=1)}, "encoder")):
        with pytest.raises(ResumeError, match=said):
            colstore.build(tmp_path / "x", documents(95), resume=True, **{"model": FakeEncoder(), **options})  # type: ignore[arg-type]


@pytest.mark.usefixtures("small_windows")
def test_a_resumed_build_encodes_as_it_began(tmp_path: Path, minilm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the self-test of backends would choose another one by now."""

    def full(*_: object) -> None:
        stop()

    path = tmp_path / "x"
    with monkeypatch.context() as patch:
        patch.setattr("colstore.indexing.build.train_codec", full)
        with pytest.raises(StorageError):
            colstore.build(path, documents(20), model=minilm, device="cpu", backend="onnx")
    state = json.loads((path / "building" / "state.json").read_text())
    assert state["state"]["settings"]["encoder"]["backend"] == "onnx"
    with pytest.raises(ResumeError, match="encoder"):
        colstore.build(path, documents(20), model=minilm, device="cpu", backend="torch", resume=True)
    with colstore.build(path, documents(20), model=minilm, device="cpu", resume=True) as index:
        assert index.info().encoder["backend"] == "onnx"  # type: ignore[index]  # it has an encoder


def test_a_large_corpus_is_tried_on_backends_and_loses_no_document(
    tmp_path: Path, minilm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colstore.api.SMALL_CORPUS", 8)
    tried: list[int] = []

    def fastest(encoder: Any, texts: list[str], _: object) -> Any:
        tried.append(len(texts))
        return encoder

    monkeypatch.setattr("colstore.encode.backends._fastest", fastest)
    with colstore.build(tmp_path / "x", iter(documents(12)), model=minilm, device="cpu") as index:
        assert len(index) == 12
    assert tried == [8]
    colstore.build(tmp_path / "y", iter(documents(7)), model=minilm, device="cpu").close()
    assert tried == [8]


@pytest.mark.usefixtures("small_windows")
def test_resuming_never_replaces_an_index_that_is_complete(tmp_path: Path) -> None:
    """What was added to it since would be lost."""
    path = tmp_path / "x"
    with colstore.build(path, documents(30), model=FakeEncoder(), resume=True) as index:
        index.add([{"id": "late", "text": "added later"}])
    for _ in range(2):
        with pytest.raises(IndexExistsError, match="overwrite"):
            colstore.build(path, documents(30), model=FakeEncoder(), resume=True)
        with pytest.raises(StorageError):  # an unfinished build to replace it, over the index as it is now
            colstore.build(path, documents(95), model=Failing(5, stop), overwrite=True)
        with colstore.open(path) as index:
            assert "late" in index
            index.delete(["d1"])
        with pytest.raises(IndexExistsError, match="changed"):
            colstore.build(path, documents(95), model=FakeEncoder(), resume=True)
        shutil.rmtree(path / "building")
        with colstore.open(path, encoder=FakeEncoder()) as index:
            index.add([{"id": "d1", "text": "back again"}])
    with pytest.raises(StorageError):
        colstore.build(path, documents(95), model=Failing(5, stop), overwrite=True)
    with colstore.build(path, documents(95), model=FakeEncoder(), resume=True) as index:  # it is as it was then
        assert (len(index), "late" in index) == (95, False)


def test_a_build_that_comes_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        colstore.build(tmp_path / "x", documents(9), model=Failing(0, stop))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(StorageError):
        colstore.build(tmp_path / "mine", documents(9), model=Failing(0, stop))
    assert (tmp_path / "mine").is_dir()


@pytest.mark.usefixtures("small_windows")
def test_an_index_can_be_read_while_another_is_built_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x"
    colstore.build(path, documents(30), model=FakeEncoder()).close()
    seen: list[int] = []

    def look() -> None:
        with colstore.open(path, encoder=FakeEncoder()) as index:
            assert index.verify("deep").ok
            seen.append(len(index))

    with (
        colstore.open(path, encoder=FakeEncoder()) as before,
        colstore.build(path, documents(95), model=Failing(5, look), overwrite=True) as after,
    ):
        assert (seen[0], len(before), len(after)) == (30, 30, 95)
        assert before.search("bees dance", k=30) != []
