"""Small whole indexes for the proofs: texts, metadata, tombstones, several segments, a frozen encoder; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from tokenizers import models, normalizers, pre_tokenizers

import colstore
from colstore import Document, EncodedText
from colstore.config import Bits
from colstore.encode import FakeEncoder
from colstore.frozen import GRAPH, RECIPE, TOKENIZER, DocumentSide, Recipe
from colstore.store import Part, encoder_name, generations, write_whole
from colstore.store.format import manifest_name
from colstore.types import FloatMatrix, Json
from colstore.updating.change import Change

DIM = 16
TEXT = (
    "bees dance in the dark hive while statins lower crp levels of many people and an old river runs to sea what do "
    "does how why is a query passage waggle honey sugar moon light cell virus vaccine energy wind bread yeast dough "
    "tide pulls water towards it glacier melts stone wheel turns grain mill flour oven heat time clock year summer"
)
WORDS = TEXT.split()
UNKNOWN = "[UNK]"


class TableEncoder:
    """One vector a word, looked up in a table: an encoder that a graph of one node can be."""

    def __init__(self) -> None:
        vectors = FakeEncoder(dim=DIM).encode_queries([UNKNOWN.strip("[]"), *WORDS])
        self.table = np.concatenate(vectors).astype(np.float32)
        self._numbers = {word: number for number, word in enumerate(WORDS, start=1)}

    @property
    def dim(self) -> int:
        return DIM

    @property
    def settings(self) -> Mapping[str, Json]:
        return {"kind": "fake", "model": "a table", "dim": DIM}

    def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
        return [self.table[[self._numbers.get(word, 0) for word in text.lower().split()]] for text in texts]

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
        return [EncodedText(vectors, truncated=False) for vectors in self.encode_queries(texts)]

    def frozen(self) -> dict[str, bytes]:
        """Return the files of the query side: a tokenizer by white space, a graph that looks up rows."""
        numbers = {UNKNOWN: 0, **self._numbers}
        tokenizer = tokenizers.Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        recipe = Recipe(
            prefix="",
            length=32,
            truncation="right",
            padding="right",
            expansion=None,
            skip=(),
            document=DocumentSide(prefix="", length=512),
            inputs=("input_ids",),
            dim=DIM,
            storage="float32",
            settings=dict(self.settings),
        )
        return {TOKENIZER: tokenizer.to_str().encode(), GRAPH: self._graph(), RECIPE: recipe.to_bytes()}

    def _graph(self) -> bytes:
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])
        vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, "tokens", DIM])
        node = helper.make_node("Gather", ["table", "input_ids"], ["vectors"], axis=0)
        graph = helper.make_graph([node], "lookup", [ids], [vectors], [numpy_helper.from_array(self.table, "table")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())


def documents(count: int, seed: int = 0, words: int = 12) -> list[Document]:
    """Return documents of random words, each with metadata."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        text = " ".join(random.choice(WORDS, int(random.integers(2, words + 1))))
        metadata: dict[str, Json] = {"number": number, "half": "odd" if number % 2 else "even"}
        made.append(Document(f"d{seed}-{number:03d}", text, f"Title of {number}", metadata))
    return made


def make_index(
    path: Path, bits: Bits, parts: Sequence[Sequence[Document]], deleted: Sequence[str], *, frozen: bool = True
) -> None:
    """Build from the first part, add the others, delete, tune, freeze: a segment for each part, two generations."""
    with (
        patch("colstore.updating.merge_policy.FANOUT", 1_000),
        colstore.build(path, parts[0], model=TableEncoder(), bits=bits) as index,
    ):
        for part in parts[1:]:
            index.add(part)
        index.delete(deleted)
        index.tune(["bees dance", "old river runs to sea", "why is bread"], recall=0.9, k=5)
    if frozen:
        _freeze(path)
    for generation in generations(path)[:-2]:
        (path / manifest_name(generation)).unlink()


def _freeze(path: Path) -> None:
    with Change(path) as change:
        records = tuple(write_whole(path, encoder_name(name), data) for name, data in TableEncoder().frozen().items())
        change.commit(encoder=Part(dict(TableEncoder().settings), records))


def content_of(path: Path) -> dict[str, bytes]:
    """Return every file of an index, the lock included, by its relative name."""
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
