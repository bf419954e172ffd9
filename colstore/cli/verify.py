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
@click.option("--repair", is_flag=True, help="Rebuild damaged derived files (such as the index over the centroids).")
@wait_option
@json_option
def command(index: Path, level: str, repair: bool, wait: float, as_json: bool) -> None:
    """Check that an index is undamaged.

    The newest generation of INDEX is checked. Nothing is changed without --repair.
    """
    import colstore

    report = colstore.verify(index, level, repair=repair, wait=wait)  # type: ignore[arg-type]  # one of the choices
    if as_json:
        emit_json(report.to_json())
    else:
        for problem in report.problems:
            emit_prose(f"{one_line(problem.file)}: {advice_line(problem.message)}", indent="  ")
        for file in report.repaired:
            emit_prose(f"rebuilt: {one_line(file)}")
        emit_prose(_verdict(report), indent="  ")
    if not report.ok:
        raise click.exceptions.Exit(CorruptFailure.exit_code)


def _verdict(report: VerifyReport) -> str:
    name = one_line(report.path)
    if report.generation is None:
        return f"{name}: DAMAGED; `colstore recover {name}` lists the older generations"
    checked = (
        f"generation {report.generation}, {report.documents:,} documents, {report.files} files, {size(report.bytes)}"
    )
    if report.ok:
        return f"{name}: sound ({report.level}): {checked}"
    if report.nothing_lost:
        return f"{name}: only derived files are damaged, no document is affected; --repair rebuilds them ({checked})"
    return f"{name}: DAMAGED, {len(report.problems)} problems: {checked}"
