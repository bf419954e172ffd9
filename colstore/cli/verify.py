"""``colstore verify``: whether an index is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from colstore.cli.failures import CorruptFailure, advice_line
from colstore.cli.options import json_option, wait_option
from colstore.cli.output import emit_json, emit_prose, one_line, size

if TYPE_CHECKING:
    from colstore import VerifyReport

_EPILOG = """\b
Example:
  $ colstore verify demo.colstore
  $ colstore verify demo.colstore --deep --json
  $ colstore verify demo.colstore --all

The exit code is 0 for a sound index and 3 for a damaged one, with the damage on standard output. It is 1 where nothing
could be checked: there is no index, or a newer version of colstore wrote it.
"""


@click.command("verify", epilog=_EPILOG)
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--quick", "level", flag_value="quick", help="Check the manifest, and that every file has its size.")
@click.option("--full", "level", flag_value="full", default=True, help="Also check every checksum (the default).")
@click.option(
    "--deep",
    "level",
    flag_value="deep",
    help="Also check the content: every vector decodes, offsets, ids and texts agree, and postings are complete.",
)
@click.option("--all", "all_generations", is_flag=True, help="Also check the older generations that are kept.")
@click.option("--repair", is_flag=True, help="Rebuild damaged derived files (such as the index over the centroids).")
@wait_option
@json_option
def command(index: Path, level: str, all_generations: bool, repair: bool, wait: float, as_json: bool) -> None:
    """Check that an index is undamaged.

    The newest generation of INDEX is checked; --all also checks the older ones, which `colstore recover` can go back
    to. Nothing is changed without --repair.
    """
    import colstore

    report = colstore.verify(
        index,
        level,  # type: ignore[arg-type]  # one of the choices
        repair=repair,
        all_generations=all_generations,
        wait=wait,
    )
    if as_json:
        emit_json(report.to_json())
    else:
        for checked in (*report.older[::-1], report):
            for problem in checked.problems:
                emit_prose(f"{one_line(problem.file)}: {advice_line(problem.message)}", indent="  ")
            for file in checked.repaired:
                emit_prose(f"rebuilt: {one_line(file)}")
            emit_prose(_verdict(checked, older=checked is not report), indent="  ")
    if not report.ok:
        raise click.exceptions.Exit(CorruptFailure.exit_code)


def _verdict(report: VerifyReport, *, older: bool) -> str:
    name = one_line(report.path)
    if report.generation is None:
        return f"{name}: DAMAGED; `colstore recover {name}` lists the older generations"
    checked = (
        f"generation {report.generation}, {report.documents:,} documents, {report.files} files, {size(report.bytes)}"
    )
    if not report.problems:
        return f"{name}: sound ({report.level}): {checked}"
    if all(problem.derived for problem in report.problems):
        remedy = "an older generation is never repaired" if older else "--repair rebuilds them"
        return f"{name}: only derived files are damaged, no document is affected; {remedy} ({checked})"
    count = f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}"
    return f"{name}: DAMAGED, {count}: {checked}"
