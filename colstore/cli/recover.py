"""``colstore recover``: older generations of an index, and the way back to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colstore.cli.failures import advice_line
from colstore.cli.options import ONE_OR_MORE, json_option, wait_option
from colstore.cli.output import emit_json, emit_prose, exact, one_line

if TYPE_CHECKING:
    from colstore import Generation

_EPILOG = """\b
Example:
  $ colstore recover demo.colstore
  $ colstore recover demo.colstore --generation 1 --json

Every change of an index makes a new generation. The two newest ones are kept, and older ones for ten minutes; what is
no longer in the list cannot be recovered.
"""


@click.command("recover", epilog=_EPILOG)
@click.argument("index", type=click.Path(path_type=Path))
@click.option(
    "--generation",
    type=ONE_OR_MORE,
    metavar="N",
    show_default="only list the generations",
    help="Go back to this generation of the list.",
)
@wait_option
@json_option
def command(index: Path, generation: int | None, wait: float, as_json: bool) -> None:
    """List the older states of an index, or go back to one.

    Without --generation, the generations of INDEX are listed, with what going back to each would lose. With it, the
    older state becomes the newest generation. Nothing is deleted by that.
    """
    import colstore

    if generation is not None:
        number = colstore.recover(index, generation, wait=wait).generation
        if as_json:
            emit_json({"index": str(index), "generation": number, "like": generation})
        else:
            emit_prose(f"{one_line(str(index))}: generation {number} has the content of generation {generation}")
        return
    found = colstore.history(index)
    if as_json:
        emit_json({"index": str(index), "generations": [item.to_json() for item in found]})
        return
    for item in found:
        for line in _lines(item):
            emit_prose(line, indent="  ")


def _lines(item: Generation) -> Iterator[str]:
    if item.documents is None:
        yield f"generation {item.number}: DAMAGED, {advice_line(item.problems[0])}"
        return
    yield f"generation {item.number}: {item.created}, {item.documents:,} documents, {_loss(item)}"
    yield from (f"  DAMAGED: {advice_line(problem)}" for problem in item.problems)


def _loss(item: Generation) -> str:
    if item.lost is None or item.returned is None:
        return "what going back would lose is unknown"
    parts = []
    if item.lost:
        examples = f" (such as {', '.join(exact(name) for name in item.examples)})" if item.examples else ""
        parts.append(f"lose {item.lost:,}{examples}")
    if item.returned:
        parts.append(f"bring back {item.returned:,} deleted")
    if item.changed is None:
        parts.append("revert an unknown number of replacements")
    elif item.changed:
        parts.append(f"revert {item.changed:,} replaced")
    return f"would {', '.join(parts) or 'lose nothing'}"
