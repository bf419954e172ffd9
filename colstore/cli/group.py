"""The group behind ``colstore``: commands imported when needed, listed by purpose; errors shown in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from colstore.cli.failures import errors_shown
from colstore.cli.notices import query_warnings
from colstore.cli.warned import warnings_shown


class CommandGroup(click.Group):
    """A group that imports a command's module only when that command, or the list of all commands, is needed.

    Parameters
    ----------
    sections
        Names of commands by the heading they are listed under; each lives in ``colstore.cli.<name>`` as ``command``.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **settings: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **settings)
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names in the order they are documented in."""
        return [name for names in self.sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; ``None`` when there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"colstore.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings, each with its summary on one line."""
        longest = max(map(len, self.list_commands(ctx)))
        limit = formatter.width - longest - 6
        for heading, names in self.sections.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                rows.append((name.ljust(longest), "" if command is None else command.get_short_help_str(limit)))
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the command returns
        """Run the command; an error ends as one message and an exit code."""
        with errors_shown(), warnings_shown(), query_warnings():
            return super().invoke(ctx)
