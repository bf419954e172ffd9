"""Masks: which tokens' vectors a pipeline drops, expressed as token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from colstore.encode.pipeline import tokenizer_of

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder
    from transformers import PreTrainedTokenizerBase

Task = Literal["query", "document"]


@dataclass(frozen=True, slots=True)
class TokenMask:
    """The combined effect of a pipeline's masks on queries, or on documents.

    Parameters
    ----------
    dropped
        Ids of the tokens whose vectors are dropped.
    only
        If not empty, the vectors of all tokens except these are dropped.
    """

    dropped: tuple[int, ...]
    only: tuple[int, ...]

    def apply(self, ids: NDArray[np.int64], attention: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which tokens keep their vectors, as booleans of the same shape.

        Parameters
        ----------
        ids, attention
            Token ids and attention mask of a batch, both of shape ``(texts, tokens)``, int64.

        Examples
        --------
        >>> TokenMask((5,), ()).apply(np.array([[1, 5, 2, 0]]), np.array([[1, 1, 1, 0]])).tolist()
        [[True, False, True, False]]
        """
        counts = attention.astype(np.bool_)
        if self.dropped:
            counts &= ~np.isin(ids, self.dropped)
        if self.only:
            counts &= np.isin(ids, self.only)
        return counts


def token_mask(model: MultiVectorEncoder, task: Task) -> TokenMask:
    """Return the combined effect of the pipeline's ``MultiVectorMask`` modules on queries, or on documents."""
    tokenizer = tokenizer_of(model)
    dropped: set[int] = set()
    only: list[int] = []
    for module in mask_modules(model):
        if task in module.skiplist_tasks:
            dropped |= {token for word in module.skiplist_words if (token := _known(tokenizer, word)) is not None}
        if task != "query" and module.keep_only_token_ids:
            only = list(module.keep_only_token_ids)
    return TokenMask(tuple(sorted(dropped)), tuple(only))


def _known(tokenizer: PreTrainedTokenizerBase, word: str) -> int | None:
    """Return the id of a word, or ``None`` if it is not in the vocabulary (and would become the unknown token)."""
    token: Any = tokenizer.convert_tokens_to_ids(word)
    missing = token is None or (token == tokenizer.unk_token_id and word != tokenizer.unk_token)
    return None if missing else int(token)


def mask_modules(model: MultiVectorEncoder) -> list[Any]:
    """Return those modules of the pipeline that drop vectors."""
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    return [module for module in model if isinstance(module, MultiVectorMask)]
