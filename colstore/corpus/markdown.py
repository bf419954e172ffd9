"""The title of a Markdown page, by a real Markdown parser."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from itertools import zip_longest

TITLE_CHARACTERS = 65_536
"""Characters of a page in which a title is looked for."""
_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)


def markdown_title(text: str) -> str:
    r"""Return the title of a page: ``title:`` of its front matter, else its first heading, else an empty string.

    Headings are those that CommonMark knows, underlined ones included, and ``<h1>`` to ``<h6>`` in HTML; what stands in
    code and in comments is no heading. A title is text without markup. Front matter is YAML between lines of ``---``
    or TOML between lines of ``+++``; if it is broken, the headings count.

    Examples
    --------
    >>> markdown_title("intro\n\nThe *dance*\n===\n")
    'The dance'
    >>> markdown_title('---\n# a comment\ntitle: "Bees: a life"\n---\n# Chapter 1\n')
    'Bees: a life'
    """
    head = text[:TITLE_CHARACTERS].replace("\r\n", "\n")
    found = _FRONT_MATTER.match(head)
    if found is None:
        return _first_heading(head)
    return _front_matter_title(found[1], found[2]) or _first_heading(head[found.end() :])


def _front_matter_title(fence: str, source: str) -> str:
    fields = _toml(source) if fence == "+++" else _yaml(source)
    title = next((value for key, value in fields.items() if str(key).casefold() == "title"), "")
    return " ".join(title.split()) if isinstance(title, str) else ""


def _yaml(source: str) -> Mapping[object, object]:
    import yaml

    base = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # makes strings of all values, and constructs no objects
    try:
        fields = base(source).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, Mapping) else {}


def _toml(source: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _first_heading(source: str) -> str:
    from markdown_it import MarkdownIt

    from colstore.corpus.html import html_heading

    tokens = MarkdownIt("commonmark").parse(source)
    for token, content in zip_longest(tokens, tokens[1:]):
        title = ""
        if token.type == "heading_open" and content is not None:
            inline = content.children or []
            title = "".join(" " if "break" in part.type else _text_of(part.type, part.content) for part in inline)
        elif token.type == "html_block":
            title = html_heading(token.content)
        if title.strip():
            return " ".join(title.split())
    return ""


def _text_of(kind: str, content: str) -> str:
    return "" if kind == "html_inline" else content
