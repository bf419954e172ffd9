"""The report of a comparison: one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from colstore.errors import ConfigError, MissingDependencyError
from colstore.evaluate.advice import ALPHA, TOLERANCE, amount
from colstore.evaluate.comparison import MAIN, Comparison, Row, dumped
from colstore.evaluate.statistics import randomisation_test

_STYLE = """
:root { --ink: #222; --faint: #666; --line: #ddd; --wash: #f6f6f4; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0 auto; max-width: 1240px;
  padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
.under { color: var(--faint); margin: 0 0 1.4rem; }
.advice { background: var(--wash); border-left: 4px solid #D55E00; padding: .9rem 1.2rem; max-width: 60rem; }
figure { margin: 1.5rem 0; } figure svg { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { vertical-align: bottom; border-bottom: 2px solid var(--ink); }
th:first-child, td:first-child { text-align: left; } td.best { font-weight: 700; }
small, .small { color: var(--faint); font-size: .88rem; } dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.2rem; }
@media print { body { max-width: none; padding: 0; } }
"""


def html_report(comparison: Comparison, picture: str = "") -> str:
    """Return the report as a page without scripts and without anything from elsewhere.

    Parameters
    ----------
    comparison
        What was found.
    picture
        An ``<svg>`` element of the plot; without one, the page says how to get it.
    """
    settings = comparison.settings
    models = [f"model {settings['model']}"]
    models += [f"{what} {settings[key]}" for key, what in _OTHERS if settings.get(key)]
    plot = picture or "<p class=small>No plot: matplotlib is not installed (pip install 'colstore[plot]').</p>"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Which one should I use?</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            "<h1>Which one should I use?</h1>",
            f'<p class="under">{comparison.documents:,} documents ({comparison.tokens:,} token vectors of '
            f"{comparison.dim} components), {len(comparison.queries):,} judged queries; {escape('; '.join(models))}</p>",
            f'<p class="advice">{escape(" ".join(comparison.advice))}</p>',
            f'<figure role="img" aria-label="Accuracy against latency; the table below has the figures">{plot}</figure>',
            f'<h2>Side by side</h2>\n<div class="scroll">{_table(comparison.rows)}</div>',
            _notes(comparison),
            f"<h2>How it was measured</h2>\n{_method(comparison)}",
            "</body>\n</html>\n",
        ]
    )


_OTHERS = (("bi_encoder", "bi-encoder"), ("cross_encoder", "cross-encoder"))


def _table(rows: Sequence[Row]) -> str:
    best = max(rows, key=lambda row: row.ndcg)
    measures = list(rows[0].intervals)
    heads = ["way", MAIN, "interval", "p against the best", *measures[1:]]
    heads += [
        "ms, median",
        "ms, p95",
        "of it encoding",
        "build, s",
        "bytes a document",
        "pairs read",
        "same 10 as exact",
    ]
    lines = [
        "<table>",
        "<thead><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr></thead>",
        "<tbody>",
    ]
    for row in rows:
        cells = [escape(row.label), *_figures(row, best, measures)]
        marks = ['<td class="best">' if row is best and i < 2 else "<td>" for i in range(len(cells))]
        lines.append("<tr>" + "".join(f"{mark}{cell}</td>" for mark, cell in zip(marks, cells, strict=True)) + "</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def _figures(row: Row, best: Row, measures: Sequence[str]) -> Iterable[str]:
    interval = row.intervals[MAIN]
    p = randomisation_test(row.values[MAIN], best.values[MAIN])
    yield f"{interval.mean:.4f}"
    yield f"{interval.low:.3f} to {interval.high:.3f}"
    yield "" if row is best else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
    yield from (f"{row.intervals[name].mean:.4f}" for name in measures[1:])
    yield from (f"{value:.2f}" for value in (row.latency.median, row.latency.p95, row.latency.encode))
    yield f"{row.build_seconds + row.encode_seconds:,.1f}"
    yield escape(amount(row.bytes_per_document))
    yield f"{row.pairs:.1f}" if row.pairs else ""
    yield "" if row.agreement is None else f"{row.agreement:.3f}"


def _notes(comparison: Comparison) -> str:
    notes = [*comparison.coverage.notes(), *comparison.notes]
    if not notes:
        return ""
    return "<h2>To know</h2>\n<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _method(comparison: Comparison) -> str:
    settings = comparison.settings
    machine = settings["machine"]
    assert isinstance(machine, dict)  # as compare writes it
    versions = machine["versions"]
    assert isinstance(versions, dict)
    said = [
        (
            "Accuracy",
            f"Means over the judged queries, of {settings['k']} hits each, by ir-measures. Intervals: "
            f"percentile bootstrap over queries ({settings['samples']:,} draws, confidence {settings['confidence']}). "
            f"P-values: paired two-sided randomisation test on {MAIN}, one pair at a time, without correction for their "
            "number.",
        ),
        (
            "Time",
            "Each query by itself, on one thread, from the question to the ranked ids, after one that is not "
            "counted; median and 95th percentile over the queries. Encoding the question is part of it where the way "
            "needs vectors and the questions were texts.",
        ),
        (
            "Build",
            "Encoding the documents (measured once, counted for each way that needs it; nothing where vectors "
            "came with the documents), and building what is searched.",
        ),
        ("Bytes", "Of what is searched: vectors, codes and lookup. Not the texts, their metadata, or models."),
        ("MaxSim float32", "Exact late interaction over uncompressed vectors, block by block; a yardstick."),
        (
            "One vector",
            "Cosine in a flat FAISS index: "
            + (
                "the bi-encoder's own vectors."
                if settings["bi_encoder"]
                else "means of the same model's token vectors."
            ),
        ),
        ("Pooled", f"Token pooling (Ward) before {settings['main_bits']}-bit codes: about one vector in 2, in 3."),
        (
            "BM25, then MaxSim",
            f"BM25's first {settings['candidates']}, put in order by MaxSim on {settings['main_bits']}-bit codes.",
        ),
        (
            "Cross-encoder",
            f"Over MaxSim's first {settings['read']}: always, or only where MaxSim is uncertain, by a "
            "threshold found on the other half of the queries.",
        ),
        (
            "Advice",
            f"By rules: 'as good as' is at most {TOLERANCE} nDCG@10 below, 'worse' is more than that with p "
            f"below {ALPHA}. See the documentation of colstore.evaluate.advice.",
        ),
        (
            "Machine",
            f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; "
            + ", ".join(f"{name} {number}" for name, number in versions.items())
            + f"; seed {settings['seed']}",
        ),
    ]
    return "<dl>" + "".join(f"<dt>{escape(head)}</dt><dd>{escape(str(text))}</dd>" for head, text in said) + "</dl>"


NAMES = ("table.csv", "comparison.json", "plot.png", "plot.svg", "report.html")
RUNS = "runs"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds what would be written: before a long comparison, not after it.

    Raises
    ------
    ConfigError
        The path is a file, or such files are there.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file: name a folder for the report")
    taken = [name for name in (*NAMES, RUNS) if (folder / name).exists()]
    if taken and not overwrite:
        raise ConfigError(f"{folder}: holds {taken[0]} already: name another folder, or overwrite it (--overwrite)")


def save_comparison(
    comparison: Comparison, folder: str | Path, *, runs: bool = False, overwrite: bool = False
) -> list[str]:
    """Write ``table.csv``, ``comparison.json``, ``plot.png``, ``plot.svg`` and ``report.html``.

    Parameters
    ----------
    comparison
        What :func:`colstore.compare` returned.
    folder
        Made where it is not there.
    runs
        Write the rankings, too, as ``runs/<row>.trec``.
    overwrite
        Replace files of these names.

    Returns
    -------
    list of str
        What could not be written, and why: without matplotlib there is no plot.
    """
    folder, notes, picture = Path(folder), list[str](), ""
    check_folder(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        from colstore.evaluate.plot import draw, save, svg

        figure = draw(comparison)
        picture = svg(figure)
        save(figure, folder / "plot.png")
        save(figure, folder / "plot.svg")
    except MissingDependencyError as error:
        notes.append(f"there is no plot: {error}")
    (folder / "table.csv").write_text(comparison.to_csv(), encoding="utf-8", newline="")
    (folder / "comparison.json").write_text(dumped(comparison), encoding="utf-8")
    (folder / "report.html").write_text(html_report(comparison, picture), encoding="utf-8")
    if runs:
        comparison.save_runs(folder / RUNS)
    return notes
