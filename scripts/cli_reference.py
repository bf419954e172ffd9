"""Write docs/cli.md from the help texts; with ``--check``, say whether it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from colstore.cli import main as colstore_command

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 100  # columns, whatever terminal this runs on

_HEAD = """\
# Command line

Written by `python scripts/cli_reference.py` from the help texts; a test checks that it is current.
"""


def reference() -> str:
    """Return the whole page."""
    return _HEAD + "".join(f"\n## {name}\n\n```\n{text}\n```\n" for name, text in _help_texts())


def _help_texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the help of the group and of every command."""
    settings = {**colstore_command.context_settings, "terminal_width": WIDTH}
    root = click.Context(colstore_command, info_name="colstore", **settings)
    yield "colstore", colstore_command.get_help(root)
    for name in colstore_command.list_commands(root):
        command = colstore_command.get_command(root, name)
        if command is not None:
            context = click.Context(command, info_name=name, parent=root, terminal_width=WIDTH)
            yield f"colstore {name}", command.get_help(context)


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    page = reference()
    if arguments == ["--check"]:
        current = REFERENCE.is_file() and REFERENCE.read_text(encoding="utf-8") == page
        if not current:
            print("docs/cli.md is stale: run python scripts/cli_reference.py")
        return 0 if current else 1
    REFERENCE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
