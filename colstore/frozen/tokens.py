"""A question to the inputs of the graph, as the original's tokenizer and its preparation would give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorruptIndexError
from colstore.frozen.recipe import TOKENIZER, Recipe

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenizedQuery:
    """One question, prepared.

    Parameters
    ----------
    inputs
        By name, int64 of shape ``(1, tokens)``.
    scored
        Which tokens' vectors count, bool of shape ``(tokens,)``.
    """

    inputs: dict[str, NDArray[np.int64]]
    scored: NDArray[np.bool_]


def open_tokenizer(data: bytes, recipe: Recipe) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``, set to cut where the recipe says.

    Raises
    ------
    CorruptIndexError
        It is none.
    """
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_str(data.decode("utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(recipe.length, strategy="longest_first", direction=recipe.truncation)
    except Exception as error:  # the library raises bare Exceptions
        raise CorruptIndexError(
            f"not a tokenizer ({str(error)[:200]}); build the index again, or restore it from a copy", file=TOKENIZER
        ) from error
    return tokenizer


def prepare(tokenizer: Tokenizer, recipe: Recipe, text: str) -> TokenizedQuery:
    """Return what the graph takes for one question."""
    # A lone surrogate is no Unicode text; the tokenizer would refuse the whole question for it.
    clean = (recipe.prefix + text).encode("utf-8", "replace").decode("utf-8")
    encoding = tokenizer.encode(clean)
    ids = np.array(encoding.ids, dtype=np.int64)
    types = np.array(encoding.type_ids, dtype=np.int64)
    real = np.ones(len(ids), dtype=np.bool_)
    attended = real
    scored = real
    expansion = recipe.expansion
    if expansion is not None and len(ids) < expansion.length:
        missing = expansion.length - len(ids)
        fill = _Filler(missing, recipe.padding)
        ids, types, real = fill(ids, expansion.token), fill(types, 0), fill(real, False)
        attended = real | expansion.attend
        scored = attended | expansion.scored
    scored = scored & ~np.isin(ids, np.array(recipe.skip, dtype=np.int64))
    made = {"input_ids": ids, "attention_mask": attended.astype(np.int64), "token_type_ids": types}
    return TokenizedQuery({name: made[name][None, :] for name in recipe.inputs}, scored)


@dataclass(frozen=True, slots=True)
class _Filler:
    """Adds so many values on one side."""

    count: int
    side: str

    def __call__(self, row: NDArray[Any], value: int) -> NDArray[Any]:
        missing = np.full(self.count, value, dtype=row.dtype)
        return np.concatenate([missing, row] if self.side == "left" else [row, missing])
