"""Progress on standard error."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from colstore.cli.progress import PlainLines, StageBars, shown_progress
from colstore.reports import Progress


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
    assert "50/200 docs  25/s  250 tokens/s  0:00:06 left" in drawn(step("encode", 50, 200))


def test_time_left_comes_from_tokens_where_their_number_is_known() -> None:
    progress = Progress("encode", 50, 200, "documents", tokens=500, seconds=2.0, tokens_total=5000)
    assert "250 tokens/s  0:00:18 left" in drawn(progress)


def test_stages_follow_each_other_and_totals_may_be_unknown() -> None:
    shown = drawn(step("encode", 7, None), step("compress", 1, 2, "tokens"), step("compress", 2, 2, "tokens"))
    last_frame = shown.split("\x1b[2K")[-1]
    assert "7/7" in last_frame
    assert "2/2" in last_frame
    assert "tokens  1.0/s  0:00:02" in last_frame
    assert "starting" not in last_frame


def test_a_stage_without_anything_done_draws_too() -> None:
    assert "train" in drawn(step("train", 0, None, unit="rounds"), step("encode", 0, 3))


def test_before_the_first_stage_something_is_seen_to_happen() -> None:
    assert "starting" in drawn()


def test_short_work_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress(step("encode", 2, 2))
    assert capsys.readouterr().err == ""


def test_without_a_terminal_long_work_says_a_line_every_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([0.0, 29.9, 30.0, 45.0, 59.9, 61.0, 95.0])
    lines = PlainLines(clock=lambda: next(seconds))
    for done in range(1, 7):
        lines(step("encode" if done < 6 else "train", done, 1200 if done < 6 else None))
    assert capsys.readouterr().err.splitlines() == [
        "colstore: encode 2/1,200 docs  1.0/s  10 tokens/s  0:19:58 left",
        "colstore: encode 5/1,200 docs  2.5/s  25 tokens/s  0:07:58 left",
        "colstore: train 6 docs  3.0/s  30 tokens/s  0:00:02",
    ]


def test_on_a_terminal_there_is_something_to_call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress() as progress:
        progress(step("encode", 2, 2))
    assert "2/2" in capsys.readouterr().err
