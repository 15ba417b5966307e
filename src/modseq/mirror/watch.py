"""
A copy that stays current: after each run it waits until the server says that something happened.

What the server says while we wait is only a wake-up: which mailboxes changed is asked by LIST-STATUS and what
changed by QRESYNC, as ever. With NOTIFY the server speaks of every mailbox; with IDLE of one, and the others
are asked about once a while. A connection that breaks is made again, after longer and longer pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from modseq import limits
from modseq.client import Client, Event, Notice
from modseq.client.errors import (
    AuthenticationFailed,
    CommandFailed,
    CommandRefused,
    ConnectionFailed,
    ConnectionLost,
    ProtocolViolated,
)
from modseq.mirror.errors import MirrorBusy
from modseq.mirror.outbox import Outbox
from modseq.mirror.progress import Progress
from modseq.mirror.replica import Replica
from modseq.mirror.sync import Report, synchronise

_EVENTS = "(MessageNew MessageExpunge FlagChange)"


@dataclass(frozen=True, slots=True)
class Watch:
    """
    What a watch needs.

    Attributes:
        connect: makes a connection that is logged in.
        on_report: called after each run.
        on_loss: called when the connection broke, with the reason and the seconds until the next attempt.
        poll_seconds: how often to look without being told; None as the server's abilities suggest.
        verify: as for `synchronise`.

    """

    replica: Replica
    connect: Callable[[], Awaitable[Client]]
    on_report: Callable[[Report], object]
    on_loss: Callable[[Exception, float], object]
    poll_seconds: float | None = None
    verify: bool = True
    push: bool = True
    progress: Progress | None = None

    async def run(self) -> None:
        """
        Keep the copy current until this is cancelled.

        Raises: AuthenticationFailed, MirrorError: what waiting does not mend.
        """
        pause = limits.MIRROR_RECONNECT_SECONDS_MIN
        while True:
            try:
                async with await self.connect() as client:
                    is_notified = await self._subscribe(client)
                    while True:
                        await self._once(client)
                        pause = limits.MIRROR_RECONNECT_SECONDS_MIN
                        events = await self._news(client, is_notified=is_notified)
                        if is_notified and any(
                            isinstance(each, Notice) and each.ends_notifications for each in events
                        ):
                            is_notified = await self._subscribe(client)
            except AuthenticationFailed:
                raise
            except (ConnectionLost, ConnectionFailed, ProtocolViolated, CommandFailed, MirrorBusy) as error:
                self.on_loss(error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, limits.MIRROR_RECONNECT_SECONDS_MAX)

    async def _once(self, client: Client) -> None:
        report = await synchronise(
            self.replica, client, verify=self.verify, push=self.push, progress=self.progress
        )
        self.on_report(report)

    async def _subscribe(self, client: Client) -> bool:
        """
        Ask to be told of every mailbox, where the server can.

        RFC: 5465 section 3.1, 5
        """
        if not client.has("NOTIFY"):
            return False
        try:
            await client.notify(f"selected-delayed {_EVENTS}", f"personal {_EVENTS[:-1]} MailboxName)")
        except CommandFailed:
            return False
        return True

    async def _news(self, client: Client, *, is_notified: bool) -> tuple[Event, ...]:
        """Wait until something happened on the server (return it), in the outbox, or for the time to look again."""
        poll = self.poll_seconds
        if poll is None:
            poll = limits.MIRROR_POLL_TOLD_SECONDS if is_notified else limits.MIRROR_POLL_SECONDS
        if not is_notified:
            await self._open_for_idle(client)
        waiting = asyncio.ensure_future(client.wait(poll))
        try:
            version = self.replica.data_version()
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=limits.MIRROR_OUTBOX_LOOK_SECONDS)
                if done:
                    return waiting.result()
                now = self.replica.data_version()
                if self.push and now != version and Outbox(self.replica).laid_over():
                    return ()
                version = now
        finally:
            if not waiting.done():
                waiting.cancel()
                # Not `await waiting`: its cancellation could not be told from our own.
                await asyncio.wait({waiting})

    async def _open_for_idle(self, client: Client) -> None:
        """Select the mailbox in which new mail is most likely: IDLE speaks of the selected one alone."""
        rows = self.replica.mailboxes()
        if rows and (client.selected is None or client.selected.mailbox != rows[0].name):
            # What happens between this and the next look is told by EXISTS at once, or found by the poll.
            before = rows[0]
            try:
                selected = await client.select(before.name, read_only=True)
            except CommandRefused:
                return  # Gone or not ours to open: the poll tells.
            same = selected.exists == before.exists and selected.highest_mod_seq in (
                None,
                before.told_mod_seq,
            )
            if not same:
                await self._once(client)
