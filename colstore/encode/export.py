"""The query side of an encoder to the files that an index carries, see :mod:`colstore.frozen`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from colstore.config import FROZEN_DTYPES, FrozenDtype
from colstore.encode.fake import FakeEncoder
from colstore.encode.graph import TOLERANCE, smaller, with_projection
from colstore.encode.masks import mask_modules, token_mask
from colstore.encode.pipeline import tokenizer_of, transformer_of
from colstore.encode.projection import ProjectedEncoder, Projection
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import ColstoreError, ConfigError, EncoderError
from colstore.frozen import GRAPH, RECIPE, TOKENIZER, Expansion, FrozenEncoder, Recipe
from colstore.types import Encoder

PROBES = (
    "do statins lower C-reactive protein?",
    "bees",
    "",
    "!?.,;: (a) [b] {c} -- 'd' \"e\"",
    "naïve café e\u0301 ﬁne Ⅳ ß İstanbul",
    "蜜蜂在黑暗中跳舞 東京都 한국어 العربية",
    "🐝👩‍🔬🇸🇪 and a flag",
    "tab\tline\nnull\x00bell\x07 \u202e\u200b",
    "[MASK] [CLS] [SEP] <s> </s> <mask> [unused0] [Q] [D]",
    "MiXeD CASE Don't stop 3.14 1,000 a_b x²",
    "word " * 2000,
)
"""Questions that a frozen encoder must answer as the original does before it is stored."""

_LOOSE = {"float32": TOLERANCE, "float16": 5e-3, "int8": 0.35}


def export_query_encoder(encoder: Encoder, *, frozen_dtype: FrozenDtype = "float32") -> dict[str, bytes]:
    """Return the files of an encoder's query side, after comparing it with the original.

    Parameters
    ----------
    encoder
        A :class:`TransformerEncoder`, perhaps projected. A :class:`FakeEncoder` needs no files: it has no model.
    frozen_dtype
        How the graph keeps its weights: ``"float32"``; ``"float16"``, half the size, computed in float32; ``"int8"``,
        a quarter, whose vectors differ in the second digit.

    Returns
    -------
    dict
        Contents by file name, for :meth:`colstore.frozen.FrozenEncoder.load`; empty where none are needed.

    Raises
    ------
    EncoderError
        The encoder cannot be frozen, or the frozen one differs; says why.
    MissingDependencyError
        If ``onnx`` or ``onnxruntime`` is not installed.
    """
    if frozen_dtype not in FROZEN_DTYPES:
        raise ConfigError(f"frozen_dtype must be one of {FROZEN_DTYPES}, got {frozen_dtype!r}")
    inner, projection = _unwrapped(encoder)
    if isinstance(inner, FakeEncoder):
        return {}
    if not isinstance(inner, TransformerEncoder):
        raise EncoderError(f"an encoder of type {type(inner).__name__} has no graph to freeze")
    graph = inner.graph()
    if projection is not None:
        graph = with_projection(graph, projection.axes)
    recipe = _recipe(inner, encoder, inner.inputs(), frozen_dtype)
    files = {
        TOKENIZER: _tokenizer(inner),
        GRAPH: smaller(graph, frozen_dtype),
        RECIPE: recipe.to_bytes(),
    }
    # What the model computes in a lower precision is that much coarser itself.
    _check(encoder, files, _LOOSE[frozen_dtype] if inner.is_float32 else max(_LOOSE[frozen_dtype], 0.1))
    return files


def parity(encoder: Encoder, frozen: FrozenEncoder, questions: Sequence[str]) -> float:
    """Return the largest difference of a component over some questions; infinity where shapes differ."""
    worst = 0.0
    for question in questions:
        expected, found = encoder.encode_queries([question])[0], frozen.encode_queries([question])[0]
        if expected.shape != found.shape:
            return float("inf")
        worst = max(worst, float(np.abs(expected - found).max()))
    return worst


def _unwrapped(encoder: Encoder) -> tuple[Encoder, Projection | None]:
    if isinstance(encoder, ProjectedEncoder) and not isinstance(encoder.encoder, ProjectedEncoder):
        return encoder.encoder, encoder.projection
    return encoder, None


def _recipe(inner: TransformerEncoder, outer: Encoder, inputs: list[str], storage: str) -> Recipe:
    tokenizer = tokenizer_of(inner.model)
    expansion = _expansion(inner)
    length = int(inner.settings["query_length"])  # type: ignore[arg-type]  # set by limits.py
    return Recipe(
        prefix=str(inner.settings["query_prefix"]),
        length=length if expansion is None else max(length, expansion.length),
        truncation=_side(tokenizer.truncation_side),
        padding=_side(tokenizer.padding_side),
        expansion=expansion,
        skip=token_mask(inner.model, "query").dropped,
        inputs=tuple(inputs),
        dim=outer.dim,
        storage=storage,
        settings=dict(outer.settings),
    )


def _side(name: str) -> Literal["left", "right"]:
    return "left" if name == "left" else "right"


def _expansion(encoder: TransformerEncoder) -> Expansion | None:
    expansion: Any = transformer_of(encoder.model).query_expansion
    if expansion is None:
        return None
    settings: Any = encoder.settings["query_expansion"]
    token = tokenizer_of(encoder.model).convert_tokens_to_ids(settings["token"])
    if not isinstance(token, int):
        raise EncoderError(f"the token {settings['token']!r} that fills up queries is not in the vocabulary")
    scored = bool(mask_modules(encoder.model))
    return Expansion(token, int(expansion["length"]), bool(expansion["attend"]), scored)


def _tokenizer(encoder: TransformerEncoder) -> bytes:
    """Return the tokenizer's file, without the length and filling that its last use left in it."""
    body = json.loads(tokenizer_of(encoder.model).backend_tokenizer.to_str())
    body["truncation"] = body["padding"] = None
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _check(encoder: Encoder, files: dict[str, bytes], tolerance: float) -> None:
    try:
        difference = parity(encoder, FrozenEncoder.load(files), PROBES)
    except ColstoreError as error:
        raise EncoderError(f"the frozen encoder does not work: {error}") from error
    if not difference <= tolerance:
        raise EncoderError(
            f"the frozen encoder's vectors differ from the model's by {difference:.2g} (at most {tolerance} is allowed)"
        )
