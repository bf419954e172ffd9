"""The plot: labels that can be read, the same bytes every time, files that are what they say."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.errors import MissingDependencyError
from colstore.evaluate.labels import Box, Mark, place
from colstore.evaluate.plot import DPI, HEIGHT, STYLE, WIDTH, draw, save, svg
from tests.evaluate.rows import compared, comparison, full, make_row


def overlap(one: Box, other: Box) -> bool:
    wide = min(one.right, other.right) - max(one.left, other.left)
    tall = min(one.high, other.high) - max(one.low, other.low)
    return wide > 0 and tall > 0


def crowd(seed: int) -> list[Mark]:
    """Return 13 marks, most of them close together, as codecs are."""
    generator = np.random.default_rng(seed)
    near = generator.normal([700, 400], [60, 25], (9, 2))
    far = generator.uniform([100, 100], [1100, 600], (4, 2))
    return [
        Mark(float(x), float(y), float(r), 120, 22)
        for (x, y), r in zip(np.concatenate([near, far]), generator.uniform(5, 18, 13), strict=True)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_labels_overlap_neither_labels_nor_marks_and_stay_inside(seed: int) -> None:
    marks, frame = crowd(seed), Box(0, 0, 1300, 700)
    boxes = place(marks, frame)
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert frame.left <= box.left
        assert box.right <= frame.right
        assert frame.low <= box.low
        assert box.high <= frame.high
        for mark in marks:
            around = Box(mark.x - mark.radius, mark.y - mark.radius, mark.x + mark.radius, mark.y + mark.radius)
            assert not overlap(box, around)


def test_a_lonely_label_stands_next_to_its_mark() -> None:
    (box,) = place([Mark(100, 100, 10, 50, 20)], Box(0, 0, 400, 400))
    x, y = box.nearest(100, 100)
    assert np.hypot(x - 100, y - 100) <= 10 + 5


def test_labels_that_cannot_fit_are_placed_all_the_same() -> None:
    assert len(place([Mark(5, 5, 2, 500, 20)], Box(0, 0, 10, 10))) == 1
    assert place([], Box(0, 0, 1, 1)) == []


def test_placing_is_deterministic() -> None:
    frame = Box(0, 0, 1300, 700)
    assert place(crowd(1), frame) == place(crowd(1), frame)


@pytest.fixture(scope="module")
def figure() -> Any:
    return draw(comparison())


def test_every_row_has_its_label_and_none_overlap(figure: Any) -> None:
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    texts = [text for text in axes.texts if text.get_text()]
    assert {text.get_text() for text in texts} >= {"BM25", "float32", "4 bits", "4 bits, pooled 2"}
    assert len(texts) == len(full())
    boxes = [text.get_window_extent(renderer) for text in texts]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    assert min(text.get_fontsize() for text in texts) >= 12  # at 13.3 inches: legible on a slide


def test_files_are_what_they_say_and_always_the_same(figure: Any, tmp_path: Path) -> None:
    save(figure, tmp_path / "a.png")
    save(figure, tmp_path / "a.svg")
    png = (tmp_path / "a.png").read_bytes()
    assert int.from_bytes(png[16:20], "big") in range(round(WIDTH * DPI) - 2, round(WIDTH * DPI) + 3)
    assert int.from_bytes(png[20:24], "big") == round(HEIGHT * DPI)
    assert (tmp_path / "a.svg").read_text().count("<svg") == 1
    save(draw(comparison()), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert svg(figure).startswith("<svg")


def test_labels_and_lines_keep_their_places_at_other_resolutions() -> None:
    """An SVG file is drawn at 72 dots per inch, whatever the resolution at which the labels were placed."""
    figure = draw(comparison())
    (axes,) = figure.axes

    def in_inches(dpi: float) -> tuple[Any, Any]:
        figure.dpi = dpi
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # every Agg canvas has one
        labels = np.array([text.get_window_extent(renderer).p0 for text in axes.texts]) / dpi
        lines = np.array([line.get_transform().transform(line.get_xydata()) for line in axes.lines]) / dpi
        return labels, lines

    for at_canvas, at_svg in zip(in_inches(DPI), in_inches(72), strict=True):
        assert len(at_canvas) > 0
        np.testing.assert_allclose(at_svg, at_canvas, atol=0.05)


def test_families_differ_in_colour_and_in_shape() -> None:
    assert len({colour for colour, _ in STYLE.values()}) == len(STYLE)
    assert len({shape for _, shape in STYLE.values()}) == len(STYLE)


def test_one_row_and_equal_rows_can_be_drawn() -> None:
    for rows in ([make_row("4-bit", 0.0, 0.0, 0.0, spread=0.0)], [make_row("a", 0.5, 1, 1), make_row("b", 0.5, 1, 1)]):
        drawn = svg(draw(compared(rows)))
        assert all(row.label in drawn for row in rows)


def test_matplotlibs_settings_are_left_alone(figure: Any) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg(figure)
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[plot\]'"):
        draw(comparison())
