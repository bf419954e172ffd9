"""Advice in prose, derived from the results of a comparison by the fixed rules below.

The rules compare the mean nDCG@10 of two systems over the same queries and use these terms:

- *as good as*: at most 0.01 below (:data:`TOLERANCE`);
- *worse*: more than 0.01 below, with p < 0.05 in the paired randomisation test (:data:`ALPHA`);
- *undecided*: more than 0.01 below, with p of 0.05 or more, so that there are too few queries to decide.

The rules, in the order of the sentences:

1. **Choice.** Take the systems that are as good as the best one. Among them, find the one with the lowest median
   latency, and those that take at most a quarter longer; choose the one with the fewest bytes per document. References
   (exact float32) are never chosen.
2. **Cheaper systems.** State for BM25 and for one vector per document whether they are as good as the choice, worse,
   or undecided.
3. **Bytes.** Among late interaction at all codecs and pool factors, name the smallest index that is as good as exact
   float32 (or as the widest codec if that row was left out), and the next smaller one, which is not.
4. **Cross-encoder.** It is worth its time if it gains more than 0.01 with p < 0.05 over the MaxSim ranking that it
   reranks. State which share of the gain and of the pairs ``uncertain`` keeps.
5. **Certainty.** Point out fewer than 50 queries, or an interval wider than 0.1.

The p-values belong to single pairs and are not corrected for the number of pairs: they are a guide, not a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from colstore.evaluate.comparison import MAIN, Row
from colstore.evaluate.statistics import randomisation_test

TOLERANCE = 0.01
"""Difference in mean nDCG@10 up to which systems count as equally good."""
ALPHA = 0.05
"""P-value below which a difference counts as significant."""
NEAR = 1.25
"""Multiple of the lowest latency up to which systems count as equally fast."""
FEW_QUERIES = 50
"""Number of queries below which the advice warns of chance."""
WIDE = 0.1
"""Width of the interval above which the advice warns of chance."""

Verdict = Literal["as good as", "worse than", "undecided"]


def verdict(row: Row, other: Row, *, seed: int = 0) -> tuple[Verdict, float, float]:
    """Return how a row compares with another one, how far it is below in mean nDCG@10, and the p-value of that."""
    below = other.ndcg - row.ndcg
    p = randomisation_test(row.values[MAIN], other.values[MAIN], seed=seed)
    if below <= TOLERANCE:
        return "as good as", below, p
    return ("worse than" if p < ALPHA else "undecided"), below, p


def advise(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the advice, one sentence each; see the rules above. The same rows give the same sentences.

    Parameters
    ----------
    rows
        The rows of a comparison, any of which may be missing.
    """
    runnable = [row for row in rows if not row.yardstick]
    if not runnable:
        return ()
    choice = choose(rows)
    sentences = [_choice(choice, rows, runnable)]
    best = max(rows, key=lambda row: row.ndcg)
    sentences += [_cheaper(row, choice, best) for row in runnable if row.key in ("bm25", "mean") and row is not choice]
    sentences += _bytes(rows) + _cross_encoder(rows) + _certainty(choice)
    return tuple(sentences)


def choose(rows: Sequence[Row]) -> Row:
    """Return the row that rule 1 chooses. At least one row must not be a reference."""
    best = max(rows, key=lambda row: row.ndcg)
    runnable = [row for row in rows if not row.yardstick]
    good = _as_good_as(best, runnable) or [max(runnable, key=lambda row: row.ndcg)]
    fastest = min(row.latency.median for row in good)
    near = [row for row in good if row.latency.median <= NEAR * fastest]
    return min(near, key=lambda row: (row.bytes_per_document, row.latency.median))


def _as_good_as(best: Row, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if best.ndcg - row.ndcg <= TOLERANCE]


def _choice(choice: Row, rows: Sequence[Row], runnable: Sequence[Row]) -> str:
    interval = choice.intervals[MAIN]
    return (
        f"Use {choice.label}: nDCG@10 {choice.ndcg:.3f} ({interval.low:.3f} to {interval.high:.3f}), "
        f"{short_number(choice.latency.median)} ms per query, {amount(choice.bytes_per_document)} per document. "
        f"{_reason(choice, rows, runnable)}"
    )


def _reason(choice: Row, rows: Sequence[Row], runnable: Sequence[Row]) -> str:
    """Return the sentence that says why rule 1 chose this row."""
    best = max(rows, key=lambda row: row.ndcg)
    good = _as_good_as(best, runnable)
    if best is choice and len(good) == 1:
        return "Nothing else comes near its accuracy."
    if best is choice:
        return "It is the most accurate, and nothing comparable is much faster."
    if best.ndcg - choice.ndcg > TOLERANCE:
        return f"Only the reference {best.label} is more accurate ({best.ndcg:.3f})."
    accuracy = f"It is within {TOLERANCE} of the most accurate ({best.label}, {best.ndcg:.3f})"
    if choice.latency.median == min(row.latency.median for row in good):
        return f"{accuracy}, and the fastest of those that are."
    return f"{accuracy}, and the smallest of those that are nearly as fast as the fastest."


def _cheaper(row: Row, choice: Row, best: Row) -> str:
    name = "BM25 alone" if row.key == "bm25" else "One vector per document"
    how, below, p = verdict(row, choice)
    if how == "as good as":
        near = best.ndcg - row.ndcg <= TOLERANCE
        but = "but slower or larger" if near else f"but more than {TOLERANCE} below the most accurate system"
        return f"{name} is as good as that ({row.ndcg:.3f}), {but}."
    if how == "worse than":
        return f"{name} is worse ({row.ndcg:.3f}, {below:.3f} below; {p_value(p)})."
    return (
        f"{name} scored {below:.3f} lower ({row.ndcg:.3f}), which may be due to chance ({p_value(p)}): judge more "
        "queries before paying for the difference."
    )


def _bytes(rows: Sequence[Row]) -> list[str]:
    late = [row for row in rows if row.family in ("late interaction", "pooled")]
    if len(late) < 2:
        return []
    late.sort(key=lambda row: -row.bytes_per_document)
    widest = next((row for row in late if row.yardstick), late[0])
    smaller = [row for row in late if row.bytes_per_document < widest.bytes_per_document]
    if not smaller:
        return []
    equal = [row for row in smaller if verdict(row, widest)[0] == "as good as"]
    if not equal:
        return [f"Every codec loses more than {TOLERANCE} compared with {widest.label} here."]
    smallest = equal[-1]
    times = widest.bytes_per_document / smallest.bytes_per_document
    sentence = (
        f"The smallest index for late interaction that keeps the accuracy is {smallest.label}: "
        f"{amount(smallest.bytes_per_document)} per document instead of {amount(widest.bytes_per_document)} "
        f"({short_number(times)} times less)"
    )
    worse = [row for row in smaller if row.bytes_per_document < smallest.bytes_per_document]
    if worse:
        sentence += f"; {worse[0].label} loses {widest.ndcg - worse[0].ndcg:.3f}"
    return [sentence + "."]


def _cross_encoder(rows: Sequence[Row]) -> list[str]:
    by_key = {row.key: row for row in rows}
    always, uncertain = by_key.get("cross-always"), by_key.get("cross-uncertain")
    start = None if always is None else by_key.get(always.base)
    if always is None or start is None:
        return []
    gain = always.ndcg - start.ndcg
    p = randomisation_test(always.values[MAIN], start.values[MAIN])
    cost = always.latency.median - start.latency.median
    if gain <= TOLERANCE or p >= ALPHA:
        return [
            f"The cross-encoder is not worth its {short_number(cost)} ms per query here: {gain:+.3f} ({p_value(p)})."
        ]
    sentence = f"The cross-encoder gains {gain:.3f} ({p_value(p)}) and takes {short_number(cost)} ms more per query"
    if uncertain is not None and always.pairs:
        share, pairs = (uncertain.ndcg - start.ndcg) / gain, uncertain.pairs / always.pairs
        sentence += (
            f"; used only where MaxSim is uncertain, it keeps {share:.0%} of that gain with {pairs:.0%} of the pairs"
        )
    return [sentence + "."]


def _certainty(choice: Row) -> list[str]:
    queries, interval = len(choice.values[MAIN]), choice.intervals[MAIN]
    width = interval.high - interval.low
    if queries >= FEW_QUERIES and width <= WIDE:
        return []
    return [
        f"All of this rests on {queries:,} judged {'query' if queries == 1 else 'queries'}, and the interval of the "
        f"chosen system is {width:.2f} wide: small differences mean little."
    ]


def p_value(p: float) -> str:
    """Return a p-value as text.

    >>> p_value(0.0312), p_value(0.00001)
    ('p = 0.03', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def short_number(number: float) -> str:
    """Return a number with two or three significant digits and without an exponent.

    >>> short_number(0.123), short_number(7.84), short_number(391.6)
    ('0.12', '7.8', '392')
    """
    digits = 0 if abs(number) >= 10 else 1 if abs(number) >= 1 else 2
    return f"{number:.{digits}f}"


def amount(count: float) -> str:
    """Return a number of bytes as text, in units of 1,000.

    >>> amount(812), amount(12_345), amount(3_600_000)
    ('812 bytes', '12.3 kB', '3.6 MB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    return f"{count / 1000:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
