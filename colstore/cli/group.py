"""The group behind ``colstore``: commands loaded when they are asked for, errors shown in one place."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from colstore.cli.failures import errors_shown


class CommandGroup(click.Group):
    """Import a command's module only when that command (or the list of all) is asked for.

    Parameters
    ----------
    command_names
        Names of commands; each lives in ``colstore.cli.<name>`` as ``command``.
    """

    def __init__(self, *args: Any, command_names: Sequence[str] = (), **settings: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **settings)
        self.command_names = tuple(command_names)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names in the order they are documented in."""
        return list(self.command_names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import and return one command; ``None`` when there is none of that name."""
        if cmd_name not in self.command_names:
            return None
        command: click.Command = import_module(f"colstore.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the command returns
        """Run the command; what goes wrong ends as one line and an exit code."""
        with errors_shown():
            return super().invoke(ctx)
