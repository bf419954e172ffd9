"""Progress of long work on standard error: bars on a terminal, and else a plain line every half minute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from colstore.reports import Progress

_SHORT_UNITS = {"documents": "docs"}
PLAIN_SECONDS = 30.0
"""Least time between two plain lines, and before the first of them."""


class StageBars:
    """One bar for each stage, on a rich console; call it with every :class:`~colstore.reports.Progress`.

    Parameters
    ----------
    console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.bars = _bars(console)
        self._task: TaskID = self.bars.add_task("starting", total=None, note="")
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Draw the state of a stage."""
        if self._last is None or progress.stage != self._last.stage:
            self._finish_stage()
            self._task = self.bars.add_task(progress.stage, total=progress.total, note="")
        self._last = progress
        self.bars.update(self._task, completed=progress.done, total=progress.total, note=_note(progress))

    def _finish_stage(self) -> None:
        """Fill the bar of the stage that has ended, even if its total was never known."""
        if self._last is None:
            self.bars.remove_task(self._task)
        else:
            done = max(1, self._last.done)
            self.bars.update(self._task, completed=done, total=done)


class PlainLines:
    """A plain line on standard error from time to time; call it with every :class:`~colstore.reports.Progress`.

    Parameters
    ----------
    seconds
        Least time between two lines, and before the first one: work that takes less prints nothing.
    clock
        Seconds that never run backwards; for tests.
    """

    def __init__(self, seconds: float = PLAIN_SECONDS, clock: Callable[[], float] = monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._next = clock() + seconds

    def __call__(self, progress: Progress) -> None:
        """Print the state of a stage, if enough time has passed since the last line."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._seconds
        total = "" if progress.total is None else f"/{progress.total:,}"
        click.echo(f"colstore: {progress.stage} {progress.done:,}{total} {_note(progress)}", err=True)


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows progress: as bars on a terminal, and else as :class:`PlainLines`."""
    if not sys.stderr.isatty():
        yield PlainLines()
        return
    from rich.console import Console

    stage_bars = StageBars(Console(stderr=True))
    with stage_bars.bars:
        yield stage_bars


def _bars(console: Console) -> Bars:
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[note]}"),
        console=console,
    )


def _note(progress: Progress) -> str:
    """Return unit, rates, and the time left (from tokens, where their number is known), else the time so far.

    Examples
    --------
    >>> from colstore.reports import Progress
    >>> _note(Progress("encode", 50, 200, "documents", 4000, 2.0))
    'docs  25/s  2,000 tokens/s  0:00:06 left'
    >>> _note(Progress("encode", 7, None, "documents", 600, 2.0))
    'docs  3.5/s  300 tokens/s  0:00:02'
    """
    unit = _SHORT_UNITS.get(progress.unit, progress.unit)
    rates = f"{unit}  {_rate(progress.done, progress.seconds)}"
    if progress.tokens and progress.unit != "tokens":
        rates += f"  {_rate(progress.tokens, progress.seconds, ' tokens')}"
    left = progress.seconds_left
    return f"{rates}  {_clock(left)} left" if left else f"{rates}  {_clock(progress.seconds)}"


def _rate(done: int, seconds: float, unit: str = "") -> str:
    rate = done / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}{unit}/s" if rate >= 10 else f"{rate:.1f}{unit}/s"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
