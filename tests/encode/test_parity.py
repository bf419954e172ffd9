"""colstore's vectors are those of the formats, computed another way, and those of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.encode import load_encoder
from colstore.encode.transformer import TransformerEncoder
from tests.encode.checkpoints import BODIES, LAYOUTS, Body, Layout, MakeCheckpoint
from tests.encode.reference import Reference

TEXTS = [
    "",
    "Do statins lower CRP?",
    'Why, how & what: bees (in the dark hive) dance -- "a lot"!',
    "wind energy, moon light; " * 12,
    "naïve 蜜蜂 🐝 \x07 tab\tline\nend",
    "   spaces   around   ",
    "of",
]


def load(path: Any, **options: Any) -> TransformerEncoder:
    encoder = load_encoder(path, device="cpu", **options)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def assert_close(found: Any, expected: Any) -> None:
    assert [len(matrix) for matrix in found] == [len(matrix) for matrix in expected]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def assert_parity(encoder: TransformerEncoder, reference: Reference) -> None:
    queries = encoder.encode_queries(TEXTS)
    documents = [text.vectors for text in encoder.encode_documents(TEXTS)]
    assert_close(queries, [reference.encode(text, "query") for text in TEXTS])
    assert_close(documents, [reference.encode(text, "document") for text in TEXTS])
    assert_close(queries, encoder.model.encode_query(TEXTS, convert_to_numpy=True, batch_size=3))
    assert_close(documents, encoder.model.encode_document(TEXTS, convert_to_numpy=True, batch_size=3))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_vectors_of_every_layout_and_body(checkpoint: MakeCheckpoint, layout: Layout, body: Body) -> None:
    folder = checkpoint(layout, body)
    encoder = load(folder, token_budget=40)
    assert (encoder.settings["layout"], encoder.settings["body"]) == (layout, body)
    assert_parity(encoder, Reference(folder, layout))


@pytest.mark.parametrize("layout", ["stanford", "pylate", "native"])
def test_expansion_tokens_that_attend_and_punctuation_that_stays(checkpoint: MakeCheckpoint, layout: Layout) -> None:
    folder = checkpoint(layout, "bert", attend=True, mask_punctuation=False, query_length=16)
    encoder = load(folder)
    assert encoder.settings["query_expansion"] == {
        "strategy": "fixed",
        "token": "[MASK]",
        "attend": True,
        "length": 16,
    }
    assert encoder.settings["skiplist"] == []
    assert_parity(encoder, Reference(folder, layout))


@pytest.mark.parametrize("layout", ["pylate", "native"])
def test_queries_without_expansion(checkpoint: MakeCheckpoint, layout: Layout) -> None:
    folder = checkpoint(layout, "modernbert", expand=False)
    encoder = load(folder)
    assert encoder.settings["query_expansion"] is None
    assert_parity(encoder, Reference(folder, layout))


def test_expansion_to_a_least_length_does_not_depend_on_batch_mates(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("native", "bert", strategy="min"))
    together = encoder.encode_queries(TEXTS)
    assert_close(together, [encoder.encode_queries([text])[0] for text in TEXTS])
    assert_close(together, encoder.model.encode_query(TEXTS, convert_to_numpy=True))
    assert [len(matrix) for matrix in together][:2] == [12, 12]
    assert len(together[3]) > 12


def test_stanford_checkpoint_without_artifact_metadata_takes_colberts_defaults(
    checkpoint: MakeCheckpoint,
) -> None:
    settings = load(checkpoint("stanford", "bert", metadata=False)).settings
    assert (settings["query_prefix"], settings["document_prefix"]) == ("[unused0] ", "[unused1] ")
    assert (settings["query_length"], settings["document_length"]) == (32, 128)  # 128 positions


def test_all_minilm_token_by_token(minilm: str, minilm_encoder: TransformerEncoder) -> None:
    reference = Reference(Path(minilm), "plain")
    reference.settings |= {"document_length": 256, "query_length": 256}  # sentence_bert_config.json
    texts = [*TEXTS, "Statins lower C-reactive protein in the blood of patients. " * 40]
    assert_close(minilm_encoder.encode_queries(texts), [reference.encode(text, "query") for text in texts])
    documents = minilm_encoder.encode_documents(texts)
    assert [text.truncated for text in documents] == [False] * len(TEXTS) + [True]
    vectors = [text.vectors for text in documents]
    assert_close(vectors, [reference.encode(text, "document") for text in texts])
    assert_close(vectors, minilm_encoder.model.encode_document(texts, convert_to_numpy=True))
