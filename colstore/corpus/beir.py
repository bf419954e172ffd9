"""BEIR folders: ``corpus.jsonl`` and ``queries.jsonl``, plain or gzipped, under fixed names."""

from __future__ import annotations

from pathlib import Path

from colstore.corpus.lines import printable
from colstore.errors import CorpusError

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"


def find_member(folder: Path, name: str) -> Path | None:
    """Return the file of that name or its ``.gz`` form; ``None`` where neither is there.

    Raises
    ------
    CorpusError
        Both are there, so that which one is meant would be a guess.
    """
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if len(found) > 1:
        raise CorpusError(f"holds both {name} and {name}.gz: name the file that you mean", source=printable(folder))
    return found[0] if found else None
