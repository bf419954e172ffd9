"""``colstore add``: more documents into an index."""

from __future__ import annotations

import click

from colstore.cli.changes import say_passed_over, show_report
from colstore.cli.options import (
    allow_pickle_option,
    device_option,
    json_option,
    on_duplicate_option,
    on_error_option,
    reading_of,
    reading_options,
    trust_remote_code_option,
    wait_option,
)
from colstore.cli.progress import shown_progress

_EPILOG = """\b
Example:
  $ colstore add demo.colstore new.jsonl
  $ colstore add demo.colstore new.jsonl --on-duplicate replace --json
"""


@click.command("add", epilog=_EPILOG)
@click.argument("index")
@click.argument("corpus")
@on_duplicate_option("error", "replace", "skip", what="Id that is in the index already or occurs a second time")
@on_error_option
@reading_options
@click.option(
    "--model",
    metavar="MODEL",
    show_default="where it was when the index was built",
    help="Folder or hub name of the model that the index was built with, if it has moved. Other models are refused.",
)
@trust_remote_code_option
@allow_pickle_option
@device_option
@wait_option
@json_option
def command(
    index: str,
    corpus: str,
    on_duplicate: str,
    on_error: str,
    id_field: str | None,
    text_field: str | None,
    title_field: str | None,
    encoding: str | None,
    quoting: str,
    include: tuple[str, ...],
    normalize_ids: bool,
    model: str | None,
    trust_remote_code: bool,
    allow_pickle: bool,
    device: str | None,
    wait: float,
    as_json: bool,
) -> None:
    """Add the documents of a corpus to an index, all or none.

    The documents are encoded by the model that INDEX was built with and compressed by its codec. CORPUS takes the same
    forms as in `colstore build`.
    """
    import colstore

    reading = reading_of(id_field, text_field, title_field, encoding, quoting, include, normalize_ids=normalize_ids)
    with shown_progress() as progress, colstore.open(index) as opened:
        report = opened.add(
            corpus,
            on_duplicate=on_duplicate,  # type: ignore[arg-type]  # one of the choices
            on_error=on_error,  # type: ignore[arg-type]  # one of the choices
            wait=wait,
            progress=progress,
            model=model,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device=device,
            **reading,
        )
    say_passed_over(report.passed_over)
    show_report(index, report.to_json(), as_json=as_json)
