"""``colstore recover``: older generations of an index, and the way back to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colstore.cli.changes import json_option, wait_option
from colstore.cli.output import emit, emit_json, one_line

if TYPE_CHECKING:
    from colstore import Generation

_EPILOG = """\b
Example:
  $ colstore recover demo.colstore
  $ colstore recover demo.colstore --generation 1 --json
"""


@click.command("recover", epilog=_EPILOG)
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--generation", type=click.IntRange(min=1), help="Make this generation the index again, as a new one.")
@wait_option
@json_option
def command(index: Path, generation: int | None, wait: float, as_json: bool) -> None:
    """List the generations of INDEX, and what going back to each would lose; or go back to one.

    Going back (--generation) deletes nothing: the older state becomes a new generation, and those between stay until
    their time is over.
    """
    import colstore

    if generation is not None:
        number = colstore.recover(index, generation, wait=wait).generation
        if as_json:
            emit_json({"index": str(index), "generation": number, "like": generation})
        else:
            emit(f"{one_line(str(index))}: generation {number} is what generation {generation} was")
        return
    found = colstore.history(index)
    if as_json:
        emit_json({"index": str(index), "generations": [item.to_json() for item in found]})
        return
    for item in found:
        for line in _lines(item):
            emit(line)


def _lines(item: Generation) -> Iterator[str]:
    if item.documents is None:
        yield f"generation {item.number}: DAMAGED, {one_line(item.problems[0])}"
        return
    yield f"generation {item.number}: {item.created}, {item.documents:,} documents, {_loss(item)}"
    yield from (f"  DAMAGED: {one_line(problem)}" for problem in item.problems)


def _loss(item: Generation) -> str:
    if item.lost is None or item.returned is None:
        return "what would be lost cannot be told"
    parts = []
    if item.lost:
        examples = f" (such as {', '.join(one_line(name) for name in item.examples)})" if item.examples else ""
        parts.append(f"lose {item.lost:,}{examples}")
    if item.returned:
        parts.append(f"bring back {item.returned:,} deleted")
    if item.changed is None:
        parts.append("change back nobody knows how many replaced")
    elif item.changed:
        parts.append(f"change back {item.changed:,} replaced")
    return f"would {', '.join(parts) or 'lose nothing'}"
