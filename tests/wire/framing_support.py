"""Ways to get octets through a framer: whole, octet by octet, and with every literal allowed."""

import pytest

from modseq.wire.abnf import ParseError
from modseq.wire.framing import CommandFramer, CommandReceived, Event, LiteralRequested
from modseq.wire.messages import parse_command
from modseq.wire.values import Command


def events_of(framer: CommandFramer) -> list[Event]:
    """Return all events there are, accepting each literal that is asked for."""
    events = []
    while (event := framer.next_event()) is not None:
        events.append(event)
        if isinstance(event, LiteralRequested):
            framer.accept_literal()
    return events


def feed_whole(octets: bytes, framer: CommandFramer) -> list[Event]:
    framer.feed(octets)
    return events_of(framer)


def feed_by_octet(octets: bytes, framer: CommandFramer) -> list[Event]:
    events = []
    for octet in octets:
        framer.feed(bytes((octet,)))
        events += events_of(framer)
    return events


WAYS = {"whole": feed_whole, "by octet": feed_by_octet}


def parse(octets: bytes, way: str = "whole") -> Command:
    """Frame and parse one command given without its last line end."""
    framer = CommandFramer(lambda _tag, _name: 10_000_000)
    events = WAYS[way](octets + b"\r\n", framer)
    commands = [event for event in events if isinstance(event, CommandReceived)]
    assert len(commands) == 1
    assert framer.is_between_commands
    assert framer.buffered_bytes == 0
    return parse_command(commands[0].parts)


def check(way: str, octets: bytes, expected: object) -> None:
    """Check that a command's arguments are `expected`, or that its error says so where that is text."""
    if isinstance(expected, str):
        with pytest.raises(ParseError) as caught:
            parse(octets, way)
        assert expected in str(caught.value)
        assert caught.value.tag == octets.split(b" ")[0]
    else:
        assert parse(octets, way).args == expected
