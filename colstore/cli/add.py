"""``colstore add``: more documents into an index."""

from __future__ import annotations

import click

from colstore.cli.changes import json_option, show_report, wait_option
from colstore.cli.progress import shown_progress

_EPILOG = """\b
Example:
  $ colstore add demo.colstore new.jsonl
  $ colstore add demo.colstore new.jsonl --on-duplicate replace --json
"""


@click.command("add", epilog=_EPILOG)
@click.argument("index")
@click.argument("corpus")
@click.option(
    "--on-duplicate",
    type=click.Choice(["error", "replace", "skip"]),
    default="error",
    show_default=True,
    help="An id that is there already, or comes twice: stop, let the newest count, or count it and go on.",
)
@click.option(
    "--on-error",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="A document that cannot be read: stop, or count it and go on.",
)
@click.option("--model", show_default="where it was", help="Folder or hub name of the index's own model, if it moved.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that the checkpoint brings along.")
@click.option(
    "--device", show_default="the fastest there is", help="Where the model runs, for example 'cpu' or 'cuda:0'."
)
@wait_option
@json_option
def command(
    index: str,
    corpus: str,
    on_duplicate: str,
    on_error: str,
    model: str | None,
    trust_remote_code: bool,
    device: str | None,
    wait: float,
    as_json: bool,
) -> None:
    """Add the documents of CORPUS to INDEX: all of them, or, if anything goes wrong, none.

    They are encoded by the model that the index was built with, and compressed by its codec; another model is refused.
    CORPUS is what `colstore build` takes.
    """
    import colstore

    with shown_progress() as progress, colstore.open(index) as opened:
        report = opened.add(
            corpus,
            on_duplicate=on_duplicate,  # type: ignore[arg-type]  # one of the choices
            on_error=on_error,  # type: ignore[arg-type]  # one of the choices
            wait=wait,
            progress=progress,
            model=model,
            trust_remote_code=trust_remote_code,
            device=device,
        )
    show_report(index, report.to_json(), as_json=as_json)
