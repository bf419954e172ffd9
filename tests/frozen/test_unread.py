"""What a model cannot read of a text is reported: what is beyond its limit, and what its vocabulary lacks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.pre_tokenizers import Whitespace

from colstore.encode import TransformerEncoder, fit_projection
from colstore.encode.projection import ProjectedEncoder
from colstore.frozen import FrozenEncoder
from colstore.frozen.tokens import is_unreadable, unknown_token
from colstore.outputs import encoded_query

LONG = "an old river runs to the sea " * 20
LAO = "ເປັນຫຍັງເຜິ້ງຈຶ່ງເຕັ້ນລຳ"


def words(*, unknown: str = "[UNK]") -> Tokenizer:
    """Return a tokenizer that knows three words and the letters a to c."""
    vocabulary = {word: i for i, word in enumerate([unknown, "bees", "dance", "?", "a", "b", "c"])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bees dance ?", False),
        ("bees dance wildly ?", False),  # one token of four, and 6 characters of 16
        ("xx yy bees", True),  # two tokens of three
        ("bees extraordinarily", True),  # one token of two, but most of the characters
        ("", False),
        (f"{'bees ' * 9}{LAO}", False),
    ],
)
def test_most_tokens_or_most_characters(text: str, expected: bool) -> None:
    assert is_unreadable(words().encode(text), 0) is expected


def test_the_prefix_does_not_count() -> None:
    text = "bees dance bees dance ? xx"
    assert not is_unreadable(words().encode(text), 0)
    assert is_unreadable(words().encode(text), 0, prefix=len(text) - 2)


def test_the_unknown_token_of_each_kind_of_vocabulary() -> None:
    by_words, pieces = words(unknown="<unk>"), [("<s>", 0.0), ("<unk>", 0.0), ("a", -1.0)]
    unigram, without = Tokenizer(Unigram(pieces, unk_id=1)), Tokenizer(Unigram(pieces))
    bytes_only = Tokenizer(BPE({"a": 0}, []))
    for tokenizer, expected in ((by_words, 0), (unigram, 1), (without, None), (bytes_only, None)):
        assert unknown_token(tokenizer, tokenizer.to_str().encode()) == expected
    assert not is_unreadable(bytes_only.encode("xyz"), None)


def test_model_and_frozen_encoder_report_the_same(original: TransformerEncoder, files: Mapping[str, bytes]) -> None:
    frozen = FrozenEncoder.load(files)
    for text, truncated, unreadable in (("bees dance", False, False), (LONG, True, False), (LAO, False, True)):
        for encoder in (frozen, original):
            (encoded,) = encoder.encode_query_texts([text])
            assert (encoded.truncated, encoded.unreadable) == (truncated, unreadable), (text, encoder)
            assert (encoded.vectors == encoder.encode_queries([text])[0]).all()


def test_a_query_that_just_fits_is_not_truncated(original: TransformerEncoder, files: Mapping[str, bytes]) -> None:
    frozen = FrozenEncoder.load(files)
    lengths = [n for n in range(1, 30) if not frozen.encode_query_texts(["bees " * n])[0].truncated]
    assert lengths == [n for n in range(1, 30) if not original.encode_query_texts(["bees " * n])[0].truncated]
    assert 5 < len(lengths) < frozen.recipe.length  # markers take some of the tokens


def test_documents_are_reported_and_a_projection_passes_it_on(original: TransformerEncoder) -> None:
    projected = ProjectedEncoder(original, fit_projection(original.encode_queries([LONG])[0], 8))
    for encoder in (original, projected):
        plain, long, strange = encoder.encode_documents(["bees dance", LONG, LAO])
        assert [text.unreadable for text in (plain, long, strange)] == [False, False, True]
        assert [text.truncated for text in (plain, long, strange)] == [False, True, False]
    assert encoded_query(projected, LONG).truncated
    assert encoded_query(projected, LAO).unreadable
