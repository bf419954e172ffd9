"""Raises an error of our own at the calls that an operation makes after its commit, and checks what the caller learns.

The disk may fail at any call (:mod:`tests.proofs.crash_driver`), but so may memory, and Ctrl-C comes when it likes.
Once the manifest has its name, none of them may look like a change that failed.
"""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import colstore
from colstore.encode import FakeEncoder
from colstore.errors import CommittedError, StorageError
from colstore.store import generations, history
from tests.proofs.crash_scenes import (
    DIM,
    aged,
    changed_index,
    created,
    document,
    fanout,
    littered,
    matrix,
    state_of,
    with_bad_faiss,
)

PACKAGE = str(Path(colstore.__file__).parent)
ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: StorageError("injected: no space left"),
    lambda: MemoryError("injected"),
    KeyboardInterrupt,
)
TEXTS = [{"id": f"t{n}", "text": f"page {n} about ships and bees"} for n in range(12)]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that commits: called with the path, and with the index opened before if ``on_index``."""

    name: str
    prepare: Callable[[Path], None] | None
    act: Callable[[Any], object]
    on_index: bool = False


def _build_texts(path: Path) -> object:
    return colstore.build(path, TEXTS, model=FakeEncoder(dim=DIM), first_stage="bm25", bits=4, overwrite=True)


def _build_vectors(path: Path) -> object:
    numbers = range(300, 314)
    return colstore.build_from_vectors(
        path, [f"d{n}" for n in numbers], [matrix(n) for n in numbers], bits=4, centroids=6, overwrite=True
    )


OPERATIONS = (
    Operation("build", changed_index, _build_texts),
    Operation("build_from_vectors", None, _build_vectors),
    Operation("create", None, lambda path: colstore.create(path, model=FakeEncoder(dim=DIM))),
    Operation("add", aged, lambda index: index.add([document(n) for n in range(60, 64)]), on_index=True),
    Operation("add to a small index", created, lambda index: index.add([document(90)]), on_index=True),
    Operation("replace", changed_index, lambda index: index.replace([document(5, 205)]), on_index=True),
    Operation("delete", changed_index, lambda index: index.delete(["d51", "d52"]), on_index=True),
    Operation("compact", changed_index, lambda index: index.compact(), on_index=True),
    Operation("compact, retraining", changed_index, lambda index: index.compact(retrain=True), on_index=True),
    Operation("compact, cleaning", littered, lambda index: index.compact(clean=True), on_index=True),
    Operation("tune", changed_index, lambda index: index.tune([matrix(7)], k=2, recall=0.9), on_index=True),
    Operation("build_bm25", changed_index, lambda index: index.build_bm25(analyzer="plain"), on_index=True),
    Operation("recover", changed_index, lambda path: colstore.recover(path, 2)),
    Operation("repair", with_bad_faiss, lambda path: colstore.verify(path, repair=True)),
)


class AfterCommit:
    """Sees each call of a function of colstore, in this thread, from the return of ``commit`` on.

    Parameters
    ----------
    at
        The function, by its file and name, whose first call is to raise; ``None`` for none.
    error
        Makes the exception.
    """

    def __init__(self, at: str | None = None, error: Callable[[], BaseException] = KeyboardInterrupt) -> None:
        self.seen: dict[str, None] = {}
        self.raised = False
        self._at, self._error, self._committed = at, error, False

    def __enter__(self) -> AfterCommit:
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _watch(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "return" and code is history.commit.__code__:
            self._committed = True
        if event != "call" or not self._committed or code.co_name == "__del__":  # where Python ignores errors
            return
        if not code.co_filename.startswith(PACKAGE):
            return
        name = f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_qualname}"
        self.seen.setdefault(name)
        if name == self._at and not self.raised:
            self.raised = True
            raise self._error()


class Trial:
    """One operation in a folder of its own."""

    def __init__(self, operation: Operation, folder: Path) -> None:
        self.operation, self.path, self._pristine = operation, folder / "x.colstore", folder / "pristine"
        if operation.prepare is not None:
            operation.prepare(self._pristine)

    def run(self, watch: AfterCommit) -> tuple[object, BaseException | None]:
        """Run the operation on a fresh copy; return its result, or the exception that it raised."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.operation.prepare is not None:
            shutil.copytree(self._pristine, self.path)
        subject: Any = colstore.open(self.path) if self.operation.on_index else self.path
        result, raised = None, None
        with fanout(3):
            try:
                with watch:
                    result = self.operation.act(subject)
            except BaseException as error:
                if not watch.raised:
                    raise
                raised = error
        for opened in (subject, result):
            if isinstance(opened, colstore.Index):
                opened.close()
        return result, raised

    def points(self) -> list[str]:
        """Return the functions that are called after the commit."""
        watch = AfterCommit()
        self.run(watch)
        self.run(again := AfterCommit())  # without what is imported and cached at the first time
        self.after = None if self.operation.name == "tune" else state_of(self.path)  # tuning measures times
        self.generation = generations(self.path)[-1]
        return [name for name in again.seen if name in watch.seen]

    def check(self, point: str, error: Callable[[], BaseException]) -> str:
        """Fail at a point, and return how the caller learned of it; raise if the index is not the new one."""
        watch = AfterCommit(point, error)
        result, raised = self.run(watch)
        assert watch.raised, f"{point} was not called"
        how = "returned"
        if raised is not None:
            how = type(raised).__name__
            assert isinstance(raised, CommittedError | KeyboardInterrupt), repr(raised)
            assert f"committed as generation {self.generation}" in str(raised), str(raised)
            raised.__traceback__ = raised.__cause__ = raised.__context__ = None
        del result, raised
        gc.collect()
        assert generations(self.path)[-1] == self.generation
        if self.after is not None:
            assert state_of(self.path) == self.after
        assert colstore.verify(self.path, "deep").ok
        with colstore.open(self.path) as index:  # the writer lock is free, and the next change works
            assert index.add([document(999)]).committed
        return how


__all__ = ["ERRORS", "OPERATIONS", "AfterCommit", "Operation", "Trial"]
