"""Groups of sub-commands that are loaded when they are used, so that each starts at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """
    A group that knows the names and summaries of its sub-commands, and imports one when it is called.

    Args:
        sub_commands: each name with its place (`module:attribute`) and its summary, in the order of the list.
        default: the sub-command whose name may be left out before an address (`imaps://...`) or an option.

    """

    def __init__(
        self, *args: Any, sub_commands: Mapping[str, tuple[str, str]], default: str = "", **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self._sub_commands = sub_commands
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in their order."""
        return list(self._sub_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a sub-command."""
        if cmd_name not in self._sub_commands:
            return None
        module, _, attribute = self._sub_commands[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the sub-commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._sub_commands.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default before arguments that do not begin with a sub-command."""
        if self._default and args and args[0] not in self._sub_commands:
            is_address = "://" in args[0]
            asks_for_help = any(each in {"-h", "--help"} for each in args)
            if is_address or (args[0].startswith("-") and not asks_for_help):
                args = [self._default, *args]
        return super().parse_args(ctx, args)
