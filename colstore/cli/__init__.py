"""The command line: one small module per command, which parses, calls the Python surface, and prints.

``options`` holds the options that commands share, ``failures`` the exit codes, ``translate`` turns the library's
messages into the words of the command line, ``output`` and ``results`` print, ``progress`` shows how far long work has
come. Nothing heavy is imported before a command runs, so that ``colstore --help`` stays quick.
"""

from __future__ import annotations

import click

from colstore._version import __version__
from colstore.cli.failures import EXIT_CODES
from colstore.cli.group import CommandGroup

SECTIONS = {
    "Make and change an index": ("build", "create", "add", "delete", "compact", "bm25"),
    "Search": ("search", "rerank", "get", "info"),
    "Measure": ("tune", "eval", "compare"),
    "Check and recover": ("verify", "recover"),
}
"""Every command, in the order of ``--help``; each is ``colstore.cli.<name>.command``."""

COMMANDS = tuple(name for names in SECTIONS.values() for name in names)

_EPILOG = "\n".join(
    (
        "\b",
        "Exit codes of every command:",
        *(f"  {code:<3}  {meaning}" for code, meaning in EXIT_CODES.items()),
        "",
        "\b",
        "Example:",
        "  $ colstore build data -o demo.colstore",
        '  $ colstore search demo.colstore "why does the moon turn red?"',
    )
)


@click.group(
    cls=CommandGroup,
    sections=SECTIONS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="colstore %(version)s")
def main() -> None:
    """Store the ColBERT token vectors of a corpus in one directory, and search them.

    Results go to standard output, progress and messages to standard error. `colstore COMMAND --help` explains a
    command and its options.
    """
