"""What the commands that change an index print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from colstore.cli.failures import advice_line
from colstore.cli.notices import warn_of_unreadable
from colstore.cli.options import json_option, wait_option
from colstore.cli.output import emit_json, emit_prose, message_line, one_line

__all__ = ["json_option", "lines", "show_report", "wait_option"]


def show_report(index: str, report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a change did."""
    warn_of_unreadable(report)
    if as_json:
        emit_json({"index": index, **report})
        return
    for line in lines(index, report):
        emit_prose(line, indent="  ")


def lines(index: str, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person wants to know of a change.

    Examples
    --------
    >>> report = {"generation": 2, "documents": 6, "segments": 2, "committed": True, "added": 2, "replaced": 0,
    ...     "deleted": 0, "merged": 0, "unknown": 0, "truncated": 0, "skipped": {"duplicate": 1}, "incomplete": False,
    ...     "removed_files": 0, "loss": None, "examples": [], "notes": [], "advice": []}
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
        yield f"not in the index: {report['unknown']:,} of the ids"
    yield from shortfalls(report)
    if report["loss"] is not None:
        yield f"loss by encoding again: {report['loss']:.6f} (mean of 1 - cosine)"
    yield from (f"  {message_line(example)}" for example in report["examples"])
    yield from (f"note: {advice_line(text)}" for text in report.get("notes", ()))
    yield from (f"advice: {advice_line(text)}" for text in report["advice"])


def say_passed_over(passed_over: Mapping[str, int]) -> None:
    """Print on standard error what of a folder was not read, by kind."""
    if passed_over:
        from colstore.corpus import spelled

        click.echo(f"colstore: passed over: {one_line(spelled(dict(passed_over)))}", err=True)


def shortfalls(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a corpus did not get into the index whole, and what to do about it."""
    if report["truncated"]:
        yield (
            f"truncated: {report['truncated']:,} documents are longer than the model reads, and a search does not see "
            "their ends; an index built with --passages splits them"
        )
    reasons = [f"{count:,} {reason}" for reason, count in report["skipped"].items() if count]
    if reasons:
        yield f"skipped: {', '.join(reasons)}"
    if report["incomplete"]:
        yield "incomplete: a source could not be read to its end"
