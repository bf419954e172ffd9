"""Small indexes, the operations on them during which the disk fails, and what an index then holds."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

import colstore
from colstore import Document, Index, SearchParams
from colstore.encode import FakeEncoder
from colstore.indexing import ingest as encoding
from colstore.indexing import parts
from colstore.store import generations, latest
from colstore.types import FloatMatrix
from colstore.updating import add as adding
from colstore.updating import merge_policy as policy
from colstore.updating.change import store_tuned

DIM, FIRST = 8, 14
WAYS = (SearchParams(exact=True), SearchParams(exact_tokens=0, probes=4))


def matrix(seed: int) -> FloatMatrix:
    """Return 2 to 4 unit vectors."""
    made = np.random.default_rng(seed).standard_normal((2 + seed % 3, DIM)).astype(np.float32)
    unit: FloatMatrix = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def document(number: int, seed: int | None = None) -> Document:
    """Return document ``d<number>``, with a text and metadata that depend on its seed."""
    seed = number if seed is None else seed
    return Document(id=f"d{number}", title=f"t{seed}", text=f"text {seed}", metadata={"n": seed}, vectors=matrix(seed))


def build(path: Path, first: int = 0, *, overwrite: bool = False, resume: bool = False) -> None:
    """Build an index of :data:`FIRST` documents, in two parts."""
    numbers = range(first, first + FIRST)
    colstore.build_from_vectors(
        path,
        [f"d{n}" for n in numbers],
        [matrix(n) for n in numbers],
        texts=[f"text {n}" for n in numbers],
        bits=4,
        centroids=6,
        overwrite=overwrite,
        resume=resume,
    ).close()


class StopError(Exception):
    """Stops a build in the middle, as an encoder that fails would."""


def half_built(path: Path) -> None:
    """Leave an unfinished build, whose first part is sealed, at ``path``."""

    def failing() -> Iterator[FloatMatrix]:
        for n in range(FIRST):
            if n == FIRST - 2:
                raise StopError
            yield matrix(n)

    try:
        colstore.build_from_vectors(
            path,
            [f"d{n}" for n in range(FIRST)],
            failing(),
            texts=[f"text {n}" for n in range(FIRST)],
            bits=4,
            centroids=6,
        )
    except StopError:
        return
    raise AssertionError("the build should have stopped")


def half_built_of_another(path: Path) -> None:
    """Leave an unfinished build of another corpus of the same sizes at ``path``."""
    half_built(path)
    other = path.with_name("other")
    build(other, 300)
    shutil.rmtree(other)


def changed_index(path: Path) -> None:
    """Make an index of three segments, with deleted and replaced documents, and older generations."""
    build(path)
    with fanout(1_000), colstore.open(path) as index:
        index.replace([document(0, 200), document(50)])
        index.delete(["d3"])
        index.add([document(51), document(52)])


def aged(path: Path) -> None:
    """Make a changed index whose older generations have expired."""
    changed_index(path)
    for manifest in path.glob("manifest-*"):
        os.utime(manifest, (1e9, 1e9))


def littered(path: Path) -> None:
    """Make a changed index with the files that crashed writers leave."""
    changed_index(path)
    (path / "segments" / f".tmp-{'0' * 32}-000009-0001.h5").write_bytes(b"half")
    (path / f".tmp-{'1' * 32}-manifest-000000000009.json").write_bytes(b"{")
    for end in ("h5", "sums"):
        shutil.copy(path / "segments" / f"000001-0001.{end}", path / "segments" / f"000009-0001.{end}")


def with_bad_faiss(path: Path) -> None:
    """Make an index whose derived file is damaged."""
    changed_index(path)
    file = next(path.glob("centroids-*.faiss"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def opened(act: Callable[[Index], object]) -> Callable[[Path], None]:
    """Return an operation on an index that is open already."""

    def run(path: Path) -> None:
        with colstore.open(path) as index:
            act(index)

    return run


def _add(index: Index) -> None:
    with fanout(1_000):
        index.add([document(n) for n in range(60, 64)])


def _add_and_merge(index: Index) -> None:
    index.add([document(70)])


def _add_without_links(index: Index) -> None:
    def refusing(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    with mock.patch.object(os, "link", refusing):
        index.add([document(n) for n in range(60, 64)])


def create(path: Path) -> None:
    """Create an empty index."""
    colstore.create(path, model=FakeEncoder(dim=DIM), bits=4).close()


def created(path: Path) -> None:
    """Make an index that was created empty, and holds a few documents as float16."""
    with colstore.create(path, dim=DIM, bits=4) as index:
        index.add([document(n) for n in range(3)])


def _add_and_train(index: Index) -> None:
    with mock.patch.object(adding, "TRAIN_FROM", 10):
        index.add([document(n) for n in range(60, 64)])


def emptied(path: Path) -> None:
    """Make an index that was built, and holds nothing any more."""
    build(path)
    with colstore.open(path) as index:
        index.delete([f"d{n}" for n in range(FIRST)])


def _tune(path: Path) -> None:
    store_tuned(path, latest(path), search={"params": {"probes": 3}, "recall": 0.9})


@dataclass(frozen=True, slots=True)
class Scene:
    """An operation on an index."""

    name: str
    prepare: Callable[[Path], None] | None
    """Makes the index; ``None`` where there is no index before the operation."""
    act: Callable[[Path], None]
    builds: bool = False
    """Whether it is a build, which may be done again."""


SCENES = [
    Scene("build", None, build, builds=True),
    Scene("build, resumed", half_built, lambda path: build(path, resume=True), builds=True),
    Scene("build, again", half_built_of_another, lambda path: build(path, 300, overwrite=True), builds=True),
    Scene("build, overwriting", changed_index, lambda path: build(path, 300, overwrite=True), builds=True),
    Scene("add", changed_index, opened(_add)),
    Scene("add, merging", changed_index, opened(_add_and_merge)),
    Scene("add, cleaning up", aged, opened(_add)),
    Scene("add, without links", changed_index, opened(_add_without_links)),
    Scene("create", None, create, builds=True),
    Scene("add, training", created, opened(_add_and_train)),
    Scene("add, starting over", emptied, opened(_add)),
    Scene("delete", changed_index, opened(lambda index: index.delete(["d5", "d51"]))),
    Scene("delete, merging", changed_index, opened(lambda index: index.delete(["d51", "d52"]))),
    Scene("replace", changed_index, opened(lambda index: index.replace([document(5, 205), document(51, 206)]))),
    Scene("compact", changed_index, opened(lambda index: index.compact())),
    Scene("compact, retraining", changed_index, opened(lambda index: index.compact(retrain=True))),
    Scene("clean-up", littered, opened(lambda index: index.compact(clean=True))),
    Scene("tune", changed_index, _tune),
    Scene("bm25", changed_index, opened(lambda index: index.build_bm25(analyzer="plain"))),
    Scene("recover", changed_index, lambda path: (colstore.recover(path, 2), None)[1]),
    Scene("repair", with_bad_faiss, lambda path: (colstore.verify(path, repair=True), None)[1]),
]
BY_NAME = {scene.name: scene for scene in SCENES}


@contextmanager
def fanout(count: int) -> Iterator[None]:
    """Merge segments only when a tier has ``count`` of them."""
    before, policy.FANOUT = policy.FANOUT, count
    try:
        yield
    finally:
        policy.FANOUT = before


@contextmanager
def small_parts() -> Iterator[None]:
    """Let builds seal a part every eight documents."""
    before = encoding.WINDOW_DOCUMENTS, parts.PART_DOCUMENTS
    encoding.WINDOW_DOCUMENTS, parts.PART_DOCUMENTS = 4, 8
    try:
        yield
    finally:
        encoding.WINDOW_DOCUMENTS, parts.PART_DOCUMENTS = before


@dataclass(frozen=True, slots=True)
class State:
    """Everything that an index returns: ids, texts, metadata, vectors, hits, tuned parameters."""

    ids: tuple[str, ...]
    digest: str


def state_of(path: Path) -> State:
    """Return what the index at ``path`` holds."""
    digest = hashlib.sha256()
    with colstore.open(path) as index:
        hits = {hit.id: hit for hit in index.search(matrix(900), k=10_000)}
        if len(hits) != len(index):
            raise AssertionError(f"{len(hits)} hits of {len(index)} documents")
        ids = sorted(hits)
        for name, vectors in zip(ids, index.vectors(ids), strict=True):
            hit = hits[name]
            digest.update(repr((name, hit.title, hit.text, dict(hit.metadata), hit.score)).encode() + vectors.tobytes())
        for way in WAYS:
            answers = [(hit.id, hit.score) for hit in index.search(matrix(901), k=5, params=way)]
            digest.update(repr(answers).encode())
        digest.update(repr(index.info().tuned).encode())
    return State(tuple(ids), digest.hexdigest())


def state_or_none(path: Path) -> State | None:
    """Return what the index holds, ``None`` where there is no index."""
    if not path.is_dir() or not generations(path):
        return None
    return state_of(path)


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - no paths are needed
