"""The layout of a run that is to be written: named by the caller, or by the ending of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from colstore.corpus.runs import RunLayout
from colstore.errors import ConfigError

_ENDINGS: dict[str, RunLayout] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".msmarco": "msmarco", ".tsv": "msmarco"}


def layout_for(path: str | os.PathLike[str] | None, layout: str | None = None) -> RunLayout:
    """Return the layout in which a run is written.

    Parameters
    ----------
    path
        The file, or ``None`` for standard output. ``.jsonl`` and ``.ndjson`` stand for JSON Lines, ``.tsv`` and
        ``.msmarco`` for MS MARCO's three columns (each also with ``.gz``); anything else stands for TREC.
    layout
        The layout that the caller named; it goes before the ending.

    Raises
    ------
    ConfigError
        There is no such layout.

    Examples
    --------
    >>> layout_for("ours.jsonl.gz"), layout_for("ours.trec"), layout_for("ours.trec", "msmarco")
    ('jsonl', 'trec', 'msmarco')
    """
    if layout is None:
        name = "" if path is None else os.fspath(path).lower().removesuffix(".gz")
        return _ENDINGS.get(Path(name).suffix, "trec")
    for known in get_args(RunLayout):
        if layout == known:
            return known  # type: ignore[no-any-return]  # one of the literals
    raise ConfigError(f"layout must be one of {get_args(RunLayout)}, got {layout!r}")
