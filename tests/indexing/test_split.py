"""Splitting: passages fit the model, follow the text, and leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colstore import Document, PassageConfig
from colstore.encode import FakeEncoder
from colstore.errors import ConfigError
from colstore.indexing.sentences import sentences
from colstore.indexing.split import PassageSplitter, Piece
from colstore.types import TokenCounter


class Letters:
    """A counter of the kind that does not add up: a token a letter, one more for each word, and two that it adds."""

    document_length = 40

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [2 + len(re.sub(r"\s", "", text)) + len(text.split()) for text in texts]


def split(text: str, limit: int, title: str = "", **how: int) -> list[Piece]:
    encoder = FakeEncoder(max_tokens=limit)
    return PassageSplitter(encoder, PassageConfig(**how)).split([Document("d", text, title)])[0]


TEXTS = st.text(st.sampled_from("abcdefg  .!?\n\n。é\u0301蜜"), max_size=400)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, title=st.sampled_from(["", "a title", "a much longer title of some words"]), letters=st.booleans())
def test_passages_fit_and_cover_the_text(text: str, title: str, letters: bool) -> None:
    counter: TokenCounter = Letters() if letters else FakeEncoder(max_tokens=7)
    document = Document("d", text, title)
    pieces = PassageSplitter(counter, PassageConfig()).split([document])[0]
    assert counter.document_length is not None
    if counter.count_tokens([document.passage])[0] <= counter.document_length:
        assert pieces == [Piece(document.passage, 0, len(text))]
        return
    fitting = [piece for piece in pieces if (piece.start, piece.end) != (0, 0) and piece.end - piece.start > 1]
    assert max(counter.count_tokens([piece.text for piece in fitting]), default=0) <= counter.document_length
    places = [piece.start for piece in pieces]
    assert places == sorted(places)
    if len(pieces) > 1:
        covered = {place for piece in pieces for place in range(piece.start, piece.end)}
        assert all(letter.isspace() for place, letter in enumerate(text) if place not in covered)
        assert sum(piece.end - piece.start for piece in pieces) == len(covered)  # no overlap
        assert all(piece.text.endswith(text[piece.start : piece.end]) for piece in pieces)


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.sampled_from(["a", "b.", "c!", "d"]), min_size=20, max_size=80), overlap=st.integers(0, 5))
def test_an_overlap_repeats_whole_sentences_of_at_most_so_many_tokens(words: list[str], overlap: int) -> None:
    text = " ".join(words)
    pieces = split(text, 10, max_tokens=10, overlap=overlap)
    for one, other in pairwise(pieces):
        repeated = text[other.start : max(other.start, one.end)]
        assert len(repeated.split()) <= overlap
        assert other.end > one.end
        assert other.start > one.start


def test_sentences_are_kept_whole_and_paragraphs_preferred() -> None:
    text = "One two. Three four.\n\nFive six. Seven eight."
    assert [piece.text for piece in split(text, 5)] == ["One two. Three four.", "Five six. Seven eight."]
    assert [piece.text for piece in split(text, 6)] == ["One two. Three four.", "Five six. Seven eight."]
    assert [piece.text for piece in split(text, 3)] == ["One two.", "Three four.", "Five six.", "Seven eight."]
    assert [piece.text for piece in split("a b c\nd e f", 4)] == ["a b c", "d e f"]
    assert [piece.text for piece in split("a b c d e", 2)] == ["a b", "c d", "e"]


def test_the_title_stands_before_each_passage_unless_it_is_long() -> None:
    pieces = split("One two. Three four.", 3, title="T")
    assert [(piece.text, piece.start, piece.end) for piece in pieces] == [
        ("T One two.", 0, 8),
        ("T Three four.", 9, 20),
    ]
    pieces = split("One two. Three four.", 3, title="A long title")
    assert [piece.text for piece in pieces] == ["A long title", "One two.", "Three four."]


def test_sentence_ends() -> None:
    text = 'He said "Go!" Then left. See Fig. 2, e.g. this, by A. Author et al. today. 好。是\uff1f Ya? no.'
    parts = [text[a:b].strip() for a, b in sentences(text, 0, len(text))]
    assert parts == [
        'He said "Go!"',
        "Then left.",
        "See Fig. 2, e.g. this, by A. Author et al. today.",
        "好。",
        "是\uff1f",
        "Ya?",
        "no.",
    ]


def test_settings_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match="exceed the model's limit of 8"):
        PassageSplitter(FakeEncoder(max_tokens=8), PassageConfig(max_tokens=9))
    with pytest.raises(ConfigError, match="leave no room"):
        PassageSplitter(Letters(), PassageConfig(max_tokens=2))
    with pytest.raises(ConfigError, match="overlap of passages must be an integer from 0 to 4"):
        PassageConfig(max_tokens=8, overlap=5)
