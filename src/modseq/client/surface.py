"""What both drivers' clients have in common: what they know without asking, and the pipeline's list of verbs."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from modseq.client.effects import Verb
from modseq.client.errors import WrongState
from modseq.client.events import EventLog
from modseq.client.exchange import Exchange
from modseq.client.options import AuthMethod, Options, parse_url
from modseq.client.quirks import Quirks
from modseq.client.results import (
    Completed,
    Copied,
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
from modseq.client.verbs import fetch, mailbox, search, select, store, transfer
from modseq.client.verbs.command import Pending
from modseq.limits import KEEPALIVE_IDLE_SECONDS, KEEPALIVE_PROBE_SECONDS
from modseq.wire.response_values import StatusData
from modseq.wire.values import SearchKey

T = TypeVar("T")


def options_of(
    url: str,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    auth: AuthMethod = "auto",
    authorize_as: str | None = None,
    context: ssl.SSLContext | None = None,
    seconds: float = 60.0,
    idle_renew_seconds: float = 540.0,
    compress: bool = False,
    enable: Iterable[str] = ("QRESYNC", "CONDSTORE"),
    client_id: Mapping[str, str] | None = None,
    quirks: Quirks | None = None,
) -> Options:
    """
    Return the arguments of `connect` as one value; see Options for what each means.

    Raises ValueError for an address that is none, and for a renewal of IDLE after 29 minutes (RFC 2177).
    """
    address = parse_url(url)
    if not 0 < idle_renew_seconds < _IDLE_SECONDS_MAX:
        raise ValueError("idle_renew_seconds: more than 0 and less than 29 minutes")
    options = Options(
        host=address.host,
        port=address.port,
        tls=address.tls,
        context=context,
        user=user if user is not None else address.user,
        password=password if password is not None else address.password,
        token=token,
        auth=auth,
        authorize_as=authorize_as,
        seconds=seconds,
        idle_renew_seconds=idle_renew_seconds,
        compress=compress,
        enable=tuple(enable),
        quirks=quirks,
    )
    return options if client_id is None else replace(options, client_id=client_id or None)


_IDLE_SECONDS_MAX = 29 * 60


def tls_context(options: Options) -> ssl.SSLContext:
    """Return the TLS settings: the caller's, or the system's authorities with the name checked."""
    return options.context if options.context is not None else ssl.create_default_context()


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel probe a silent connection, so that a dead one is found out while nobody speaks."""
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEPALIVE_PROBE_SECONDS),
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)


class Surface:
    """What a client knows without asking the server."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server said it can do, in capitals."""
        return self._x.capabilities

    def has(self, capability: str) -> bool:
        """Return whether the server offers a capability, by itself or as part of IMAP4rev2."""
        return self._x.has(capability)

    @property
    def enabled(self) -> frozenset[str]:
        """What ENABLE enabled."""
        return self._x.enabled

    @property
    def selected(self) -> Selected | None:
        """The mailbox that is open, as it was when it was opened."""
        return self._x.selected

    @property
    def events(self) -> EventLog:
        """What the server said unasked, until it is taken."""
        return self._x.events

    @property
    def quirks(self) -> Quirks:
        """What this server is known to do its own way."""
        return self._x.quirks

    @property
    def server_id(self) -> ServerId:
        """What the server says of itself."""
        return self._x.server_id

    @property
    def is_open(self) -> bool:
        """Whether more can be said on this connection."""
        return not self._x.is_broken


class Batch:
    """
    Commands that do not depend on each other, sent together when the `with` block ends.

    Each method returns a Pending whose `.result` is there after the block. `select` is the last.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self.pending: list[Pending[Any]] = []

    def add(self, verb: Verb[T]) -> Pending[T]:
        """Take a verb that emits nothing. Raises WrongState behind `select`."""
        if self.pending and self.pending[-1].is_last:
            verb.close()
            raise WrongState("nothing can follow select in a pipeline: its reply decides what it would mean")
        pending = Pending(verb)
        self.pending.append(pending)
        return pending

    def select(
        self,
        mailbox: str | bytes,
        *,
        read_only: bool = False,
        condstore: bool = True,
        qresync: SyncState | None = None,
    ) -> Pending[Selected]:
        """
        Open another mailbox when the commands before have been answered; see Client.select.

        Those before it are about the mailbox that is open until then, and so are events before MailboxClosed.
        """
        pending = self.add(
            select.select(self._x, mailbox, read_only=read_only, condstore=condstore, qresync=qresync)
        )
        pending.is_last = True
        return pending

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
    ) -> Pending[Stored]:
        """Change flags; see Client.store."""
        return self.add(
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

    def fetch(
        self,
        uids: Uids,
        items: fetch.Items = ("FLAGS",),
        *,
        changed_since: int | None = None,
        vanished: bool = False,
    ) -> Pending[Fetched]:
        """Read messages; see Client.fetch."""
        return self.add(fetch.fetch(self._x, uids, items, changed_since=changed_since, vanished=vanished))

    def search(
        self, criteria: str | SearchKey = "ALL", *, returns: Iterable[str] = ("ALL",)
    ) -> Pending[Found]:
        """Find messages; see Client.search."""
        return self.add(search.search(self._x, criteria, returns=returns))

    def copy(self, uids: Uids, target: str | bytes) -> Pending[Copied]:
        """Copy messages; see Client.copy."""
        return self.add(transfer.copy(self._x, uids, target))

    def move(self, uids: Uids, target: str | bytes) -> Pending[Moved]:
        """Move messages; see Client.move."""
        return self.add(transfer.move(self._x, uids, target))

    def expunge(self, uids: Uids | None = None) -> Pending[ExpungeResult]:
        """Remove messages; see Client.expunge."""
        return self.add(select.expunge(self._x, uids))

    def status(self, name: str | bytes, items: Iterable[str] = mailbox.STATUS_DEFAULT) -> Pending[StatusData]:
        """Count a mailbox; see Client.status."""
        return self.add(mailbox.status(self._x, name, items))

    def create(self, name: str | bytes, *, special_use: Iterable[str] = ()) -> Pending[Completed]:
        """Make a mailbox; see Client.create."""
        return self.add(mailbox.create(self._x, name, special_use=special_use))

    def delete(self, name: str | bytes) -> Pending[Completed]:
        """Remove a mailbox; see Client.delete."""
        return self.add(mailbox.delete(self._x, name))

    def subscribe(self, name: str | bytes) -> Pending[Completed]:
        """Subscribe to a name; see Client.subscribe."""
        return self.add(mailbox.subscribe(self._x, name))

    def unsubscribe(self, name: str | bytes) -> Pending[Completed]:
        """Drop a subscription; see Client.unsubscribe."""
        return self.add(mailbox.unsubscribe(self._x, name))
