"""Any sequence of changes, against a dict with exact MaxSim: the index always says what the dict says.

Two things make sequences cheap enough for hundreds of them: each begins with a copy of an index built once, and nothing
waits for the disk (what survives a crash is proved elsewhere, with every fsync).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import colstore
from colstore import Document, SearchParams
from colstore.errors import DuplicateIdError, UnknownIdError
from colstore.types import FloatMatrix
from colstore.updating import merge_policy as policy
from colstore.updating import retention

DIM = 8
IDS = [f"d{i}" for i in range(12)]
BUILT = (1, 4, 9)
"""Documents in the indexes that sequences begin with."""
SETS = st.lists(st.sampled_from(IDS), min_size=1, max_size=5)
WAYS = st.sampled_from([SearchParams(), SearchParams(exact=True), SearchParams(exact_tokens=0, probes=64)])


def matrix(seed: int) -> FloatMatrix:
    random = np.random.default_rng(seed)
    # Values that float16 holds, so that the dict and the index have the same.
    return random.standard_normal((1 + seed % 4, DIM)).astype(np.float16).astype(np.float32)


def document(name: str, step: int) -> Document:
    return Document(id=name, text=f"t{step}", metadata={"step": step}, vectors=matrix(step))


@cache
def built(folder: Path, count: int) -> Path:
    """Return an index of the first documents, each with its number from 1 as its step."""
    path = folder / f"{count}.colstore"
    documents = [document(name, step) for step, name in enumerate(IDS[:count], start=1)]
    vectors = [document.vectors for document in documents if document.vectors is not None]
    with colstore.build_from_vectors(path, IDS[:count], vectors, bits=16) as index:
        index.replace(documents)  # from_vectors brings no metadata, which the checks read
    return path


class LivingIndex(RuleBasedStateMachine):
    """An index at 16 bits (where scores are exact) beside a dict of id to (step, vectors)."""

    models: Path
    """Folder of the indexes that sequences begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="colstore-model-"))
        self.truth: dict[str, tuple[int, FloatMatrix]] = {}
        self.step = len(IDS)
        self.reader: colstore.Index | None = None
        self.seen: dict[str, tuple[int, FloatMatrix]] = {}

    @initialize(count=st.sampled_from(BUILT))
    def begin(self, count: int) -> None:
        path = shutil.copytree(built(self.models, count), self.folder / "x.colstore")
        self.index = colstore.open(path)
        self._note([document(name, step) for step, name in enumerate(IDS[:count], start=1)])

    def _documents(self, ids: list[str]) -> list[Document]:
        first = self.step + 1
        self.step += len(ids)
        return [document(name, step) for step, name in enumerate(ids, start=first)]

    def _note(self, documents: list[Document]) -> None:
        for document in documents:
            assert document.vectors is not None
            self.truth[document.id] = (int(str(document.metadata["step"])), document.vectors)

    @rule(ids=SETS)
    def add(self, ids: list[str]) -> None:
        documents = self._documents(ids)
        if len(set(ids)) < len(ids) or any(name in self.truth for name in ids):
            with pytest.raises(DuplicateIdError):
                self.index.add(documents)
        else:
            assert self.index.add(documents).added == len(ids)
            self._note(documents)

    @rule(ids=SETS)
    def replace(self, ids: list[str]) -> None:
        documents = self._documents(ids)
        report = self.index.replace(documents)
        assert report.added + report.replaced == len(set(ids))
        assert report.replaced == len(set(ids) & self.truth.keys())
        self._note(documents)

    @rule(ids=SETS)
    def add_skipping(self, ids: list[str]) -> None:
        documents = self._documents(ids)
        report = self.index.add(documents, on_duplicate="skip")
        fresh = {document.id: document for document in reversed(documents) if document.id not in self.truth}
        assert report.added == len(fresh)
        self._note(list(fresh.values()))

    @rule(ids=SETS)
    def delete(self, ids: list[str]) -> None:
        if any(name not in self.truth for name in ids):
            with pytest.raises(UnknownIdError):
                self.index.delete(ids)
        else:
            assert self.index.delete(ids).deleted == len(set(ids))
            for name in set(ids):
                del self.truth[name]

    @rule(ids=SETS)
    def delete_what_is_there(self, ids: list[str]) -> None:
        report = self.index.delete(ids, missing="skip")
        assert report.deleted == len(set(ids) & self.truth.keys())
        for name in ids:
            self.truth.pop(name, None)

    @rule(retrain=st.booleans(), clean=st.booleans())
    def compact(self, retrain: bool, clean: bool) -> None:
        self.index.compact(retrain=retrain, clean=clean)
        assert self.index.info().segments <= 1
        assert self.index.info().deleted == 0

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = colstore.open(self.index.path)

    @rule()
    def open_reader(self) -> None:
        if self.reader is not None:
            self.reader.close()
        self.reader, self.seen = colstore.open(self.index.path), dict(self.truth)

    @rule()
    def refresh_reader(self) -> None:
        if self.reader is not None:
            self.reader.refresh()
            self.seen = dict(self.truth)

    @rule()
    def verify(self) -> None:
        report = self.index.verify("deep")
        assert report.ok, report.problems

    @rule(seed=st.integers(0, 50), k=st.integers(1, 14), params=WAYS)
    def search(self, seed: int, k: int, params: SearchParams) -> None:
        self._compare(self.index, self.truth, seed, k, params)
        if self.reader is not None:
            self._compare(self.reader, self.seen, seed, k, params)

    def _compare(
        self, index: colstore.Index, truth: dict[str, tuple[int, FloatMatrix]], seed: int, k: int, params: SearchParams
    ) -> None:
        query = matrix(seed + 10_000)
        best = {name: float((query @ rows.T).max(axis=1).sum()) for name, (_, rows) in truth.items()}
        hits = index.search(query, k=k, params=params)
        assert len(hits) == min(k, len(truth))
        assert all(hit.metadata["step"] == truth[hit.id][0] for hit in hits)
        expected = sorted(best.values(), reverse=True)[:k]
        np.testing.assert_allclose([hit.score for hit in hits], expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose([best[hit.id] for hit in hits], expected, rtol=1e-3, atol=1e-3)

    @invariant()
    def it_holds_what_the_dict_holds(self) -> None:
        if not hasattr(self, "index"):
            return
        assert len(self.index) == len(self.truth)
        assert {name for name in IDS if name in self.index} == self.truth.keys()
        for name, rows in zip(self.truth, self.index.vectors(self.truth), strict=True):
            np.testing.assert_array_equal(rows, self.truth[name][1])

    def teardown(self) -> None:
        for opened in (self.reader, getattr(self, "index", None)):
            if opened is not None:
                opened.close()
        shutil.rmtree(self.folder)


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, examples: int, steps: int) -> None:
    monkeypatch.setattr(policy, "FLOOR_TOKENS", 8)  # so that a few documents fill several tiers
    monkeypatch.setattr(retention, "KEEP_MOST", 3)
    monkeypatch.setattr(retention, "SLACK", 2)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(LivingIndex, "models", folder, raising=False)
    run_state_machine_as_test(
        LivingIndex,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_sequence_of_changes_agrees_with_a_dict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, examples=200, steps=10)


@pytest.mark.slow
def test_long_sequences_of_changes_agree_with_a_dict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, examples=300, steps=40)
