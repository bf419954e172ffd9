from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.config import FrozenDtype
from colstore.corpus import read_queries
from colstore.encode import (
    FakeEncoder,
    ProjectedEncoder,
    TransformerEncoder,
    export_query_encoder,
    fit_projection_from_texts,
    load_encoder,
)
from colstore.encode.export import PROBES, parity
from colstore.encode.masks import mask_modules
from colstore.encode.pipeline import transformer_of
from colstore.errors import ConfigError, EncoderError
from colstore.frozen import GRAPH, RECIPE, TOKENIZER, FrozenEncoder, Recipe
from colstore.types import EncodedText, Encoder, FloatMatrix
from tests.encode.checkpoints import BODIES, LAYOUTS, Body, Layout, MakeCheckpoint

Files = Mapping[str, bytes]

ODD = (
    *PROBES,
    "x" * 10_000,
    "🐝" * 3_000,
    "a question that is cut in the middle of its words " * 20,
    " leading and trailing spaces ",
    "\x00\x01\x02\x1f\x7f",
    "e\u0301" * 50,
    "“quotes” \u2013 dashes … and ½",
)


def load(folder: Any, **options: Any) -> TransformerEncoder:
    encoder = load_encoder(folder, device="cpu", **options)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def frozen(encoder: Encoder, dtype: FrozenDtype = "float32") -> FrozenEncoder:
    return FrozenEncoder.load(export_query_encoder(encoder, frozen_dtype=dtype))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_body_answers_as_the_original(checkpoint: MakeCheckpoint, layout: Layout, body: Body) -> None:
    encoder = load(checkpoint(layout, body))
    assert parity(encoder, frozen(encoder), ODD) <= 1e-5


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("stanford", {"attend": True}),
        ("pylate", {"attend": True}),
        ("pylate", {"expand": False}),
        ("native", {"strategy": "min"}),
        ("native", {"strategy": "min", "attend": True}),
        ("native", {"expand": False}),
    ],
)
def test_every_way_of_filling_up_is_the_originals(
    checkpoint: MakeCheckpoint, layout: Layout, options: dict[str, Any]
) -> None:
    encoder = load(checkpoint(layout, "bert", **options))
    assert parity(encoder, frozen(encoder), ODD) <= 1e-5


def test_a_length_that_the_caller_chose_is_kept(checkpoint: MakeCheckpoint) -> None:
    for layout in LAYOUTS:
        encoder = load(checkpoint(layout, "bert"), query_length=9)
        assert parity(encoder, frozen(encoder), ODD) <= 1e-5


def test_documents_skip_punctuation_and_questions_do_not_unless_the_model_says_so(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("native", "bert"))
    (mask,) = mask_modules(encoder.model)
    assert Recipe.from_bytes(export_query_encoder(encoder)[RECIPE]).skip == ()
    mask.skiplist_tasks = ["query", "document"]
    both = frozen(encoder)
    assert both.recipe.skip
    assert parity(encoder, both, [question for question in ODD if question != PROBES[3]]) <= 1e-5


def test_the_tokenizer_cuts_and_fills_on_the_side_of_the_original(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("native", "bert"))
    tokenizer: Any = encoder.model[0].tokenizer
    tokenizer.truncation_side = "left"
    assert parity(encoder, frozen(encoder), ODD) <= 1e-5


def check_tokens(encoder: TransformerEncoder, files: Files, texts: Sequence[str]) -> None:
    """Compare the tokens that a frozen encoder gives for documents with the vectors that they get."""
    made = FrozenEncoder.load(files)
    for text, encoded in zip(texts, encoder.encode_documents(texts), strict=True):
        tokens = made.document_tokens(text)
        assert int(tokens.stored.sum()) == len(encoded.vectors), text[:50]
        assert tokens.truncated == encoded.truncated
        assert tokens.offsets.shape == (len(tokens.ids), 2)
        assert (tokens.offsets[:, 0] <= tokens.offsets[:, 1]).all()
        assert tokens.offsets.max(initial=0) <= len(text)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_stored_vector_has_its_token(checkpoint: MakeCheckpoint, layout: Layout, body: Body) -> None:
    encoder = load(checkpoint(layout, body))
    check_tokens(encoder, export_query_encoder(encoder), [text for text in ODD if text.strip("!?.,;:")])


def test_the_length_of_documents_that_the_caller_chose_is_kept(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("pylate", "bert"), max_tokens=13)
    files = export_query_encoder(encoder)
    assert Recipe.from_bytes(files[RECIPE]).document.length == 13
    check_tokens(encoder, files, ODD)


@pytest.mark.parametrize("change", ["document_length", "document_prefix"])
def test_a_recipe_that_does_not_fit_the_documents_is_noticed(checkpoint: MakeCheckpoint, change: str) -> None:
    encoder = load(checkpoint("pylate", "bert"))
    encoder._settings[change] = 20 if change == "document_length" else "[Q] "
    if change == "document_prefix":  # what the encoder itself does must stay as it is
        encoder._prefix = lambda task: "[D] " if task == "document" else "[Q] "  # type: ignore[method-assign]
    with pytest.raises(EncoderError, match="the model's own tokens"):
        export_query_encoder(encoder)


@pytest.fixture(scope="module")
def mini_colbert(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the folders of a small trained model in its three layouts."""
    target = tmp_path_factory.mktemp("layouts")
    command = [sys.executable, str(shared / "models" / "mini-colbert-layouts" / "make.py"), str(target)]
    subprocess.run(command, check=True)
    stanford = shared / "models" / "mini-colbert-stanford"
    return {"stanford": stanford, "pylate": target / "pylate", "native": target / "native"}


@pytest.mark.shared
@pytest.mark.parametrize("layout", ["stanford", "pylate", "native"])
def test_a_trained_model_agrees_in_float16(shared: Path, mini_colbert: Mapping[str, Path], layout: str) -> None:
    encoder = load(mini_colbert[layout])
    files = export_query_encoder(encoder)
    made = FrozenEncoder.load(files)
    assert made.recipe.storage == "float16"
    queries = [query.text for query in read_queries(shared / "data" / "scifact")][::20]
    assert parity(encoder, made, [*ODD, *queries]) <= 1e-3
    check_tokens(encoder, files, [*ODD[:3], *ODD[4:], *queries])


def test_the_embedded_model_agrees_in_float16(minilm_encoder: TransformerEncoder) -> None:
    files = export_query_encoder(minilm_encoder)
    made = FrozenEncoder.load(files)
    assert made.recipe.storage == "float16"
    assert parity(minilm_encoder, made, ODD) <= 1e-3
    check_tokens(minilm_encoder, files, ODD)


def test_weights_that_float16_cannot_hold_stay_in_float32(checkpoint: MakeCheckpoint) -> None:
    """A model that computes with its smallest differences: rounding its weights would change its vectors."""
    import torch

    encoder = load(checkpoint("plain", "bert"))
    with torch.no_grad():
        body: Any = transformer_of(encoder.model).auto_model  # torch types the parts of a module as tensors or modules
        weight = body.encoder.layer[-1].output.dense.weight
        weight.add_(8.0)  # the next layer takes the mean out, so that only what was rounded away is left
    files = export_query_encoder(encoder)
    recipe = Recipe.from_bytes(files[RECIPE])
    assert recipe.storage == "float32"
    assert parity(encoder, FrozenEncoder.load(files), ODD) <= 1e-3


def test_a_projection_comes_along(checkpoint: MakeCheckpoint) -> None:
    inner = load(checkpoint("plain", "bert"))
    encoder = ProjectedEncoder(inner, fit_projection_from_texts(inner, PROBES, 8))
    made = frozen(encoder)
    assert made.dim == 8
    assert made.settings == encoder.settings
    assert parity(encoder, made, ODD) <= 1e-5


def test_the_second_exporter_does_as_well(checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RuntimeError("recording is over")

    monkeypatch.setattr("colstore.encode.graph._record", refuse)
    encoder = load(checkpoint("native", "modernbert", expand=False))
    assert parity(encoder, frozen(encoder), ODD) <= 1e-5


def test_a_graph_that_computes_something_else_is_refused(
    checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = load(checkpoint("plain", "bert", seed=5)).graph()
    monkeypatch.setattr("colstore.encode.graph._record", lambda *_: another)
    monkeypatch.setattr("colstore.encode.graph._read", lambda *_: another)
    with pytest.raises(EncoderError, match="differs from the model by"):
        export_query_encoder(load(checkpoint("plain", "bert")))


def test_a_tokenizer_that_prepares_differently_is_noticed(
    checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colstore.encode.export._side", lambda _: "left")
    encoder = load(checkpoint("pylate", "bert"))
    with pytest.raises(EncoderError, match=re.escape("documents are not cut into the model's own tokens")):
        export_query_encoder(encoder)


def test_low_precision_is_frozen_in_float32(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("pylate", "bert"), dtype="bfloat16")
    assert parity(encoder, frozen(encoder), ODD) <= 0.1


def test_exporting_leaves_the_model_and_the_process_as_they_were(checkpoint: MakeCheckpoint) -> None:
    import logging
    import warnings

    import torch

    encoder = load(checkpoint("native", "modernbert"))
    before, state = encoder.encode_queries(ODD[:4]), torch.random.get_rng_state()
    filters, levels = list(warnings.filters), logging.getLogger("torch.onnx").level
    files = export_query_encoder(encoder, frozen_dtype="int8")
    assert set(files) == {TOKENIZER, GRAPH, RECIPE}
    assert not encoder.model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (list(warnings.filters), logging.getLogger("torch.onnx").level) == (filters, levels)
    for one, other in zip(before, encoder.encode_queries(ODD[:4]), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("dtype", "size", "difference"), [("float16", 0.51, 1e-3), ("int8", 0.27, 0.3)])
def test_smaller_weights_are_smaller_and_close(
    minilm_encoder: TransformerEncoder, dtype: FrozenDtype, size: float, difference: float
) -> None:
    whole, small = (export_query_encoder(minilm_encoder, frozen_dtype=kind) for kind in ("float32", dtype))
    assert len(small[GRAPH]) < size * len(whole[GRAPH])
    assert parity(minilm_encoder, FrozenEncoder.load(small), PROBES[:6]) <= difference


@pytest.mark.shared
def test_all_questions_of_scifact_agree(shared: Path, minilm_encoder: TransformerEncoder) -> None:
    questions = [query.text for query in read_queries(shared / "data" / "scifact")]
    assert len(questions) > 1000
    assert parity(minilm_encoder, frozen(minilm_encoder), questions[::5]) <= 1e-3


def test_what_needs_no_files_has_none_and_what_cannot_have_any_is_refused() -> None:
    assert export_query_encoder(FakeEncoder()) == {}

    class Other:
        dim, settings = 4, {"kind": "other", "model": "other"}

        def encode_queries(self, texts: Sequence[str]) -> list[FloatMatrix]:
            return []

        def encode_documents(self, texts: Sequence[str]) -> list[EncodedText]:
            return []

    with pytest.raises(EncoderError, match="Other"):
        export_query_encoder(Other())
    with pytest.raises(ConfigError, match="frozen_dtype"):
        export_query_encoder(FakeEncoder(), frozen_dtype="float8")  # type: ignore[arg-type]


def test_the_graph_drops_nothing_for_a_long_row_of_one(checkpoint: MakeCheckpoint) -> None:
    """Shapes of the example that is recorded must not stay in the graph."""
    encoder = load(checkpoint("plain", "xlm-roberta"))
    made = frozen(encoder)
    for question in ("a", "bees dance " * 10):
        matrix = made.encode_queries([question])[0]
        np.testing.assert_allclose(matrix, encoder.encode_queries([question])[0], atol=1e-5)
