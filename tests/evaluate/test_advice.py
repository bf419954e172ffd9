"""Advice follows from the results by the rules that its module states."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from colstore.evaluate.advice import advise, choose, verdict
from colstore.evaluate.comparison import Row
from tests.evaluate.rows import full, make_row


def without(rows: list[Row], *keys: str) -> list[Row]:
    return [row for row in rows if row.key not in keys]


def test_the_same_rows_give_the_same_sentences_and_stay_unchanged() -> None:
    rows = full()
    keys = [row.key for row in rows]
    assert advise(rows) == advise(rows)
    assert [row.key for row in rows] == keys


def test_the_fastest_of_the_good_is_chosen() -> None:
    assert choose(full()).key == "cross-uncertain"
    assert choose(without(full(), "cross-always", "cross-uncertain")).key == "pool-2"  # .703, within .01 of .705


def test_of_the_nearly_as_fast_the_smallest_is_chosen() -> None:
    large = make_row("large", 0.70, 10.0, 9000)
    small = make_row("small", 0.70, 12.0, 1000)
    slow = make_row("slow", 0.70, 13.0, 10)
    assert choose([large, small, slow]).key == "small"
    best = make_row("best", 0.705, 99.0, 10)
    assert "and the smallest of those that are nearly as fast" in advise([large, small, slow, best])[0]


def test_a_reference_is_never_chosen_but_is_named() -> None:
    rows = [make_row("exact", 0.9, 1.0, 1, label="the yardstick", yardstick=True), make_row("4-bit", 0.8, 9.0, 10)]
    assert choose(rows).key == "4-bit"
    assert "Only the reference the yardstick is more accurate (0.900)" in advise(rows)[0]
    assert advise([rows[0]]) == ()


def test_the_choice_is_stated_with_its_figures() -> None:
    said = advise(full())[0]
    assert said.startswith("Use cross-encoder, uncertain: nDCG@10 0.757 (")
    assert "1.5e+02 ms" not in said
    assert "150 ms per query, 51.0 kB per document" in said
    assert "within 0.01 of the most accurate (cross-encoder, always, 0.760), and the fastest of those that are." in said


def test_verdicts() -> None:
    best = make_row("best", 0.7, 1, 1)
    assert verdict(make_row("near", 0.695, 1, 1), best)[0] == "as good as"
    assert verdict(make_row("far", 0.6, 1, 1), best)[0] == "worse than"
    assert verdict(make_row("noisy", 0.68, 1, 1, spread=0.4), best)[0] == "undecided"
    assert verdict(make_row("few", 0.6, 1, 1, queries=4), make_row("best", 0.7, 1, 1, queries=4))[0] == "undecided"
    assert verdict(make_row("better", 0.8, 1, 1), best)[0] == "as good as"


def test_cheaper_systems_are_compared_with_the_choice() -> None:
    said = " ".join(advise(full()))
    assert "BM25 alone is worse (0.600, 0.157 below; p < 0.001)" in said
    assert "One vector per document is worse (0.620, 0.137 below; p < 0.001)" in said
    noisy = [make_row("bm25", 0.66, 9, 10, "bm25", spread=0.5), make_row("4-bit", 0.7, 9, 10)]
    assert "which may be due to chance" in " ".join(advise(noisy))
    equal = [make_row("bm25", 0.70, 90, 10, "bm25"), make_row("4-bit", 0.7, 9, 10)]
    assert "BM25 alone is as good as that (0.700), but slower or larger." in " ".join(advise(equal))
    chain = [make_row("bm25", 0.686, 0.1, 1, "bm25"), make_row("4-bit", 0.695, 1, 9), make_row("8-bit", 0.704, 9, 20)]
    assert choose(chain).key == "4-bit"
    expected = "BM25 alone is as good as that (0.686), but more than 0.01 below the most accurate system."
    assert expected in advise(chain)[1]


def test_where_bm25_is_enough_it_is_recommended_alone() -> None:
    rows = [make_row("bm25", 0.70, 0.3, 10, "bm25", label="BM25"), make_row("4-bit", 0.7, 9, 10)]
    said = advise(rows)
    assert said[0].startswith("Use BM25")
    assert not any("BM25 alone" in sentence for sentence in said)


def test_bytes() -> None:
    said = " ".join(advise(full()))
    assert (
        "that keeps the accuracy is MaxSim 4 bits, pooled 2: 26.5 kB per document instead of 368.0 kB (14 times" in said
    )
    assert "; MaxSim 4 bits, pooled 3 loses 0.015." in said
    tiny = [make_row("exact", 0.7, 1, 10, yardstick=True), make_row("4-bit", 0.7, 1, 100)]
    assert not any("smallest index" in sentence for sentence in advise(tiny))
    lossy = [make_row("16-bit", 0.7, 1, 100, label="all"), make_row("1-bit", 0.6, 1, 10)]
    assert "Every codec loses more than 0.01 compared with all here." in advise(lossy)


@pytest.mark.parametrize("gain", [0.005, -0.02])
def test_a_cross_encoder_that_gains_nothing(gain: float) -> None:
    start = make_row("4-bit", 0.7, 8, 10)
    always = make_row("cross-always", 0.7 + gain, 400, 10, "cross-encoder", pairs=20, base="4-bit")
    assert f"is not worth its 392 ms per query here: {gain:+.3f}" in " ".join(advise([start, always]))


def test_a_cross_encoder_that_gains() -> None:
    said = " ".join(advise(full()))
    assert "The cross-encoder gains 0.056 (p < 0.001) and takes 392 ms more per query" in said
    assert "it keeps 95% of that gain with 40% of the pairs" in said
    alone = [row for row in full() if row.key != "cross-uncertain"]
    assert "uncertain" not in " ".join(advise(alone))
    assert "cross-encoder gains" not in " ".join(advise(without(full(), "4-bit")))


def test_a_gain_that_may_be_chance_is_not_worth_it() -> None:
    start = make_row("4-bit", 0.7, 8, 10, queries=5)
    always = make_row("cross-always", 0.8, 400, 10, "cross-encoder", pairs=20, base="4-bit", queries=5)
    assert "not worth" in " ".join(advise([start, always]))


def test_few_queries_are_mentioned() -> None:
    few = [make_row("4-bit", 0.7, 8, 10, queries=20)]
    assert "rests on 20 judged queries" in advise(few)[-1]
    assert "rests on" not in " ".join(advise(full()))
    wide = make_row("4-bit", 0.7, 8, 10)
    values = {name: np.concatenate([v[:50] + 1, v[50:] - 1]) for name, v in wide.values.items()}
    interval = dataclasses.replace(wide.intervals["nDCG@10"], low=0.5, high=0.9)
    wide = dataclasses.replace(wide, values=values, intervals={**wide.intervals, "nDCG@10": interval})
    assert "0.40 wide" in advise([wide])[-1]
