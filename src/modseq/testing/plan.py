"""What is to go wrong: set by the test, looked at by the hooks in connections and storage."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from modseq.testing.quirks import REFUSED_BY_QUIRK, SHAPES, Quirk
from modseq.testing.refusing import uses_refused, without_refused
from modseq.wire.values import Command


@dataclass(slots=True)
class Refusal:
    """Commands of one name that are answered without being run, so many times (None: always)."""

    name: str
    reply: str
    times: int | None


@dataclass(slots=True)
class Plan:
    """
    The faults of one server. Everything happens on the loop's thread.

    Attributes:
        refused: capabilities that are not there, in capitals.
        quirks: what the server gets wrong.
        refusals: commands that are answered without being run.
        slow_seconds: how long each command waits before it runs, by its name; "" for all others.
        octets_per_second: how fast responses leave; None for at once.
        drop_octets: after so many octets the connection that sends them is cut; None for never.
        drop_each_octets: after so many octets each connection is cut; None for never.
        greetings: what the next connections are told instead of the greeting, one each.
        wakeups_lost: no session is woken by a change.
        wakeup_delay_seconds: how long a wake-up takes.
        disk_octets: room for messages that is left; None for enough.
        horizons: up to which mod-sequence expunges are forgotten, by user and mailbox.

    """

    refused: set[str] = field(default_factory=set)
    quirks: set[Quirk] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    slow_seconds: dict[str, float] = field(default_factory=dict)
    octets_per_second: float | None = None
    drop_octets: int | None = None
    drop_each_octets: int | None = None
    greetings: list[str] = field(default_factory=list)
    wakeups_lost: bool = False
    wakeup_delay_seconds: float = 0.0
    disk_octets: int | None = None
    horizons: dict[tuple[str, int], int] = field(default_factory=dict)
    _healed: asyncio.Event = field(default_factory=asyncio.Event)

    def heal(self) -> None:
        """Let nothing go wrong any more; who was kept waiting goes on. What was forgotten stays forgotten."""
        self.release()
        fresh = Plan(horizons=self.horizons)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def release(self) -> None:
        """Let go on who is kept waiting."""
        self._healed.set()
        self._healed = asyncio.Event()

    # --- what is said ---

    @property
    def missing(self) -> frozenset[str]:
        """Capabilities that are not there, by name or by a quirk."""
        by_quirk = (REFUSED_BY_QUIRK[quirk] for quirk in self.quirks if quirk in REFUSED_BY_QUIRK)
        return frozenset(self.refused).union(*by_quirk)

    def shape(self, line: bytes) -> bytes | None:
        """Return what is said in place of the first line of a response, None for nothing."""
        shaped: bytes | None = line
        if missing := self.missing:
            shaped = without_refused(line, missing)
        for quirk, change in SHAPES.items():
            if quirk in self.quirks and shaped is not None:
                shaped = change(shaped)
        return shaped

    # --- what is done ---

    def answer_to(self, command: Command) -> str | None:
        """Return what a command is told instead of being run, None if it runs."""
        name = f"UID {command.name}" if command.uid else command.name
        for refusal in self.refusals:
            if refusal.name in (name, command.name) and refusal.times != 0:
                if refusal.times is not None:
                    refusal.times -= 1
                return refusal.reply
        word = uses_refused(command, self.missing)
        return None if word is None else f"BAD {word} is not served here"

    async def hold_up(self, name: str) -> None:
        """Keep a command waiting as long as planned, or until all is healed."""
        seconds = self.slow_seconds.get(name, self.slow_seconds.get("", 0.0))
        if seconds > 0:
            try:
                await asyncio.wait_for(self._healed.wait(), seconds)
            except TimeoutError:
                return
