"""A corpus on disk, a way to call the command line, and the fake encoder in the place of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import colstore
from colstore.cli import main
from colstore.encode.fake import FakeEncoder
from colstore.types import EncodedText

Cli = Callable[..., Result]

DOCUMENTS = [
    {
        "id": "bees",
        "title": "Bees",
        "text": "A scout returns and dances on the comb.",
        "year": 2020,
        "lang": "en",
    },
    {
        "id": "bread",
        "title": "Bread",
        "text": "Yeast makes gas, and gas makes dough rise.",
        "year": 2021,
        "lang": "en",
    },
    {
        "id": "tides",
        "title": "Tides",
        "text": "The moon pulls the sea towards it.",
        "year": 2020,
        "lang": "en",
    },
    {"id": "rost", "title": "Rost", "text": "Eisen rostet an feuchter Luft.", "year": 2021, "lang": "de"},
]


@pytest.fixture
def cli() -> Cli:
    """Call ``colstore`` in this process: ``cli("info", path)``; ``input=`` is its standard input."""

    def call(*arguments: object, input: str | None = None) -> Result:  # noqa: A002 - click's own name for it
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=input, prog_name="colstore")

    return call


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a JSONL file of four documents."""
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), encoding="utf-8")
    return path


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    """Return a JSONL file of three questions."""
    path = tmp_path / "queries.jsonl"
    questions = ["who dances on the comb?", "what makes dough rise?", "what pulls the sea?"]
    lines = [json.dumps({"_id": str(number), "text": text}) for number, text in enumerate(questions)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Build with the fake encoder; return the settings that ``build`` is called with, call by call."""
    build, calls = colstore.build, []

    def build_with_fake(path: Path, documents: str, *, model: str, **settings: Any) -> colstore.Index:
        calls.append({"model": model, **settings})
        return build(path, documents, model=FakeEncoder(), **settings)

    monkeypatch.setattr(colstore, "build", build_with_fake)
    return calls


@pytest.fixture
def index(tmp_path: Path, corpus: Path) -> Path:
    """Return the path of an index over the corpus."""
    path = tmp_path / "test.colstore"
    colstore.build(path, corpus, model=FakeEncoder(), bits=16).close()
    return path


@pytest.fixture
def spaced(tmp_path: Path) -> Path:
    """Return the path of an index whose ids hold white space."""
    path = tmp_path / "spaced.colstore"
    documents = [{**document, "id": f"My  {document['id']}.md"} for document in DOCUMENTS]
    colstore.build(path, documents, model=FakeEncoder(), bits=16).close()
    return path


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fake encoder read five words of a query, and nothing that is not ASCII."""
    encode = FakeEncoder.encode_documents

    def of_queries(self: FakeEncoder, texts: Sequence[str]) -> list[EncodedText]:
        vectors = self.encode_queries([" ".join(text.split()[:5]) for text in texts])
        return [
            EncodedText(rows, len(text.split()) > 5, not text.isascii())
            for rows, text in zip(vectors, texts, strict=True)
        ]

    def of_documents(self: FakeEncoder, texts: Sequence[str]) -> list[EncodedText]:
        encoded = zip(encode(self, texts), texts, strict=True)
        return [replace(document, unreadable=not text.isascii()) for document, text in encoded]

    monkeypatch.setattr(FakeEncoder, "encode_query_texts", of_queries, raising=False)
    monkeypatch.setattr(FakeEncoder, "encode_documents", of_documents)
