"""Places labels beside the marks of a plot so that no label covers another label or a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ANGLES = 24
GAPS = (4.0, 12.0, 24.0, 40.0, 60.0, 85.0, 115.0, 150.0, 190.0, 235.0, 280.0)
"""Distances between label and mark that are tried."""
STARTS, ROUNDS = 10, 8
"""Number of orders in which labels choose their places, and how often each label may choose again."""
_CLASH, _CROSSING, _TOUCHING = 5000.0, 400.0, 250.0
_STEPS = np.linspace(0.0, 1.0, 24)[None, :, None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A round mark and the size of its label, all in pixels.

    Parameters
    ----------
    x, y, radius
        Centre and radius of the mark.
    width, height
        Size of the label.
    """

    x: float
    y: float
    radius: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its lower left corner, then its upper right one."""

    left: float
    low: float
    right: float
    high: float

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to the point ``(x, y)``."""
        return min(max(x, self.left), self.right), min(max(y, self.low), self.high)


def place(marks: Sequence[Mark], frame: Box) -> list[Box]:
    """Return a place for the label of each mark.

    The places around each mark are tried. Labels choose one after the other, repeatedly as long as something improves,
    and in several orders; the outcome with the lowest cost is returned. An overlap with a label or a mark costs far
    more than any distance, so that one remains only where there is no room. A line from a label to its mark that
    crosses others costs less, and distance costs least. The result is deterministic.

    Parameters
    ----------
    marks
        The marks, with the sizes of their labels.
    frame
        The area that the labels must stay in, if they fit.

    Returns
    -------
    list of Box
        The place of each label, in the order of the marks.

    Examples
    --------
    >>> place([Mark(50, 50, 5, 20, 10)], Box(0, 0, 100, 100))
    [Box(left=59.0, low=45.0, right=79.0, high=55.0)]
    """
    if not marks:
        return []
    around = np.array([(m.x - m.radius, m.y - m.radius, m.x + m.radius, m.y + m.radius) for m in marks])
    choices = [_Choices.of(i, mark, frame, around) for i, mark in enumerate(marks)]
    generator = np.random.default_rng(0)
    outcomes = [_placed(choices, generator.permutation(len(marks))) for _ in range(STARTS)]
    _, picked = min(outcomes, key=lambda outcome: outcome[0])
    return [Box(*map(float, choice.boxes[place])) for choice, place in zip(choices, picked, strict=True)]


@dataclass(frozen=True, slots=True)
class _Choices:
    """Candidate places of one label: ``boxes`` (c, 4), the cost of each (c,), and points on its line (c, 24, 2)."""

    boxes: Floats
    costs: Floats
    lines: Floats

    @classmethod
    def of(cls, i: int, mark: Mark, frame: Box, around: Floats) -> _Choices:
        """Return the places of the label of mark ``i``; ``around`` (marks, 4) holds the bounds of all marks."""
        gaps = np.repeat(GAPS, ANGLES)
        angles = np.tile(np.arange(ANGLES) * 2 * np.pi / ANGLES, len(GAPS))
        cos, sin = np.cos(angles), np.sin(angles)
        left = mark.x + (mark.radius + gaps) * cos - mark.width * (1 - cos) / 2
        low = mark.y + (mark.radius + gaps) * sin - mark.height * (1 - sin) / 2
        boxes = np.stack([left, low, left + mark.width, low + mark.height], axis=1)
        costs = gaps - 2 * cos  # of two equally near places, prefer the right one
        low_end, high_end = [frame.left, frame.low], [frame.right, frame.high]
        inside = np.all((boxes[:, :2] >= low_end) & (boxes[:, 2:] <= high_end), axis=1)
        inside = inside if np.any(inside) else np.arange(len(boxes)) == 0
        boxes, costs = boxes[inside], costs[inside]
        lines = _lines(mark, boxes)
        others = np.delete(around, i, axis=0)
        clashes = _shared(boxes, around)
        costs = costs + _CLASH * (clashes > 0).sum(1) + clashes.sum(1) + _TOUCHING * _crossing(lines, others).sum(1)
        return cls(boxes, costs, lines)


def _placed(choices: Sequence[_Choices], order: NDArray[np.int64]) -> tuple[float, list[int]]:
    """Let the labels choose in this order; return the total cost and the place that each label chose."""
    picked = [int(np.argmin(choice.costs)) for choice in choices]
    for _ in range(ROUNDS):
        before = list(picked)
        for i in order:
            picked[i] = int(np.argmin(_costs(choices, picked, int(i))))
        if picked == before:
            break
    return sum(float(_costs(choices, picked, i)[picked[i]]) for i in range(len(choices))), picked


def _costs(choices: Sequence[_Choices], picked: Sequence[int], i: int) -> Floats:
    """Return the cost of each place of label ``i``, given the present places of the others: ``(c,)``."""
    own = choices[i]
    rest = [j for j in range(len(choices)) if j != i]
    if not rest:
        return own.costs
    boxes = np.stack([choices[j].boxes[picked[j]] for j in rest])
    lines = np.stack([choices[j].lines[picked[j]] for j in rest])
    shared = _shared(own.boxes, boxes)
    crossed = _crossing(own.lines, boxes).sum(1) + _crossing(lines, own.boxes).sum(0)
    met = _meeting(own.lines[:, [0, -1]], lines[:, [0, -1]]).sum(1)
    return np.asarray(own.costs + _CLASH * (shared > 0).sum(1) + shared.sum(1) + _CROSSING * crossed + _TOUCHING * met)


def _meeting(segments: Floats, others: Floats) -> NDArray[np.bool_]:
    """Tell which line segments ``(a, 2, 2)`` cross which others ``(b, 2, 2)``: ``(a, b)``."""

    def side(origin: Floats, end: Floats, point: Floats) -> Floats:
        along, to = end - origin, point - origin
        return np.asarray(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    start, end = segments[:, None, 0], segments[:, None, 1]
    first, last = others[None, :, 0], others[None, :, 1]
    apart = side(start, end, first) * side(start, end, last) < 0
    return np.asarray(apart & (side(first, last, start) * side(first, last, end) < 0))


def _shared(boxes: Floats, others: Floats) -> Floats:
    """Return the areas that boxes ``(a, 4)`` share with boxes ``(b, 4)``: ``(a, b)``."""
    wide = np.minimum(boxes[:, None, 2], others[:, 2]) - np.maximum(boxes[:, None, 0], others[:, 0])
    tall = np.minimum(boxes[:, None, 3], others[:, 3]) - np.maximum(boxes[:, None, 1], others[:, 1])
    return np.asarray(np.maximum(wide, 0) * np.maximum(tall, 0))


def _crossing(lines: Floats, boxes: Floats) -> NDArray[np.bool_]:
    """Tell which lines ``(a, steps, 2)`` cross which boxes ``(b, 4)``: ``(a, b)``."""
    x, y = lines[:, :, None, 0], lines[:, :, None, 1]
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    return np.asarray(inside.any(axis=1))


def _lines(mark: Mark, boxes: Floats) -> Floats:
    """Return points on the line from a mark's edge to the nearest point of each box: ``(c, steps, 2)``."""
    centre = np.array([mark.x, mark.y])
    nearest = np.clip(centre, boxes[:, :2], boxes[:, 2:])
    whole = np.linalg.norm(nearest - centre, axis=1)
    start = np.minimum(1.0, mark.radius / np.maximum(whole, 1e-9))[:, None, None]
    return np.asarray(centre + (start + (1 - start) * _STEPS) * (nearest - centre)[:, None, :])
