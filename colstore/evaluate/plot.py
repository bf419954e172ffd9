"""The plot of a comparison: accuracy against latency, with the size of the marks for bytes, in the size of a slide."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colstore.evaluate.advice import amount
from colstore.evaluate.comparison import MAIN, Comparison, Family, Row
from colstore.evaluate.labels import Box, Mark, place
from colstore.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Family, tuple[str, str]] = {  # colours of Okabe and Ito; the shapes tell families apart without colour
    "bm25": ("#000000", "s"),
    "one vector": ("#0072B2", "D"),
    "late interaction": ("#D55E00", "o"),
    "pooled": ("#E69F00", "h"),
    "bm25, then maxsim": ("#009E73", "P"),
    "cross-encoder": ("#CC79A7", "^"),
}
LEGEND: dict[Family, str] = {
    "bm25": "BM25",
    "late interaction": "late interaction (MaxSim)",
    "pooled": "late interaction, pooled",
    "bm25, then maxsim": "BM25, then MaxSim",
}
WIDTH, HEIGHT, DPI = 13.333, 7.5, 120
_TEXT, _SMALL, _TITLE = 14.5, 12.5, 20
_INK, _FAINT = "#222222", "#888888"
_SAMPLES = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)
_LARGEST = 900.0


def draw(comparison: Comparison, title: str = "") -> Figure:
    """Return the plot as a matplotlib figure, without touching pyplot and its state.

    Parameters
    ----------
    comparison
        The comparison to plot.
    title
        Title of the plot; by default it states the numbers of documents and queries.

    Raises
    ------
    MissingDependencyError
        matplotlib is not installed.
    """
    require("matplotlib", extra="plot", purpose="The plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.075, 0.11, 0.9, 0.735))
    rows = sorted(comparison.rows, key=lambda row: -row.bytes_per_document)  # small marks are drawn over large ones
    confidence = float(str(comparison.settings["confidence"]))
    _axes(axes, rows, f"nDCG@10 with its {100 * confidence:g} % interval")
    for row in rows:
        _mark(axes, row, rows[0].bytes_per_document)
    figure.text(0.03, 0.945, title or _title(comparison), fontsize=_TITLE, color=_INK, weight="bold")
    _key(figure, rows)
    _label(figure, axes, rows)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure in the format of the suffix, ``.png`` or ``.svg``; the same figure gives the same bytes."""
    path.write_bytes(_rendered(figure, path.suffix[1:]))


def svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element for an HTML page."""
    text = _rendered(figure, "svg").decode()
    return text[text.index("<svg") :]


def _rendered(figure: Figure, kind: str) -> bytes:
    import matplotlib

    out = io.BytesIO()
    # Letters are stored as outlines, because the reader's machine may lack the font.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "colstore"}):
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()


def _title(comparison: Comparison) -> str:
    return f"Accuracy against latency: {comparison.documents:,} documents, {len(comparison.queries):,} queries"


def _axes(axes: Axes, rows: Sequence[Row], measure: str) -> None:
    axes.set_xscale("log")
    times = [max(row.latency.median, 1e-3) for row in rows]
    axes.set_xlim(min(times) / 2.2, max(times) * 3.2)
    low = min(row.intervals[MAIN].low for row in rows)
    high = max(row.intervals[MAIN].high for row in rows)
    room = 0.06 * max(high - low, 0.02)
    axes.set_ylim(max(0.0, low - room), high + room)
    axes.set_xlabel("milliseconds per query (median, one thread, including encoding)", fontsize=_TEXT)
    axes.set_ylabel(measure, fontsize=_TEXT)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(labelsize=_SMALL, colors=_INK, which="both")
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _mark(axes: Axes, row: Row, largest: float) -> None:
    colour, shape = STYLE[row.family]
    interval = row.intervals[MAIN]
    x = max(row.latency.median, 1e-3)
    axes.vlines(x, interval.low, interval.high, color=colour, linewidth=4, alpha=0.16, zorder=2)
    hollow = row.yardstick
    axes.scatter(
        [x],
        [row.ndcg],
        s=_area(row.bytes_per_document, largest),
        marker=shape,
        alpha=0.85,
        zorder=3,
        facecolors="none" if hollow else colour,
        edgecolors=colour if hollow else "white",
        linewidths=2.0 if hollow else 1.0,
    )


def _area(count: float, largest: float) -> float:
    """Return the area of a mark in square points, by the square root of the bytes, so that no mark hides the others."""
    return max(30.0, _LARGEST * math.sqrt(count / largest)) if largest > 0 else 30.0


def _key(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw the legends of families and sizes above the axes."""
    from matplotlib.lines import Line2D

    present = [family for family in STYLE if any(row.family == family for row in rows)]
    handles = [
        Line2D([], [], linestyle="", marker=STYLE[f][1], color=STYLE[f][0], markersize=10, label=LEGEND.get(f, f))
        for f in present
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.022, 0.915),
        ncols=len(handles),
        frameon=False,
        fontsize=_SMALL,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    largest = max(row.bytes_per_document for row in rows)
    sizes = [count for count in _SAMPLES if count <= largest][-3:]
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markerfacecolor="none",
            markeredgecolor=_FAINT,
            markersize=_area(count, largest) ** 0.5,
            label=amount(count).replace(".0", ""),
        )
        for count in sizes
    ]
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(0.985, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=_SMALL,
        handletextpad=0.6,
        columnspacing=1.6,
        title="size of the mark: bytes per document",
        title_fontsize=_SMALL,
        alignment="right",
    )


def _label(figure: Figure, axes: Axes, rows: Sequence[Row]) -> None:
    """Write the label of each row where there is room, with a line to its mark where the two are apart.

    Places are computed in pixels and stored in inches: an SVG file has another resolution than the canvas.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # every Agg canvas has one
    texts = [
        axes.text(
            0,
            0,
            _short(row),
            fontsize=_TEXT,
            color=_INK,
            transform=figure.dpi_scale_trans,
            va="bottom",
            ha="left",
            zorder=5,
        )
        for row in rows
    ]
    marks = []
    for row, text in zip(rows, texts, strict=True):
        x, y = axes.transData.transform((max(row.latency.median, 1e-3), row.ndcg))
        size = text.get_window_extent(renderer)
        radius = _area(row.bytes_per_document, rows[0].bytes_per_document) ** 0.5 / 2 * DPI / 72
        marks.append(Mark(float(x), float(y), radius, size.width + 4, size.height + 2))
    around = axes.get_window_extent(renderer)
    frame = Box(around.x0 + 4, around.y0 + 4, around.x1, around.y1)
    for text, mark, box in zip(texts, marks, place(marks, frame), strict=True):
        text.set_position(((box.left + 2) / DPI, (box.low + 1) / DPI))
        _leader(figure, axes, mark, box)


def _short(row: Row) -> str:
    """Return the label of a row without what its colour and shape say already."""
    return row.label.removeprefix("MaxSim ")


def _leader(figure: Figure, axes: Axes, mark: Mark, box: Box) -> None:
    """Draw a line from a mark to its label, unless the two are next to each other."""
    from matplotlib.lines import Line2D

    x, y = box.nearest(mark.x, mark.y)
    distance = ((x - mark.x) ** 2 + (y - mark.y) ** 2) ** 0.5
    if distance - mark.radius < 8:
        return
    share = mark.radius / distance
    line = Line2D(
        [(mark.x + share * (x - mark.x)) / DPI, x / DPI],
        [(mark.y + share * (y - mark.y)) / DPI, y / DPI],
        color=_INK,
        linewidth=0.8,
        alpha=0.7,
        transform=figure.dpi_scale_trans,
        zorder=4,
    )
    axes.add_artist(line)
