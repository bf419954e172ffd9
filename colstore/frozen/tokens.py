"""Queries to the inputs of the graph, and documents to the tokens that they were encoded as.

Both give what the original model's tokenizer and preparation give.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colstore.errors import CorruptIndexError
from colstore.frozen.recipe import TOKENIZER, DocumentSide, Recipe

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class TokenizedQuery:
    """One query, prepared.

    Parameters
    ----------
    inputs
        Inputs of the graph by name, int64 of shape ``(1, tokens)``.
    scored
        Which tokens' vectors count, bool of shape ``(tokens,)``.
    truncated
        Whether the text has more tokens than the model takes.
    unreadable
        Whether most of the text is unknown to the vocabulary, see :func:`is_unreadable`.
    """

    inputs: dict[str, NDArray[np.int64]]
    scored: NDArray[np.bool_]
    truncated: bool = False
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class DocumentTokens:
    """The tokens of a document, as it was encoded.

    Parameters
    ----------
    ids
        Token ids, int64 of shape ``(tokens,)``, those of the prefix and the special tokens included.
    offsets
        Where each token lies in the text: start and end in characters, int64 of shape ``(tokens, 2)``. Tokens of
        the prefix and special tokens have no text: ``(0, 0)``.
    stored
        Which tokens have a vector, bool of shape ``(tokens,)``. The vectors of a document that was not pooled
        belong to these tokens, in their order.
    truncated
        Whether the text has more tokens than the model takes.
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    stored: NDArray[np.bool_]
    truncated: bool


def open_tokenizer(data: bytes, length: int, side: str) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``.

    Parameters
    ----------
    data
        The file.
    length
        Largest number of tokens of a text, special tokens included.
    side
        Where longer texts are cut, ``"left"`` or ``"right"``.

    Raises
    ------
    CorruptIndexError
        The file holds no tokenizer, or one that cannot cut there.
    """
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_str(data.decode("utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(length, strategy="longest_first", direction=side)
    except Exception as error:  # the library raises bare Exceptions
        raise CorruptIndexError(
            f"not a tokenizer ({str(error)[:200]}); build the index again, or restore it from a copy", file=TOKENIZER
        ) from error
    return tokenizer


def unknown_token(tokenizer: Tokenizer, data: bytes) -> int | None:
    """Return the id of the token that stands for what is not in the vocabulary; ``None`` where there is no such token.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    data
        The ``tokenizer.json`` that it was read from.
    """
    from tokenizers.models import Unigram

    if isinstance(tokenizer.model, Unigram):  # the library does not say which token it is
        found = re.search(rb'"unk_id":\s*(\d+)', data)
        return None if found is None else int(found[1])
    token = getattr(tokenizer.model, "unk_token", None)
    return None if token is None else tokenizer.token_to_id(token)


def is_unreadable(encoding: Encoding, unknown: int | None, prefix: int = 0) -> bool:
    """Return whether most tokens, or most characters, of a text are unknown to the vocabulary.

    A word of a script without spaces may be one unknown token of many characters, so that both are counted.

    Parameters
    ----------
    encoding
        The text with its prefix.
    unknown
        Id of the token that stands for unknown ones; ``None`` where the vocabulary knows everything.
    prefix
        Number of characters before the text, which do not count.
    """
    if unknown is None or unknown not in encoding.ids:
        return False
    rows = zip(encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True)
    widths = [(token == unknown, end - start) for token, (start, end), special in rows if not special and end > prefix]
    unknown_widths = [width for is_unknown, width in widths if is_unknown]
    characters = sum(width for _, width in widths)
    return 2 * len(unknown_widths) > len(widths) or 2 * sum(unknown_widths) > characters


def prepare(tokenizer: Tokenizer, recipe: Recipe, text: str, unknown: int | None = None) -> TokenizedQuery:
    """Return what the graph takes for one query.

    Parameters
    ----------
    tokenizer
        Cuts at the query's length.
    recipe
        How queries are prepared.
    text
        The query.
    unknown
        Id of the token that stands for unknown ones, see :func:`unknown_token`.
    """
    encoding = tokenizer.encode(_unicode(recipe.prefix + text))
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
    return TokenizedQuery(
        {name: made[name][None, :] for name in recipe.inputs},
        scored,
        truncated=bool(encoding.overflowing),
        unreadable=is_unreadable(encoding, unknown, len(recipe.prefix)),
    )


def document_tokens(tokenizer: Tokenizer, document: DocumentSide, text: str) -> DocumentTokens:
    """Return the tokens of one document, and where they lie in its text.

    Parameters
    ----------
    tokenizer
        Cuts at the document's length.
    document
        How documents are prepared.
    text
        The passage: what was encoded, title and text joined.
    """
    encoding = tokenizer.encode(_unicode(document.prefix + text))
    ids = np.array(encoding.ids, dtype=np.int64)
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(len(ids), 2)
    offsets = np.maximum(offsets - len(document.prefix), 0)
    stored = ~np.isin(ids, np.array(document.skip, dtype=np.int64))
    if document.only:
        stored &= np.isin(ids, np.array(document.only, dtype=np.int64))
    return DocumentTokens(ids, offsets, stored, truncated=bool(encoding.overflowing))


def _unicode(text: str) -> str:
    """Replace lone surrogates, which are no Unicode text: the tokenizer would refuse the whole text for one."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class _Filler:
    """Adds so many values on one side."""

    count: int
    side: str

    def __call__(self, row: NDArray[Any], value: int) -> NDArray[Any]:
        missing = np.full(self.count, value, dtype=row.dtype)
        return np.concatenate([missing, row] if self.side == "left" else [row, missing])
