"""What is written, to terminals and pipes of any kind."""

from __future__ import annotations

import io
import json
import sys

import pytest

from colstore.cli.output import emit, emit_json, emit_prose, size
from colstore.cli.results import print_hits, print_plain, print_rich, snippet
from colstore.types import Hit

HITS = [Hit(rank=1, id="d\t1\x1b[2J", score=1.5, title="A\nTitle", text="Bees dance, and \x07bread rises.")]


def test_a_plain_hit_is_one_clean_line_of_five_fields(capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("bread", HITS)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split("\t") == ["1", "1.5000", "d\\t1\\x1b[2J", "A Title", "Bees dance, and �bread rises."]


WORDS = ["می‌خواهم", "क्‍ष", "soft­hyphen", "\u200fعربي\u200e", "👩‍🔬", "❤️"]


@pytest.mark.parametrize("word", [*WORDS, "two  spaces", "no\u00a0break", "back\\slash", "\ue000"])
def test_an_id_is_printed_as_it_is_stored(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("bread", [Hit(rank=1, id=word, score=1.0)])
    assert capsys.readouterr().out == f"1\t1.0000\t{word}\t\t\n"


@pytest.mark.parametrize("word", WORDS)
def test_joiners_and_marks_are_parts_of_words(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("bread", [Hit(rank=1, id="d", score=1.0, title=f"a {word}", text=f"{word} b")])
    assert capsys.readouterr().out == f"1\t1.0000\td\ta {word}\t{word} b\n"


@pytest.mark.parametrize("character", [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])
def test_what_reorders_the_rest_of_a_line_is_replaced_for_people(
    character: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    print_rich("bread", [Hit(rank=1, id=f"x{character}y", score=1.0, title=f"a{character}b", text=character)], 0.1)
    shown = capsys.readouterr().out
    assert character not in shown
    assert "a�b" in shown
    assert f"x{ascii(character)[1:-1]}y" in shown


def test_prose_is_wrapped_between_words_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a sentence of some length, with /a/path/that-must-stay/whole-so-that-it-can-be-copied in it"
    emit_prose(text)
    assert capsys.readouterr().out == text + "\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    emit_prose(text, indent="  ")
    lines = capsys.readouterr().out.splitlines()
    assert [word for line in lines for word in line.split()] == text.split()
    assert all(len(line) <= 30 for line in lines if "/a/path" not in line)
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_hit_without_texts_has_empty_fields(capsys: pytest.CaptureFixture[str]) -> None:
    print_plain("bread", [Hit(rank=1, id="d", score=1.0)])
    assert capsys.readouterr().out == "1\t1.0000\td\t\t\n"


def test_hits_for_a_terminal_carry_no_escapes_of_the_corpus(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    print_rich("[bold]bread", HITS, seconds=0.0123)
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    for piece in ("1.5000", "A Title", "bread rises", "1 hit in 12.3 ms"):
        assert piece in shown


def test_the_layout_follows_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_hits("bread", HITS, seconds=0.1)
    assert " in 100.0 ms" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_hits("bread", HITS, seconds=0.1)
    assert " in 100.0 ms" in capsys.readouterr().out


def test_a_snippet_shows_where_the_words_are_and_keeps_to_its_length() -> None:
    text = "filler " * 100 + "the waggle dance tells direction " + "filler " * 100
    shown = snippet(text, "what does the dance tell about direction?", letters=80)
    assert "waggle dance tells direction" in shown
    assert len(shown) <= 82
    assert shown.startswith("…")
    assert shown.endswith("…")


@pytest.mark.parametrize("letters", [1, 5, 40])
def test_a_snippet_of_one_long_word_or_without_the_words(letters: int) -> None:
    assert 0 < len(snippet("x" * 1000, "dance", letters=letters)) <= letters + 2
    assert snippet("one two three " * 50, "absent", letters=letters).startswith(("one"[:letters], "…"))


def test_letters_that_the_locale_lacks_do_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    emit("naïve \ud800")
    emit_json({"text": "naïve 🐝"})
    first, second = raw.getvalue().decode("ascii").splitlines()
    assert first == "na\\xefve \\ud800"
    assert json.loads(second) == {"text": "naïve 🐝"}


def test_json_keeps_letters_in_utf8_and_survives_lone_surrogates(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    emit_json({"text": "naïve", "odd": "\ud800"})
    line = raw.getvalue().decode("utf-8")
    assert "naïve" in line
    assert json.loads(line)["odd"] == "\ud800"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 bytes"), (999_999, "1.0 MB"), (10**9, "1.0 GB"), (5 * 10**15, "5000.0 TB")]
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown
