"""The files of a comparison: table, figures, picture and report, in one folder."""

from __future__ import annotations

from pathlib import Path

from colstore.errors import ConfigError, MissingDependencyError
from colstore.evaluate.comparison import Comparison, dumped
from colstore.evaluate.report import html_report

NAMES = ("table.csv", "comparison.json", "plot.png", "plot.svg", "report.html")
RUNS = "runs"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds what would be written: before a long comparison, not after it.

    Raises
    ------
    ConfigError
        The path is a file, or such files are there.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file: name a folder for the report")
    taken = [name for name in (*NAMES, RUNS) if (folder / name).exists()]
    if taken and not overwrite:
        raise ConfigError(f"{folder}: holds {taken[0]} already: name another folder, or overwrite it (--overwrite)")


def save_comparison(
    comparison: Comparison, folder: str | Path, *, runs: bool = False, overwrite: bool = False
) -> list[str]:
    """Write ``table.csv``, ``comparison.json``, ``plot.png``, ``plot.svg`` and ``report.html``.

    Parameters
    ----------
    folder
        Made where it is not there.
    runs
        Write the rankings, too, as ``runs/<row>.trec``.
    overwrite
        Replace files of these names.

    Returns
    -------
    list of str
        What could not be written, and why: without matplotlib there is no plot.
    """
    folder, notes, picture = Path(folder), list[str](), ""
    check_folder(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        from colstore.evaluate.plot import draw, save, svg

        figure = draw(comparison)
        picture = svg(figure)
        save(figure, folder / "plot.png")
        save(figure, folder / "plot.svg")
    except MissingDependencyError as error:
        notes.append(f"there is no plot: {error}")
    (folder / "table.csv").write_text(comparison.to_csv(), encoding="utf-8", newline="")
    (folder / "comparison.json").write_text(dumped(comparison), encoding="utf-8")
    (folder / "report.html").write_text(html_report(comparison, picture), encoding="utf-8")
    if runs:
        comparison.save_runs(folder / RUNS)
    return notes
