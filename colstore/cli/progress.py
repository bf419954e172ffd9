"""Progress of long work on standard error: stage, bar, rate, time left. Silent when that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from colstore.progress import Progress

_SHORT_UNITS = {"documents": "docs", "tokens": "tokens"}


class StageBars:
    """One bar for each stage, on a rich console; call it with every :class:`~colstore.progress.Progress`.

    Parameters
    ----------
    console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self.bars = _bars(console)
        self._stage: str | None = None
        self._task: TaskID | None = None

    def __call__(self, progress: Progress) -> None:
        """Draw the present state of a stage."""
        if progress.stage != self._stage:
            self._finish_stage()
            unit = _SHORT_UNITS.get(progress.unit, progress.unit)
            self._task = self.bars.add_task(progress.stage, total=progress.total, unit=unit, rate="")
            self._stage = progress.stage
        if self._task is not None:
            self.bars.update(self._task, completed=progress.done, total=progress.total, rate=_rate(progress))

    def _finish_stage(self) -> None:
        """Fill the bar of the stage that has ended, also where its total was never known."""
        if self._task is not None:
            done = self.bars.tasks[-1].completed
            self.bars.update(self._task, total=done or 1, completed=done or 1)
            self.bars.stop_task(self._task)


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Yield a function that draws progress, or ``None`` when standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
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
        progress.TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        console=console,
    )


def _rate(progress: Progress) -> str:
    return f"{progress.done / progress.seconds:,.0f}/s" if progress.seconds > 0 else ""
