"""How many tokens a query or a document may have: what the model says, what it can, what the caller asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colstore.encode.pipeline import tokenizer_of, transformer_of
from colstore.errors import ConfigError
from colstore.types import Json

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Transformer

_UNLIMITED = 512
"""Limit for models that state none and have no table of positions."""


def set_limits(model: MultiVectorEncoder, *, query_length: int | None, document_length: int | None) -> dict[str, Json]:
    """Set both limits in the pipeline and return them; ``None`` takes what the model says.

    A limit counts special tokens and marker. With a fixed expansion every query has exactly as many tokens
    as its limit.

    Raises
    ------
    ConfigError
        If the model cannot take so many tokens, or if no token of the text would be left.
    """
    transformer = transformer_of(model)
    if query_length is not None:
        _check(model, "query_length", query_length, task="query")
    if document_length is not None:
        _check(model, "max_tokens", document_length, task="document")
    stated = min(transformer.max_seq_length or _UNLIMITED, position_limit(transformer))
    transformer.document_length = document_length or min(transformer.document_length or stated, stated)
    _set_query_length(transformer, query_length, stated)
    return {"query_length": transformer.query_length, "document_length": transformer.document_length}


def position_limit(transformer: Transformer) -> int:
    """Return the longest sequence that the model has positions for."""
    positions = getattr(transformer.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:  # XLNet says -1, T5 nothing
        return 1 << 20
    return positions - _first_position(transformer)


def _set_query_length(transformer: Transformer, asked: int | None, stated: int) -> None:
    expansion = transformer.query_expansion
    if expansion is None:
        transformer.query_length = asked or min(transformer.query_length or stated, stated)
        return
    filled = expansion["length"]
    if expansion["strategy"] == "fixed":
        filled = transformer.query_length = asked or min(filled, stated)
    else:
        transformer.query_length = asked or min(transformer.query_length or stated, stated)
        filled = min(filled, transformer.query_length)
    transformer.query_expansion = {**expansion, "length": filled}


def _first_position(transformer: Transformer) -> int:
    """Return the first position in use: RoBERTa and its kin count from the padding id + 1, not from 0."""
    from torch.nn import Embedding

    for module in transformer.model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), Embedding):
            return padding + 1
    return 0


def _check(model: MultiVectorEncoder, setting: str, asked: int, *, task: str) -> None:
    most = position_limit(transformer_of(model))
    # Prefix and special tokens are what an empty text has.
    least = len(tokenizer_of(model)(model.prompts.get(task) or "")["input_ids"]) + 1
    if not least <= asked <= most:
        raise ConfigError(f"{setting} must lie in {least}..{most} for this model, got {asked}")
