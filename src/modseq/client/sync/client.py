"""The blocking client: every verb as a method."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from modseq.client.effects import Verb
from modseq.client.errors import ConnectionLost
from modseq.client.events import Event
from modseq.client.messagefile import opened
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
from modseq.client.sync.runner import Runner
from modseq.client.sync.streams import BodyStream, IdleStream, Pipeline, Stream, Sync
from modseq.client.verbs import access, fetch, idle, mailbox, search, select, store, transfer
from modseq.client.verbs.fetch import Items
from modseq.wire.response_values import ListData, MessageData, NamespaceData, StatusData, Vanished
from modseq.wire.values import SearchKey

T = TypeVar("T")


class Client(Surface):
    """
    One connection to an IMAP server, for one thread at a time; others wait for their turn.

    Every method returns a typed result or raises a ClientError. What the server says unasked is in `events`.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner.x)
        self._runner = runner

    def _run(self, verb: Verb[T]) -> T:
        return self._runner.run(verb)

    # --- beginning and end ---

    def close(self) -> None:
        """Close the connection at once, without a word."""
        self._x.is_broken = True
        self._runner.wire.abort()

    def logout(self) -> Completed:
        """Say good-bye and close the connection."""
        try:
            return self._run(access.logout(self._x))
        finally:
            self._x.is_broken = True
            self._runner.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not self.is_open or self._runner.stream is not None:
            self.close()
            return
        with contextlib.suppress(ConnectionLost):
            self.logout()

    # --- the verbs ---

    def login(self, user: str, password: str) -> Completed:
        """Log in with a password, by the best method that the server offers."""
        self._x.options = replace(self._x.options, user=user, password=password, token=None)
        return self._run(access.log_in_later(self._x))

    def refresh_capabilities(self) -> frozenset[str]:
        """Ask what the server can do."""
        return self._run(access.refresh_capabilities(self._x))

    def enable(self, *names: str) -> Enabled:
        """Enable extensions, `enable("QRESYNC")`."""
        return self._run(access.enable(self._x, names))

    def id(self, fields: Mapping[str, str] | None = None) -> ServerId:
        """Say who we are (None: nothing) and hear who the server is."""
        return self._run(access.identify(self._x, fields))

    def noop(self) -> Completed:
        """Let the server tell what is new; it is in `events` then."""
        return self._run(access.noop(self._x))

    def execute(self, line: str) -> Executed:
        """Send a command that this library has no verb for, `execute("GETQUOTAROOT INBOX")`."""
        return self._run(access.execute(self._x, line))

    def select(
        self,
        mailbox: str | bytes,
        *,
        read_only: bool = False,
        condstore: bool = True,
        qresync: SyncState | None = None,
    ) -> Selected:
        """Open a mailbox; with `qresync` also hear what changed since that state."""
        return self._run(
            select.select(self._x, mailbox, read_only=read_only, condstore=condstore, qresync=qresync)
        )

    def unselect(self) -> Completed:
        """Leave the mailbox and remove nothing from it."""
        return self._run(select.unselect(self._x))

    def close_mailbox(self) -> Completed:
        r"""Leave the mailbox and remove what is marked \Deleted."""
        return self._run(select.close_mailbox(self._x))

    def expunge(self, uids: Uids | None = None) -> ExpungeResult:
        r"""Remove messages marked \Deleted: of `uids` only, or all of them."""
        return self._run(select.expunge(self._x, uids))

    def fetch(
        self,
        uids: Uids,
        items: Items = ("FLAGS",),
        *,
        changed_since: int | None = None,
        vanished: bool = False,
    ) -> Fetched:
        """Return messages, all of them held."""
        return self._run(fetch.fetch(self._x, uids, items, changed_since=changed_since, vanished=vanished))

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

    def store(
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
        return self._run(
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

    def search(self, criteria: str | SearchKey = "ALL", *, returns: Iterable[str] = ("ALL",)) -> Found:
        """Find messages by criteria as RFC 3501 writes them, or as a value of modseq.wire.values."""
        return self._run(search.search(self._x, criteria, returns=returns))

    def copy(self, uids: Uids, target: str | bytes) -> Copied:
        """Copy messages to another mailbox."""
        return self._run(transfer.copy(self._x, uids, target))

    def move(self, uids: Uids, target: str | bytes) -> Moved:
        """Move messages to another mailbox."""
        return self._run(transfer.move(self._x, uids, target))

    def append(
        self,
        mailbox: str | bytes,
        message: bytes | str | Path | BinaryIO,
        *,
        flags: Flags = (),
        date: dt.datetime | None = None,
    ) -> Appended:
        """Put a message into a mailbox: octets, a path, or an open file, which is read while it is sent."""
        with opened(message) as literal:
            return self._run(transfer.append(self._x, mailbox, literal, flags=flags, date=date))

    def list(
        self,
        pattern: str = "*",
        *,
        reference: str = "",
        status: Iterable[str] = (),
        subscribed: bool = False,
        special_use: bool = False,
    ) -> tuple[ListData, ...]:
        """List mailboxes, with their counters in the same round trip where the server can."""
        return self._run(
            mailbox.list_mailboxes(
                self._x,
                pattern,
                reference=reference,
                status=status,
                subscribed=subscribed,
                special_use=special_use,
            )
        )

    def status(self, name: str | bytes, items: Iterable[str] = mailbox.STATUS_DEFAULT) -> StatusData:
        """Return the counters of one mailbox."""
        return self._run(mailbox.status(self._x, name, items))

    def create(self, name: str | bytes, *, special_use: Iterable[str] = ()) -> Completed:
        """Make a mailbox."""
        return self._run(mailbox.create(self._x, name, special_use=special_use))

    def delete(self, name: str | bytes) -> Completed:
        """Remove a mailbox and all that is in it."""
        return self._run(mailbox.delete(self._x, name))

    def rename(self, old: str | bytes, new: str | bytes) -> Completed:
        """Give a mailbox another name."""
        return self._run(mailbox.rename(self._x, old, new))

    def subscribe(self, name: str | bytes) -> Completed:
        """Put a name on the list of subscriptions."""
        return self._run(mailbox.subscribe(self._x, name))

    def unsubscribe(self, name: str | bytes) -> Completed:
        """Take a name off the list of subscriptions."""
        return self._run(mailbox.unsubscribe(self._x, name))

    def namespace(self) -> NamespaceData:
        """Return where personal, other users' and shared mailboxes begin."""
        return self._run(mailbox.namespace(self._x))

    def notify(self, *groups: str) -> Completed:
        """Say which events of which mailboxes are wanted without asking (NOTIFY); none: no more of them."""
        return self._run(idle.notify(self._x, *groups))

    def idle(self, seconds: float | None = None) -> Stream[Event]:
        """Yield events as they come, for so long or for ever. A command within the loop pauses it."""
        return IdleStream(self._runner, seconds)

    def wait(self, seconds: float) -> tuple[Event, ...]:
        """Return the events that wait, or the next that come; none after so many seconds."""
        return self._run(idle.wait_for_event(self._x, seconds))

    def sync(self, mailbox: str | bytes, state: SyncState | None = None, *, read_only: bool = True) -> Sync:
        """Bring a copy up to date: iterate over the changes, then take the next state."""
        return Sync(self._runner, mailbox, state, read_only=read_only)

    def pipeline(self) -> Pipeline:
        """Collect commands that do not depend on each other; leaving the `with` block sends them together."""
        return Pipeline(self._runner)
