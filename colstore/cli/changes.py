"""What the commands that change an index have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from colstore.cli.output import emit, emit_json, one_line

_F = TypeVar("_F", bound=Callable[..., Any])


def wait_option(command: _F) -> _F:
    """Add ``--wait``."""
    option = click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Seconds to wait while another process writes to the index.",
    )
    return option(command)


def json_option(command: _F) -> _F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


def show_report(index: str, report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a change did."""
    if as_json:
        emit_json({"index": index, **report})
        return
    for line in lines(index, report):
        emit(line)


def lines(index: str, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person wants to know of a change.

    Examples
    --------
    >>> report = {"generation": 2, "documents": 6, "segments": 2, "committed": True, "added": 2, "replaced": 0,
    ...     "deleted": 0, "merged": 0, "unknown": 0, "truncated": 0, "skipped": {"duplicate": 1}, "incomplete": False,
    ...     "removed_files": 0, "loss": None, "examples": [], "advice": []}
    >>> print(*lines("x.colstore", report), sep="; ")
    x.colstore: 2 added; generation 2, 6 documents in 2 segments; skipped: 1 duplicate
    """
    done = [f"{report[name]:,} {name}" for name in ("added", "replaced", "deleted") if report[name]]
    if report["merged"]:
        done.append(f"{report['merged']:,} segments merged")
    if report["removed_files"]:
        done.append(f"{report['removed_files']:,} old files removed")
    yield f"{one_line(index)}: {', '.join(done) or 'nothing to do'}"
    segments = "segment" if report["segments"] == 1 else "segments"
    yield f"generation {report['generation']}, {report['documents']:,} documents in {report['segments']:,} {segments}"
    if report["unknown"]:
        yield f"not there: {report['unknown']:,} of the ids"
    if report["truncated"]:
        yield f"truncated: {report['truncated']:,} documents, whose ends lie beyond the limit of tokens"
    if report["skipped"]:
        yield f"skipped: {', '.join(f'{count:,} {reason}' for reason, count in report['skipped'].items())}"
    if report["incomplete"]:
        yield "incomplete: a source could not be read to its end"
    if report["loss"] is not None:
        yield f"loss by encoding again: {report['loss']:.6f} (mean of 1 - cosine)"
    yield from (f"  {one_line(example)}" for example in report["examples"])
    yield from (f"advice: {one_line(text)}" for text in report["advice"])
