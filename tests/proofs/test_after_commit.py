"""An error of ours after the commit: the index is the new one, and the caller learns that the change counts."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.proofs.after_commit import ERRORS, OPERATIONS, Operation, Trial

USUAL = 4


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_error_after_the_commit_is_no_failed_change(operation: Operation, tmp_path: Path) -> None:
    trial = Trial(operation, tmp_path)
    points = trial.points()
    assert len(points) >= 5
    chosen = random.Random(3).sample(points, min(USUAL, len(points)))
    for number, point in enumerate(chosen):
        trial.check(point, ERRORS[number % len(ERRORS)])


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_error_at_every_call_after_the_commit(operation: Operation, tmp_path: Path) -> None:
    trial = Trial(operation, tmp_path)
    failures: list[str] = []
    how: Counter[str] = Counter()
    for point in trial.points():
        for error in ERRORS:
            try:
                how[trial.check(point, error)] += 1
            except AssertionError as failure:
                failures.append(f"{point}, {error()!r}: {str(failure)[:500]}")
    print(f"{operation.name}: {how.total()} errors after the commit: {dict(how)}")
    assert failures == []
