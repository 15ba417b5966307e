"""How long work tells somebody how far it is."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Unit: TypeAlias = Literal["messages", "B"]


class Progress(Protocol):
    """Whoever shows progress: `messages` are those of the first copy, `B` octets of bodies."""

    def expect(self, unit: Unit, count: int) -> None:
        """So much more is to be done."""

    def advance(self, unit: Unit, count: int) -> None:
        """So much was done."""


class NoProgress:
    """Shows nothing."""

    def expect(self, unit: Unit, count: int) -> None:
        """Show nothing."""

    def advance(self, unit: Unit, count: int) -> None:
        """Show nothing."""
