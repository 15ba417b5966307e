"""idle: hearing what is new as it happens.

RFC: 2177 section 3
RFC: 5465 section 3
"""

from __future__ import annotations

from modseq import clock
from modseq.client.effects import Emit, Receive, Send, Sleep, Verb
from modseq.client.events import Event, Notice
from modseq.client.exchange import Exchange, Running
from modseq.client.results import Completed
from modseq.client.verbs.access import noop
from modseq.client.verbs.command import FED, checked, command, completed, require, send, wait
from modseq.limits import IDLE_POLL_BY_NOOP_SECONDS


def idle(x: Exchange, seconds: float | None = None) -> Verb[None]:
    """
    Emit events as they come, for so long or for ever.

    RFC: 2177 section 3
    Chosen: IDLE is begun anew long before 29 minutes: its DONE needs an answer, which a half-open connection lacks.
    """
    until = None if seconds is None else clock.monotonic_seconds() + seconds
    while True:
        if len(x.events):
            yield Emit(x.events.take())
        if until is not None and clock.monotonic_seconds() >= until:
            return
        yield from _spell(x, until, stop_at_event=False)


def wait_for_event(x: Exchange, seconds: float) -> Verb[tuple[Event, ...]]:
    """
    Return the events that wait, or wait for the next ones, at most so long.

    RFC: 2177 section 3
    """
    until = clock.monotonic_seconds() + seconds
    while not _has_news(x) and clock.monotonic_seconds() < until:
        yield from _spell(x, until, stop_at_event=True)
    return x.events.take()


def _has_news(x: Exchange) -> bool:
    """Return whether something happened; `* OK Still here` is nothing, the end of all notifications is something."""
    return any(not isinstance(event, Notice) or event.ends_notifications for event in x.events)


def _spell(x: Exchange, until: float | None, *, stop_at_event: bool) -> Verb[None]:
    """Idle once, until the renewal is due, the time is over, or (if wanted) something happened."""
    x.require_open()
    renew_at = clock.monotonic_seconds() + x.options.idle_renew_seconds
    ends_at = renew_at if until is None else min(until, renew_at)
    if not x.has("IDLE"):
        yield from _poll(x, ends_at)
        return
    running = x.begin("IDLE")
    running.awaits_continuation = True
    running.farewell = b"DONE\r\n"
    try:
        yield from send(x, running)
        yield from wait(x, lambda: running.is_over or running.continuation is not None)
        if not running.is_over:
            yield from _listen(x, running, ends_at, stop_at_event=stop_at_event)
        if not running.is_over:
            running.farewell = None
            yield Send(x.encode(b"DONE\r\n"))
        yield from wait(x, lambda: running.is_over)
    finally:
        x.abandon(running)
    assert running.reply is not None
    checked(running.reply, "IDLE")


def _listen(x: Exchange, running: Running, ends_at: float, *, stop_at_event: bool) -> Verb[None]:
    while not running.is_over:
        if len(x.events):
            if not stop_at_event:
                yield Emit(x.events.take())
            elif _has_news(x):
                return
        if x.pump():
            continue
        left = ends_at - clock.monotonic_seconds()
        if left <= 0:
            return
        octets = yield Receive(left)
        if octets is None:
            return
        if octets is not FED:
            x.feed(octets)


def _poll(x: Exchange, ends_at: float) -> Verb[None]:
    """Ask by NOOP instead, once a while."""
    yield from noop(x)
    left = ends_at - clock.monotonic_seconds()
    if not len(x.events) and left > 0:
        yield Sleep(min(left, IDLE_POLL_BY_NOOP_SECONDS))


def notify(x: Exchange, *groups: str) -> Verb[Completed]:
    """
    Say which events of which mailboxes are wanted without asking; none: no more of them.

    RFC: 5465 section 3, 8
    Args: event groups as the RFC writes them, without their outer parentheses:
        `selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)`.
    """
    require(x, "NOTIFY", "notification")
    if not groups:
        return completed((yield from command(x, "NOTIFY", raw=b"NONE")))
    octets = b" ".join([b"(%b)" % group.encode("ascii") for group in groups])
    return completed((yield from command(x, "NOTIFY", raw=b"SET " + octets)))
