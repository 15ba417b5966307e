"""The asyncio client: every verb as a coroutine."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from modseq.client.aio.messagefile import opened
from modseq.client.aio.runner import Runner
from modseq.client.aio.streams import BodyStream, IdleStream, Pipeline, Stream, Sync
from modseq.client.effects import Verb
from modseq.client.errors import ConnectionLost
from modseq.client.events import Event
from modseq.client.results import (
    Appended,
    Completed,
    Copied,
    Enabled,
    Executed,
    ExpungeResult,
    Fetched,
    Flags,
    Found,
    Moved,
    Selected,
    ServerId,
    Stored,
    SyncState,
    Uids,
)
from modseq.client.surface import Surface
from modseq.client.verbs import access, fetch, idle, mailbox, search, select, store, transfer
from modseq.client.verbs.fetch import Items
from modseq.wire.response_values import ListData, MessageData, NamespaceData, StatusData, Vanished
from modseq.wire.values import SearchKey

T = TypeVar("T")


class Client(Surface):
    """
    One connection to an IMAP server, for one task at a time; others wait for their turn.

    Every method returns a typed result or raises a ClientError. What the server says unasked is in `events`.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner.x)
        self._runner = runner

    async def _run(self, verb: Verb[T]) -> T:
        return await self._runner.run(verb)

    # --- beginning and end ---

    async def aclose(self) -> None:
        """Close the connection at once, without a word."""
        self._x.is_broken = True
        self._runner.wire.abort()
        await self._runner.wire.wait_closed()

    async def logout(self) -> Completed:
        """Say good-bye and close the connection."""
        try:
            return await self._run(access.logout(self._x))
        finally:
            self._x.is_broken = True
            self._runner.wire.close()
            await self._runner.wire.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not self.is_open or self._runner.stream is not None:
            await self.aclose()
            return
        with contextlib.suppress(ConnectionLost):
            await self.logout()

    # --- the verbs ---

    async def login(self, user: str, password: str) -> Completed:
        """Log in with a password, by the best method that the server offers."""
        self._x.options = replace(self._x.options, user=user, password=password, token=None)
        return await self._run(access.log_in_later(self._x))

    async def refresh_capabilities(self) -> frozenset[str]:
        """Ask what the server can do."""
        return await self._run(access.refresh_capabilities(self._x))

    async def enable(self, *names: str) -> Enabled:
        """Enable extensions, `enable("QRESYNC")`."""
        return await self._run(access.enable(self._x, names))

    async def id(self, fields: Mapping[str, str] | None = None) -> ServerId:
        """Say who we are (None: nothing) and hear who the server is."""
        return await self._run(access.identify(self._x, fields))

    async def noop(self) -> Completed:
        """Let the server tell what is new; it is in `events` then."""
        return await self._run(access.noop(self._x))

    async def execute(self, line: str) -> Executed:
        """Send a command that this library has no verb for, `execute("GETQUOTAROOT INBOX")`."""
        return await self._run(access.execute(self._x, line))

    async def select(
        self,
        mailbox: str | bytes,
        *,
        read_only: bool = False,
        condstore: bool = True,
        qresync: SyncState | None = None,
    ) -> Selected:
        """Open a mailbox; with `qresync` also hear what changed since that state."""
        return await self._run(
            select.select(self._x, mailbox, read_only=read_only, condstore=condstore, qresync=qresync)
        )

    async def unselect(self) -> Completed:
        """Leave the mailbox and remove nothing from it."""
        return await self._run(select.unselect(self._x))

    async def close_mailbox(self) -> Completed:
        r"""Leave the mailbox and remove what is marked \Deleted."""
        return await self._run(select.close_mailbox(self._x))

    async def expunge(self, uids: Uids | None = None) -> ExpungeResult:
        r"""Remove messages marked \Deleted: of `uids` only, or all of them."""
        return await self._run(select.expunge(self._x, uids))

    async def fetch(
        self,
        uids: Uids,
        items: Items = ("FLAGS",),
        *,
        changed_since: int | None = None,
        vanished: bool = False,
    ) -> Fetched:
        """Return messages, all of them held."""
        return await self._run(
            fetch.fetch(self._x, uids, items, changed_since=changed_since, vanished=vanished)
        )

    def fetch_each(
        self,
        uids: Uids,
        items: Items = ("FLAGS",),
        *,
        changed_since: int | None = None,
        vanished: bool = False,
    ) -> Stream[MessageData | Vanished]:
        """Yield messages as they come, none held; with `vanished` what is gone before them."""
        return Stream(
            self._runner,
            lambda: fetch.fetch_each(self._x, uids, items, changed_since=changed_since, vanished=vanished),
        )

    def fetch_body(self, uid: int, section: str = "", *, peek: bool = True) -> BodyStream:
        """Yield the octets of a message, or of a section of it, in chunks."""
        return BodyStream(self._runner, lambda: fetch.fetch_body(self._x, uid, section, peek=peek))

    async def store(
        self,
        uids: Uids,
        *,
        add: Flags | None = None,
        remove: Flags | None = None,
        replace: Flags | None = None,
        unchanged_since: int | None = None,
        silent: bool = False,
        all_or_none: bool = False,
    ) -> Stored:
        """Change flags, on a condition or not, and learn what became of each message."""
        return await self._run(
            store.store(
                self._x,
                uids,
                add=add,
                remove=remove,
                replace=replace,
                unchanged_since=unchanged_since,
                silent=silent,
                all_or_none=all_or_none,
            )
        )

    async def search(self, criteria: str | SearchKey = "ALL", *, returns: Iterable[str] = ("ALL",)) -> Found:
        """Find messages by criteria as RFC 3501 writes them, or as a value of modseq.wire.values."""
        return await self._run(search.search(self._x, criteria, returns=returns))

    async def copy(self, uids: Uids, target: str | bytes) -> Copied:
        """Copy messages to another mailbox."""
        return await self._run(transfer.copy(self._x, uids, target))

    async def move(self, uids: Uids, target: str | bytes) -> Moved:
        """Move messages to another mailbox."""
        return await self._run(transfer.move(self._x, uids, target))

    async def append(
        self,
        mailbox: str | bytes,
        message: bytes | str | Path | BinaryIO,
        *,
        flags: Flags = (),
        date: dt.datetime | None = None,
    ) -> Appended:
        """Put a message into a mailbox: octets, a path, or an open file, which is read while it is sent."""
        async with opened(message) as literal:
            return await self._run(transfer.append(self._x, mailbox, literal, flags=flags, date=date))

    async def list(
        self,
        pattern: str = "*",
        *,
        reference: str = "",
        status: Iterable[str] = (),
        subscribed: bool = False,
        special_use: bool = False,
    ) -> tuple[ListData, ...]:
        """List mailboxes, with their counters in the same round trip where the server can."""
        return await self._run(
            mailbox.list_mailboxes(
                self._x,
                pattern,
                reference=reference,
                status=status,
                subscribed=subscribed,
                special_use=special_use,
            )
        )

    async def status(self, name: str | bytes, items: Iterable[str] = mailbox.STATUS_DEFAULT) -> StatusData:
        """Return the counters of one mailbox."""
        return await self._run(mailbox.status(self._x, name, items))

    async def create(self, name: str | bytes, *, special_use: Iterable[str] = ()) -> Completed:
        """Make a mailbox."""
        return await self._run(mailbox.create(self._x, name, special_use=special_use))

    async def delete(self, name: str | bytes) -> Completed:
        """Remove a mailbox and all that is in it."""
        return await self._run(mailbox.delete(self._x, name))

    async def rename(self, old: str | bytes, new: str | bytes) -> Completed:
        """Give a mailbox another name."""
        return await self._run(mailbox.rename(self._x, old, new))

    async def subscribe(self, name: str | bytes) -> Completed:
        """Put a name on the list of subscriptions."""
        return await self._run(mailbox.subscribe(self._x, name))

    async def unsubscribe(self, name: str | bytes) -> Completed:
        """Take a name off the list of subscriptions."""
        return await self._run(mailbox.unsubscribe(self._x, name))

    async def namespace(self) -> NamespaceData:
        """Return where personal, other users' and shared mailboxes begin."""
        return await self._run(mailbox.namespace(self._x))

    async def notify(self, *groups: str) -> Completed:
        """Say which events of which mailboxes are wanted without asking (NOTIFY); none: no more of them."""
        return await self._run(idle.notify(self._x, *groups))

    def idle(self, seconds: float | None = None) -> Stream[Event]:
        """Yield events as they come, for so long or for ever. A command within the loop pauses it."""
        return IdleStream(self._runner, seconds)

    async def wait(self, seconds: float) -> tuple[Event, ...]:
        """Return the events that wait, or the next that come; none after so many seconds."""
        return await self._run(idle.wait_for_event(self._x, seconds))

    def sync(self, mailbox: str | bytes, state: SyncState | None = None, *, read_only: bool = True) -> Sync:
        """Bring a copy up to date: iterate over the changes, then take the next state."""
        return Sync(self._runner, mailbox, state, read_only=read_only)

    def pipeline(self) -> Pipeline:
        """Collect commands that do not depend on each other; leaving the `with` block sends them together."""
        return Pipeline(self._runner)
