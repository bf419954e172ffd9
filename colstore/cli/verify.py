"""``colstore verify``: whether an index is as it was written."""

from __future__ import annotations

from pathlib import Path

import click

from colstore.cli.changes import json_option, wait_option
from colstore.cli.failures import Failure
from colstore.cli.output import emit, emit_json, one_line, size
from colstore.errors import ColstoreError

_EPILOG = """\b
Exit codes:
  0    sound
  1    damaged: what is wrong is on standard output
  2    could not be checked: no index there, or a newer colstore wrote it

\b
Example:
  $ colstore verify demo.colstore
  $ colstore verify demo.colstore --deep --json
"""


class NotCheckedFailure(Failure):
    """There is nothing that could be checked."""

    exit_code = 2


@click.command("verify", epilog=_EPILOG)
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--quick", "level", flag_value="quick", help="The manifest, and every file's presence and size.")
@click.option("--full", "level", flag_value="full", default=True, help="Also every checksum (the default).")
@click.option(
    "--deep",
    "level",
    flag_value="deep",
    help="Also the content: every vector decodes, offsets, ids and texts are consistent, postings are complete.",
)
@click.option("--repair", is_flag=True, help="Make damaged derived files (the FAISS index) anew.")
@wait_option
@json_option
def command(index: Path, level: str, repair: bool, wait: float, as_json: bool) -> None:
    """Check the newest generation of INDEX. Nothing is changed (but see --repair)."""
    import colstore

    try:
        report = colstore.verify(index, level, repair=repair, wait=wait)  # type: ignore[arg-type]  # click checked it
    except (ColstoreError, OSError) as error:
        raise NotCheckedFailure(str(error)) from error
    if as_json:
        emit_json(report.to_json())
    else:
        for problem in report.problems:
            emit(f"{one_line(problem.file)}: {one_line(problem.message)}")
        for file in report.repaired:
            emit(f"made anew: {one_line(file)}")
        emit(_verdict(report))
    if not report.ok:
        raise click.exceptions.Exit(1)


def _verdict(report: object) -> str:
    from colstore import VerifyReport

    assert isinstance(report, VerifyReport)
    name = one_line(report.path)
    if report.generation is None:
        return f"{name}: DAMAGED; `colstore recover {name}` shows which older generations there are"
    checked = (
        f"generation {report.generation}, {report.documents:,} documents, {report.files} files, {size(report.bytes)}"
    )
    if report.ok:
        return f"{name}: sound ({report.level}): {checked}"
    if report.nothing_lost:
        return f"{name}: only derived files are damaged, no document is affected; --repair makes them anew ({checked})"
    return f"{name}: DAMAGED, {len(report.problems)} problems: {checked}"
