"""Tables for notebooks. Everything that comes from a document is escaped: an index may hold anybody's markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONGEST = 300
"""Characters of a cell; the rest is cut off with an ellipsis."""


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> str:
    """Return an HTML table whose cells show values as text.

    Parameters
    ----------
    head
        Names of the columns; an empty sequence leaves the head out.
    rows
        Values, one sequence per row; ``None`` shows as an empty cell.
    caption
        Text above the table.

    Examples
    --------
    >>> html_table(["id"], [["<b>d1</b>"]])
    '<table><thead><tr><th>id</th></tr></thead><tbody><tr><td>&lt;b&gt;d1&lt;/b&gt;</td></tr></tbody></table>'
    """
    title = f"<caption>{_cell(caption)}</caption>" if caption else ""
    names = "".join(f"<th>{_cell(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table>{title}{f'<thead><tr>{names}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    # A lone surrogate cannot be sent to a browser.
    return escape(shown.encode("utf-8", "replace").decode("utf-8"), quote=True)
