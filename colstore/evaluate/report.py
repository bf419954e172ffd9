"""The report of a comparison: a self-contained HTML page, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from colstore.errors import ConfigError, MissingDependencyError
from colstore.evaluate.advice import ALPHA, TOLERANCE, amount
from colstore.evaluate.comparison import MAIN, Comparison, Row, as_json_text
from colstore.evaluate.statistics import randomisation_test
from colstore.extras import install_command

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
    """Return the report as an HTML page without scripts and external resources.

    Parameters
    ----------
    comparison
        The comparison to report.
    picture
        The plot as an ``<svg>`` element; without one, the page says how to get it.
    """
    settings = comparison.settings
    models = [f"model {settings['model']}"]
    models += [f"{what} {settings[key]}" for key, what in _OTHERS if settings.get(key)]
    queries = f"{len(comparison.queries):,} judged queries; {escape('; '.join(models))}"
    label = "Accuracy against latency; the table below has the same figures"
    plot = picture or f"<p class=small>No plot: matplotlib is not installed ({install_command('plot')}).</p>"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Which one should I use?</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            "<h1>Which one should I use?</h1>",
            f'<p class="under">{comparison.documents:,} documents ({comparison.tokens:,} token vectors of '
            f"{comparison.dim} components), {queries}</p>",
            f'<p class="advice">{escape(" ".join(comparison.advice))}</p>',
            f'<figure role="img" aria-label="{label}">{plot}</figure>',
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
    heads = ["system", MAIN, "interval", "p against the best", *measures[1:]]
    heads += [
        "ms, median",
        "ms, p95",
        "ms, encoding",
        "build, s",
        "per document",
        "pairs per query",
        "agreement with exact",
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
    return "<h2>Notes</h2>\n<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _method(comparison: Comparison) -> str:
    settings = comparison.settings
    machine = settings["machine"]
    assert isinstance(machine, dict)  # compare writes it
    versions = machine["versions"]
    assert isinstance(versions, dict)
    entries = [
        (
            "Accuracy",
            f"Means over the judged queries with {settings['k']} hits each, computed by ir-measures. The intervals are "
            f"percentile bootstrap intervals over queries ({settings['samples']:,} samples, confidence "
            f"{settings['confidence']}). The p-values are from paired two-sided randomisation tests on {MAIN}, without "
            "correction for the number of tests.",
        ),
        (
            "Time",
            "Each query is timed on its own, on one thread, from the query to the ranked ids, after a first search "
            "that is not timed. The table shows the median and the 95th percentile over queries. Encoding the query is "
            "included where a system needs vectors and the queries are texts.",
        ),
        (
            "Build",
            "The time of encoding the documents and of building the index. Encoding is measured once and counted for "
            "each system that needs it; it is 0 where the documents brought vectors.",
        ),
        (
            "Bytes",
            "Everything that is searched: vectors, codes and search structures; not texts, metadata and models.",
        ),
        (
            "MaxSim float32",
            "Exact late interaction over uncompressed vectors, block by block: a reference, too slow to use.",
        ),
        (
            "One vector",
            "Cosine in a flat FAISS index: "
            + (
                "the bi-encoder's own vectors."
                if settings["bi_encoder"]
                else "means of the same model's token vectors."
            ),
        ),
        (
            "Pooled",
            f"Token pooling (Ward) keeps about one vector in 2 or 3, stored in {settings['main_bits']}-bit codes.",
        ),
        (
            "BM25, then MaxSim",
            f"MaxSim on {settings['main_bits']}-bit codes ranks the first {settings['candidates']} documents of BM25.",
        ),
        (
            "Cross-encoder",
            f"Reranks the first {settings['read']} documents of MaxSim, always or only where MaxSim is uncertain. The "
            "threshold for this is calibrated on the other half of the queries.",
        ),
        (
            "Advice",
            f"Follows fixed rules. 'As good as' means at most {TOLERANCE} nDCG@10 below; 'worse' means more than "
            f"that, with p below {ALPHA}. See the documentation of colstore.evaluate.advice.",
        ),
        (
            "Machine",
            f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; "
            + ", ".join(f"{name} {number}" for name, number in versions.items())
            + f"; seed {settings['seed']}",
        ),
    ]
    return "<dl>" + "".join(f"<dt>{escape(head)}</dt><dd>{escape(str(text))}</dd>" for head, text in entries) + "</dl>"


NAMES = ("table.csv", "comparison.json", "plot.png", "plot.svg", "report.html")
RUNS = "runs"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that already holds a report; call it before a long comparison.

    Parameters
    ----------
    folder
        The folder; it need not exist.
    overwrite
        Whether an existing report may be replaced.

    Raises
    ------
    ConfigError
        The path is a file, or the folder holds a report and ``overwrite`` is false.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file: name a folder for the report")
    taken = [name for name in (*NAMES, RUNS) if (folder / name).exists()]
    if taken and not overwrite:
        raise ConfigError(f"{folder}: holds {taken[0]} already: name another folder, or replace it with overwrite=True")


def save_comparison(
    comparison: Comparison, folder: str | Path, *, runs: bool = False, overwrite: bool = False
) -> list[str]:
    """Write ``table.csv``, ``comparison.json``, ``plot.png``, ``plot.svg`` and ``report.html``.

    Parameters
    ----------
    comparison
        What :func:`colstore.compare` returned.
    folder
        The folder; it is created if necessary.
    runs
        Whether to write the rankings, too, as ``runs/<row key>.trec``.
    overwrite
        Whether to replace existing files of these names.

    Returns
    -------
    list of str
        Notes on what could not be written: without matplotlib there is no plot; or what was written differently.

    Raises
    ------
    ConfigError
        The path is a file, or the folder holds a report and ``overwrite`` is false.
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
        notes.append(f"no plot was drawn: {error}")
    (folder / "table.csv").write_text(comparison.to_csv(), encoding="utf-8", newline="")
    (folder / "comparison.json").write_text(as_json_text(comparison), encoding="utf-8")
    (folder / "report.html").write_text(html_report(comparison, picture), encoding="utf-8")
    if runs:
        layout = comparison.save_runs(folder / RUNS)
        if layout != "trec":
            notes.append(f"the runs are written as {layout}, because ids hold white space, which TREC runs cannot hold")
    return notes
