"""Tokenising texts, and arranging texts of similar length in padded batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.frozen.tokens import is_unreadable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A tokenised text.

    Parameters
    ----------
    inputs
        Inputs of the model by name (``"input_ids"``, ``"attention_mask"``, ...), with one number for each token.
    truncated
        Whether the text had more tokens than the limit.
    unreadable
        Whether most of the text is unknown to the vocabulary.
    """

    inputs: Mapping[str, list[int]]
    truncated: bool
    unreadable: bool = False

    def __len__(self) -> int:
        return len(self.inputs["input_ids"])


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises
    ------
    TypeError
        The argument is a single string, whose characters would be taken for texts, or an item is not a string.
    """
    if isinstance(texts, str):
        raise TypeError("expected a sequence of texts, got a single string; wrap it in a list")
    checked = list(texts)
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is a {type(text).__name__}, not a string")
    return checked


def tokenise(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], prefix: str, arguments: Mapping[str, Any]
) -> list[TokenRow]:
    """Return the tokens of each text with its prefix and special tokens.

    Parameters
    ----------
    tokenizer
        A fast tokenizer.
    texts
        The texts.
    prefix
        Text that is put before each of them.
    arguments
        Arguments of the tokenizer, such as ``truncation`` and ``max_length``.
    """
    if not texts:
        return []
    encoded = tokenizer([prefix + text for text in texts], **arguments)
    columns = {name: values for name, values in encoded.items() if name in tokenizer.model_input_names}
    # A fast tokenizer reports the tokens that truncation removed, so this is exact and needs no second pass.
    return [
        TokenRow(
            {name: values[row] for name, values in columns.items()},
            bool(encoding.overflowing),
            is_unreadable(encoding, tokenizer.unk_token_id, len(prefix)),
        )
        for row, encoding in enumerate(encoded.encodings or [])
    ]


def pad_rows(tokenizer: PreTrainedTokenizerBase, rows: Sequence[TokenRow]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs by name as int64 arrays of shape ``(rows, longest row)``, padded on the tokenizer's side."""
    # `tokenizer.pad` is not used, because it warns about fast tokenizers and is slower.
    fillers = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    width = max(len(row) for row in rows)
    batch: dict[str, NDArray[np.int64]] = {}
    for name in rows[0].inputs:
        matrix = np.full((len(rows), width), fillers.get(name, 0), dtype=np.int64)
        for target, row in zip(matrix, rows, strict=True):
            columns = slice(width - len(row), None) if tokenizer.padding_side == "left" else slice(len(row))
            target[columns] = row.inputs[name]
        batch[name] = matrix
    return batch


def pad_batch(tokenizer: PreTrainedTokenizerBase, rows: Sequence[TokenRow]) -> dict[str, Any]:
    """Return the result of :func:`pad_rows` as tensors that share its memory."""
    import torch

    return {name: torch.from_numpy(matrix) for name, matrix in pad_rows(tokenizer, rows).items()}


def token_budget_batches(lengths: Sequence[int], budget: int) -> list[NDArray[np.intp]]:
    """Group texts into batches so that ``rows * longest row`` stays within the budget, the longest texts first.

    A text that exceeds the budget forms a batch of its own. The longest texts come first, so that a lack of memory
    shows at the start. Texts of equal length keep their order.

    Parameters
    ----------
    lengths
        Number of tokens of each text.
    budget
        Largest number of padded tokens in a batch.

    Returns
    -------
    list of ndarray
        Positions of the texts in each batch. Every position occurs exactly once.

    Examples
    --------
    >>> [batch.tolist() for batch in token_budget_batches([2, 9, 3, 3], budget=6)]
    [[1], [2, 3], [0]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        end = start + max(1, budget // longest)
        batches.append(order[start:end])
        start = end
    return batches
