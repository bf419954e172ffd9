"""Which tokens' vectors a pipeline drops, as token ids."""

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
    """What a pipeline's masks do to the texts of one task.

    Parameters
    ----------
    dropped
        Ids of tokens whose vectors do not count.
    kept
        If there are any, all others do not count.
    """

    dropped: tuple[int, ...]
    kept: tuple[int, ...]

    def apply(self, ids: NDArray[np.int64], attention: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which tokens count, bool of the same shape.

        Examples
        --------
        >>> TokenMask((5,), ()).apply(np.array([[1, 5, 2, 0]]), np.array([[1, 1, 1, 0]])).tolist()
        [[True, False, True, False]]
        """
        counts = attention.astype(np.bool_)
        if self.dropped:
            counts &= ~np.isin(ids, self.dropped)
        if self.kept:
            counts &= np.isin(ids, self.kept)
        return counts


def token_mask(model: MultiVectorEncoder, task: Task) -> TokenMask:
    """Return what the pipeline's ``MultiVectorMask`` modules do to queries, or to documents."""
    tokenizer = tokenizer_of(model)
    dropped: set[int] = set()
    kept: list[int] = []
    for module in mask_modules(model):
        if task in module.skiplist_tasks:
            dropped |= {token for word in module.skiplist_words if (token := _known(tokenizer, word)) is not None}
        if task != "query" and module.keep_only_token_ids:
            kept = list(module.keep_only_token_ids)
    return TokenMask(tuple(sorted(dropped)), tuple(kept))


def _known(tokenizer: PreTrainedTokenizerBase, word: str) -> int | None:
    """Return the id of a word; ``None`` for one that the vocabulary lacks, which reads as the unknown token."""
    token: Any = tokenizer.convert_tokens_to_ids(word)
    missing = token is None or (token == tokenizer.unk_token_id and word != tokenizer.unk_token)
    return None if missing else int(token)


def mask_modules(model: MultiVectorEncoder) -> list[Any]:
    """Return the pipeline's modules that drop vectors."""
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    return [module for module in model if isinstance(module, MultiVectorMask)]
