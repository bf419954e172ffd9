"""Progress on standard error."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from colstore.cli.progress import StageBars, shown_progress
from colstore.progress import Progress


def drawn(*steps: Progress) -> str:
    screen = io.StringIO()
    stage_bars = StageBars(Console(file=screen, force_terminal=True, width=120, color_system=None))
    with stage_bars.bars:
        for step in steps:
            stage_bars(step)
    return screen.getvalue()


def step(stage: str, done: int, total: int | None, unit: str = "documents") -> Progress:
    return Progress(stage=stage, done=done, total=total, unit=unit, tokens=done * 10, seconds=2.0)


def test_a_stage_shows_how_far_how_fast_and_how_long_still() -> None:
    shown = drawn(step("encoding", 50, 200))
    for piece in ("encoding", "50/200", "docs", "25/s", "left"):
        assert piece in shown


def test_stages_follow_each_other_and_totals_may_be_unknown() -> None:
    last_frame = drawn(step("reading", 7, None), step("encoding", 1, 2), step("encoding", 2, 2)).split("\r")[
        -1
    ]
    assert "reading" in last_frame
    assert "7/7" in last_frame
    assert "2/2" in last_frame


def test_a_stage_without_anything_done_draws_too() -> None:
    assert "training" in drawn(step("training", 0, None, unit="tokens"), step("encoding", 0, 3))


def test_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_something_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress() as progress:
        assert progress is not None
        progress(step("encoding", 1, 2))
