"""The command line: one small module per command, which parses, calls the Python surface, and prints.

Nothing heavy is imported before a command runs, so that ``colstore --help`` stays quick.
"""

from __future__ import annotations

import click

from colstore._version import __version__
from colstore.cli.group import CommandGroup

COMMANDS = (
    *("build", "create", "search", "rerank", "bm25", "info", "tune", "eval", "compare"),
    *("add", "delete", "compact", "verify", "recover"),
)
"""Every command, in the order of ``--help``; each is ``colstore.cli.<name>.command``."""

_EPILOG = """\b
Exit codes:
  0    fine
  1    an error that colstore names: bad input, no such index, a full disk
  2    a command line that cannot be understood
  3    a damaged index
  130  interrupted with Ctrl-C
  `colstore verify` has its own: 0 sound, 1 damaged, 2 could not be checked

\b
Example:
  $ colstore build data -o demo.colstore
  $ colstore search demo.colstore "why does the moon turn red?"
"""


@click.group(
    cls=CommandGroup,
    command_names=COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="colstore %(version)s")
def main() -> None:
    """Keep a corpus's token vectors in one directory, and search them.

    Results go to standard output, progress and messages to standard error.
    """
