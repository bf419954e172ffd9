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
from colstore.frozen import GRAPH, RECIPE, TOKENIZER, DocumentSide, Expansion, FrozenEncoder, Recipe
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
"""Texts on which a frozen encoder must agree with the original before it is stored, as queries and as documents."""

_BOUNDS = {"float32": TOLERANCE, "float16": TOLERANCE, "int8": 0.35}
"""Largest difference of a component that is allowed, by how the weights are stored."""
_LOW_PRECISION_BOUND = 0.1
"""The same for a model that computes in a lower precision itself, and is that much coarser."""


def export_query_encoder(encoder: Encoder, *, frozen_dtype: FrozenDtype = "float16") -> dict[str, bytes]:
    """Return the files of an encoder's query side, after comparing it with the original.

    Parameters
    ----------
    encoder
        A :class:`TransformerEncoder`, perhaps projected. A :class:`FakeEncoder` needs no files: it has no model.
    frozen_dtype
        How the graph stores its weights. ``"float16"`` takes half the space of ``"float32"`` and computes in float32
        all the same; where that changes a component of a vector by more than 0.001, the weights stay in float32.
        ``"int8"`` takes a quarter, and its vectors differ in the second digit.

    Returns
    -------
    dict
        Contents by file name, for :meth:`colstore.frozen.FrozenEncoder.load`; empty where none are needed.

    Raises
    ------
    EncoderError
        The encoder cannot be frozen, or the frozen one differs from it; says why.
    MissingDependencyError
        The extra ``encode`` is not installed.
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
    files, difference = _freeze(inner, encoder, graph, frozen_dtype)
    if frozen_dtype == "float16" and difference > _bound(inner, frozen_dtype):
        frozen_dtype = "float32"
        files, difference = _freeze(inner, encoder, graph, frozen_dtype)
    if not difference <= _bound(inner, frozen_dtype):
        raise EncoderError(
            f"the frozen encoder's vectors differ from the model's by {difference:.2g} "
            f"(at most {_bound(inner, frozen_dtype)} is allowed)"
        )
    return files


def _freeze(
    inner: TransformerEncoder, outer: Encoder, graph: bytes, storage: FrozenDtype
) -> tuple[dict[str, bytes], float]:
    """Return the files, and the largest difference of a component from the original over the probes."""
    files = {
        TOKENIZER: _tokenizer(inner),
        GRAPH: smaller(graph, storage),
        RECIPE: _recipe(inner, outer, inner.inputs(), storage).to_bytes(),
    }
    try:
        frozen = FrozenEncoder.load(files)
        _check_documents(inner, frozen)
        return files, parity(outer, frozen, PROBES)
    except ColstoreError as error:
        raise EncoderError(f"the frozen encoder does not work: {error}") from error


def _bound(encoder: TransformerEncoder, storage: FrozenDtype) -> float:
    return _BOUNDS[storage] if encoder.is_float32 else max(_BOUNDS[storage], _LOW_PRECISION_BOUND)


def _check_documents(encoder: TransformerEncoder, frozen: FrozenEncoder) -> None:
    """Refuse a recipe by which documents have other tokens, or other tokens with a vector, than they are encoded with.

    Raises
    ------
    EncoderError
        Names the text.
    """
    mask = token_mask(encoder.model, "document")
    for text, row in zip(PROBES, encoder.prepare_documents(PROBES), strict=True):
        ids, attention = (np.array(row.inputs[name], np.int64) for name in ("input_ids", "attention_mask"))
        found = frozen.document_tokens(text)
        same = np.array_equal(found.ids, ids) and np.array_equal(found.stored, mask.apply(ids, attention))
        if not same or found.truncated != row.truncated:
            raise EncoderError(f"documents are not cut into the model's own tokens, such as {text[:40]!r}")


def parity(encoder: Encoder, frozen: FrozenEncoder, queries: Sequence[str]) -> float:
    """Return the largest difference of a component over some queries; infinity where shapes differ."""
    worst = 0.0
    for query in queries:
        expected, found = encoder.encode_queries([query])[0], frozen.encode_queries([query])[0]
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
    length = int(inner.settings["query_length"])  # type: ignore[arg-type]  # set when the pipeline is loaded
    mask = token_mask(inner.model, "document")
    return Recipe(
        prefix=str(inner.settings["query_prefix"]),
        length=length if expansion is None else max(length, expansion.length),
        truncation=_side(tokenizer.truncation_side),
        padding=_side(tokenizer.padding_side),
        expansion=expansion,
        skip=token_mask(inner.model, "query").dropped,
        document=DocumentSide(
            prefix=str(inner.settings["document_prefix"]),
            length=int(inner.settings["document_length"]),  # type: ignore[arg-type]  # as above
            skip=mask.dropped,
            only=mask.only,
        ),
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
