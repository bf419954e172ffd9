"""Plain advice from the figures of a comparison, by rules that are written down and nothing else.

Words that the rules use, all about mean nDCG@10 over the same queries:

- *as good as*: at most 0.01 below (:data:`TOLERANCE`);
- *worse*: more than 0.01 below, with p < 0.05 in the paired randomisation test (:data:`ALPHA`);
- *undecided*: more than 0.01 below, but p is 0.05 or more: so few queries cannot tell.

Rules, in the order of the sentences:

1. **Choice.** Of the ways that are as good as the best one, take the fastest (median), and of those at most a quarter
   slower than that, the one with the fewest bytes a document. Yardsticks (exact float32) are never chosen.
2. **Cheaper ways.** Say of BM25 and of one averaged vector whether they are as good as, worse than or undecided
   against the choice.
3. **Bytes.** Of late interaction at each codec and pool factor, name the smallest that is as good as exact float32
   (or as the widest codec, where that was left out), and the first smaller one that is not.
4. **Cross-encoder.** It is worth its time where it gains more than 0.01 with p < 0.05 over the MaxSim ranking it
   starts from. Say what ``uncertain`` keeps of the gain and of the pairs.
5. **How sure.** With fewer than 50 queries, or an interval wider than 0.1, say so.

P-values are of single pairs, without a correction for how many pairs there are: a guide, no proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from colstore.evaluate.comparison import MAIN, Row
from colstore.evaluate.statistics import randomisation_test

TOLERANCE = 0.01
ALPHA = 0.05
NEAR = 1.25
"""Times the latency of the fastest: closer ones go by bytes."""
FEW_QUERIES = 50
WIDE = 0.1

Verdict = Literal["as good as", "worse than", "undecided"]


def verdict(row: Row, other: Row, *, seed: int = 0) -> tuple[Verdict, float, float]:
    """Return how a row stands against another, by how much it is below, and the p-value of the difference."""
    below = other.ndcg - row.ndcg
    p = randomisation_test(row.values[MAIN], other.values[MAIN], seed=seed)
    if below <= TOLERANCE:
        return "as good as", below, p
    return ("worse than" if p < ALPHA else "undecided"), below, p


def advise(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return a paragraph, sentence by sentence; see the rules above. Pure: the same rows, the same words.

    Parameters
    ----------
    rows
        Of a comparison; those that were left out simply are not there.
    """
    runnable = [row for row in rows if not row.yardstick]
    if not runnable:
        return ()
    choice, sentence = _choice(rows, runnable)
    sentences = [sentence]
    best = max(rows, key=lambda row: row.ndcg)
    sentences += [_cheaper(row, choice, best) for row in runnable if row.key in ("bm25", "mean") and row is not choice]
    sentences += _bytes(rows) + _cross_encoder(rows) + _how_sure(choice)
    return tuple(sentences)


def choose(rows: Sequence[Row]) -> Row:
    """Return the row of rule 1."""
    best = max(rows, key=lambda row: row.ndcg)
    runnable = [row for row in rows if not row.yardstick]
    good = [row for row in runnable if best.ndcg - row.ndcg <= TOLERANCE] or [max(runnable, key=lambda row: row.ndcg)]
    fastest = min(row.latency.median for row in good)
    near = [row for row in good if row.latency.median <= NEAR * fastest]
    return min(near, key=lambda row: (row.bytes_per_document, row.latency.median))


def _choice(rows: Sequence[Row], runnable: Sequence[Row]) -> tuple[Row, str]:
    best, choice = max(rows, key=lambda row: row.ndcg), choose(rows)
    good = sum(best.ndcg - row.ndcg <= TOLERANCE for row in runnable)
    interval = choice.intervals[MAIN]
    figures = (
        f"nDCG@10 {choice.ndcg:.3f} ({interval.low:.3f} to {interval.high:.3f}), {brief(choice.latency.median)} ms a "
        f"query, {amount(choice.bytes_per_document)} a document"
    )
    if best is choice:
        why = (
            "Nothing else comes near its accuracy."
            if good == 1
            else "It is the most accurate, and no as good one is much faster."
        )
    elif best.ndcg - choice.ndcg > TOLERANCE:
        why = f"Only the yardstick {best.label} is more accurate ({best.ndcg:.3f})."
    else:
        why = (
            f"It is within {TOLERANCE} of the most accurate ({best.label}, {best.ndcg:.3f}), and the fastest such way, "
            f"or the smallest of those nearly as fast."
        )
    return choice, f"Use {choice.label}: {figures}. {why}"


def _cheaper(row: Row, choice: Row, best: Row) -> str:
    name = "BM25 alone" if row.key == "bm25" else "One vector a document"
    how, below, p = verdict(row, choice)
    if how == "as good as":
        near = best.ndcg - row.ndcg <= TOLERANCE
        but = "but slower or larger" if near else f"but more than {TOLERANCE} below the most accurate"
        return f"{name} is as good as that ({row.ndcg:.3f}), {but}."
    if how == "worse than":
        return f"{name} is worse ({row.ndcg:.3f}, {below:.3f} below; {told(p)})."
    return (
        f"{name} came out {below:.3f} lower ({row.ndcg:.3f}), which these queries cannot tell from chance "
        f"({told(p)}): judge more before paying for the difference."
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
    held = [row for row in smaller if verdict(row, widest)[0] == "as good as"]
    if not held:
        return [f"Every codec loses more than {TOLERANCE} against {widest.label} here."]
    smallest = held[-1]
    times = widest.bytes_per_document / smallest.bytes_per_document
    sentence = (
        f"The smallest form of late interaction that keeps its accuracy is {smallest.label}: "
        f"{amount(smallest.bytes_per_document)} a document instead of {amount(widest.bytes_per_document)} "
        f"({brief(times)} times less)"
    )
    lost = [row for row in smaller if row.bytes_per_document < smallest.bytes_per_document]
    if lost:
        sentence += f"; {lost[0].label} loses {widest.ndcg - lost[0].ndcg:.3f}"
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
        return [f"The cross-encoder is not worth its {brief(cost)} ms a query here: {gain:+.3f} ({told(p)})."]
    sentence = f"The cross-encoder gains {gain:.3f} ({told(p)}) for {brief(cost)} ms a query more"
    if uncertain is not None and always.pairs:
        kept, pairs = (uncertain.ndcg - start.ndcg) / gain, uncertain.pairs / always.pairs
        sentence += f"; only where MaxSim is uncertain, it keeps {kept:.0%} of that gain with {pairs:.0%} of the pairs"
    return [sentence + "."]


def _how_sure(choice: Row) -> list[str]:
    queries, interval = len(choice.values[MAIN]), choice.intervals[MAIN]
    width = interval.high - interval.low
    if queries >= FEW_QUERIES and width <= WIDE:
        return []
    return [
        f"All of this rests on {queries:,} judged {'query' if queries == 1 else 'queries'}, and the interval of the "
        f"choice is {width:.2f} wide: take small differences lightly."
    ]


def told(p: float) -> str:
    """Return a p-value for people.

    >>> told(0.0312), told(0.00001)
    ('p = 0.03', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def brief(milliseconds: float) -> str:
    """Return a number with two or three digits that matter, and no exponent.

    >>> brief(0.123), brief(7.84), brief(391.6)
    ('0.12', '7.8', '392')
    """
    digits = 0 if abs(milliseconds) >= 10 else 1 if abs(milliseconds) >= 1 else 2
    return f"{milliseconds:.{digits}f}"


def amount(count: float) -> str:
    """Return bytes for people, in steps of 1,000.

    >>> amount(812), amount(12_345), amount(3_600_000)
    ('812 bytes', '12.3 kB', '3.6 MB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    return f"{count / 1000:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
