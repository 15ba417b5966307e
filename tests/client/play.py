"""
Plays a verb against a script, without any socket: whole, and octet by octet.

    played = play(x, store(x, 7, add="$x"), b"* 1 FETCH (UID 7 FLAGS ($x))\r\n$T OK done\r\n", way=way)
    played.result, played.emitted, played.sent

Each reply answers what was sent since the last; `$T` is the tag of the newest command. After the last one the
connection ends.
"""

from __future__ import annotations

import io
from collections import deque
from dataclasses import dataclass, field

import pytest

from modseq.client.effects import Emit, Receive, Send, SendFrom, Sleep
from modseq.client.exchange import Exchange
from modseq.client.options import Options
from modseq.client.results import Selected

WAYS = ("whole", "by octet")
ways = pytest.mark.parametrize("way", WAYS)
SILENCE = None
"""A reply that does not come in time."""


@dataclass
class Played:
    result: object = None
    emitted: list = field(default_factory=list)
    sent: bytes = b""
    slept: float = 0.0

    @property
    def lines(self) -> list[str]:
        """What was sent, without tags, as text."""
        lines = self.sent.decode("latin-1").split("\r\n")[:-1]
        return [line.split(" ", 1)[1] if line[:1] == "m" and " " in line else line for line in lines]


def exchange(*capabilities: str, selected: bool = True, enabled: tuple[str, ...] = (), **options) -> Exchange:
    """Return a connection that is logged in and has a mailbox open."""
    chosen = {"host": "host", "port": 143, "tls": "none", "seconds": 5.0, **options}
    x = Exchange(Options(**chosen))
    x.greeting = object()
    x.is_logged_in = True
    x.capabilities = frozenset({"IMAP4REV1", *capabilities})
    x.enabled = frozenset(enabled)
    if selected:
        x.selected = Selected("INBOX", False, 9, 7, highest_mod_seq=50)
    return x


class Frozen:
    """A clock on which time passes only while a verb sleeps or hears nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_nanoseconds(self) -> int:
        return int(self.now * 1e9)

    def monotonic_seconds(self) -> float:
        return self.now

    def random_bytes(self, count: int) -> bytes:
        return bytes(count)


def play(
    x: Exchange,
    verb,
    *replies: bytes | None,
    way: str = "whole",
    clock: Frozen | None = None,
    all_asked: bool = True,
) -> Played:
    waiting: deque[bytes | None] = deque(replies)
    octets: deque[bytes] = deque()
    played = Played()
    value = None
    try:
        while True:
            effect = verb.send(value)
            value = None
            if isinstance(effect, Send):
                played.sent += effect.data
            elif isinstance(effect, SendFrom):
                played.sent += b"".join(effect.pieces())
            elif isinstance(effect, Emit):
                played.emitted += effect.values
            elif isinstance(effect, Sleep):
                played.slept += effect.seconds
                if clock is not None:
                    clock.now += effect.seconds
            else:
                assert isinstance(effect, Receive)
                if not octets:
                    if not waiting:
                        value = b""
                        continue
                    reply = waiting.popleft()
                    if reply is None:
                        if clock is not None:
                            clock.now += effect.seconds
                        continue
                    reply = reply.replace(b"$T", b"m%d" % x._tags)
                    octets.extend(
                        [reply] if way == "whole" or not reply else [bytes((each,)) for each in reply]
                    )
                value = octets.popleft()
    except StopIteration as stop:
        played.result = stop.value
    assert not (waiting and all_asked), f"never asked for: {waiting}"
    return played


def source(octets: bytes) -> io.BytesIO:
    return io.BytesIO(octets)
