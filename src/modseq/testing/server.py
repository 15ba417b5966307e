"""A real IMAP server for a test, as a context manager."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import imaplib
import os
import socket
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, Self
from urllib.parse import quote

from modseq.client import connect, sync
from modseq.client.aio import Connecting
from modseq.client.sync import Client
from modseq.core.errors import UserExists
from modseq.core.store_flags import Mode
from modseq.testing.faults import Faults
from modseq.testing.hosts import Host, ProcessHost, ThreadHost
from modseq.testing.mail import Mail, StoredMailbox, as_octets, make_message
from modseq.testing.stage import Options, Ports, Stage, Storage
from modseq.testing.wirelog import WireLine

CONNECT_SECONDS_MAX = 10.0


class ServerFailed(AssertionError):
    """The server itself did something wrong, whatever the test saw."""


class ImapServer:
    """
    A server on a free port of the loopback interface, with one user.

    It serves from `start` (or `with`, or `async with`) to `stop`, in a thread with an event loop of its own or in a
    process of its own; so every method may be called from anywhere, also from a coroutine of the test.

    Args:
        user, password: the first user.
        storage: `memory`, or `disk` for the embedded store.
        directory: where the embedded store lies; None for a temporary directory that `stop` removes.
        process: run in a process of its own, which `kill` can kill.
        certificate, key: PEM files; with them the server offers STARTTLS, and TLS on `tls_port`.
        settings: further settings of the server by name, as in the configuration file.

    Attributes:
        host, port: where IMAP is spoken.
        lmtp_port, tls_port: where mail is delivered; where IMAP is spoken under TLS (None without certificate).
        faults: what can be let go wrong.

    """

    def __init__(
        self,
        *,
        user: str = "ann",
        password: str = "secret",  # noqa: S107 -- it guards nothing
        storage: Storage = "memory",
        directory: str | os.PathLike[str] | None = None,
        process: bool = False,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        if directory is not None and storage != "disk":
            raise ValueError("a directory is for storage='disk'")
        if (certificate is None) != (key is None):
            raise ValueError("certificate and key are needed together")
        self.user = user
        self.password = password
        self.host = "127.0.0.1"
        self._directory = None if directory is None else os.fspath(directory)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._options = Options(
            storage=storage,
            certificate=None if certificate is None else os.fspath(certificate),
            key=None if key is None else os.fspath(key),
            settings=settings or {},
        )
        self._in_process = process
        self._host: Host | None = None
        self._ports: Ports = {}
        self._passwords = {user: password}
        self._clients = contextlib.ExitStack()
        self._earlier_lines: list[WireLine] = []

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to serve, after `kill` on the same ports; when this returns clients can connect."""
        if self._host is not None:
            raise RuntimeError("the server runs already")
        options = self._options
        if options.storage == "disk":
            if self._directory is None and self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="modseq-test-")
            place = self._directory or (self._temporary.name if self._temporary else "")
            options = dataclasses.replace(options, directory=place)
        host: Host = ProcessHost(options) if self._in_process else ThreadHost(options)
        try:
            self._ports = host.call(Stage.start, self._ports)
            with contextlib.suppress(UserExists):
                host.call(Stage.add_user, self.user, self.password)
        except BaseException:
            host.close()
            raise
        self._host = host
        return self

    def stop(self) -> None:
        """
        Say BYE to all clients and stop; what was in memory or in a temporary directory is gone.

        Raises ServerFailed when the server itself did something wrong meanwhile.
        """
        self._clients.close()
        host, self._host = self._host, None
        failures: list[str] = []
        if host is not None:
            try:
                self._earlier_lines += host.call(Stage.wire_lines)
                failures = host.call(Stage.stop)
            finally:
                host.close()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        if failures:
            raise ServerFailed("; ".join(failures))

    def restart(self, *, abruptly: bool = False) -> None:
        """
        Stop and serve again, on the same ports and with the same mail.

        Args:
            abruptly: connections break off without BYE.

        """
        self._running.call(Stage.stop, abruptly=abruptly)
        self._running.call(Stage.start, self._ports)

    def kill(self) -> None:
        """
        Kill the process of a server made with `process=True`, as a crash would; `start` serves again.

        Mail in memory is then gone; with `storage="disk"` all that was confirmed is there.
        """
        host = self._running
        if not isinstance(host, ProcessHost):
            raise TypeError("only a server with a process of its own can be killed: process=True")
        self._earlier_lines += host.call(Stage.wire_lines)
        host.kill()
        host.close()
        self._host = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def _running(self) -> Host:
        if self._host is None:
            raise RuntimeError("the server does not run: use `with ImapServer() as server`, or start()")
        return self._host

    @property
    def port(self) -> int:
        """Where IMAP is spoken, with STARTTLS where there is a certificate."""
        return self._ports["imap"]

    @property
    def url(self) -> str:
        """Where `modseq.client.connect` finds the first user's mail; the password is not in it."""
        return self.url_of(self.user)

    def url_of(self, user: str) -> str:
        """Where `modseq.client.connect` finds a user's mail."""
        return f"imap+insecure://{quote(user, safe='')}@{self.host}:{self.port}"

    @property
    def tls_port(self) -> int | None:
        """Where IMAP is spoken under TLS from the first octet; None without a certificate."""
        return self._ports.get("imaps")

    @property
    def lmtp_port(self) -> int:
        """Where mail is delivered by LMTP."""
        return self._ports["lmtp"]

    @property
    def pid(self) -> int:
        """The process in which the server runs."""
        host = self._running
        return host.pid if isinstance(host, ProcessHost) else os.getpid()

    @property
    def faults(self) -> Faults:
        """What can be let go wrong."""
        return Faults(self._running, self.user)

    # --- users and mail -------------------------------------------------------------------------

    def add_user(self, name: str, password: str = "secret") -> None:  # noqa: S107 -- it guards nothing
        """Add a user with an empty INBOX."""
        self._running.call(Stage.add_user, name, password)
        self._passwords[name] = password

    def remove_user(self, name: str) -> None:
        """Remove a user with all mail."""
        self._running.call(Stage.remove_user, name)
        self._passwords.pop(name, None)

    def add_mailbox(self, name: str, *, special_use: str | None = None, user: str | None = None) -> None:
        r"""Add an empty mailbox; `special_use` is an attribute such as `\Sent`."""
        self._running.call(Stage.add_mailbox, user or self.user, name, special_use)

    def deliver(
        self,
        mail: Mail | None = None,
        *,
        mailbox: str = "INBOX",
        user: str | None = None,
        flags: Iterable[str] = (),
        received: dt.datetime | None = None,
        **fields: Any,
    ) -> int:
        """
        Put a message into a mailbox, as a delivery would; return its UID.

        Args:
            mail: the message; None for a small one made of `fields` (`subject`, `sender`, `to`, `text`, `date`,
                `headers`; see `make_message`).
            mailbox, user: where.
            flags: system flags and keywords.
            received: the internal date; None for now.
            fields: what stands in the message that is made.

        """
        if mail is not None and fields:
            raise TypeError(f"a message that is given takes no {', '.join(fields)}")
        octets = make_message(**fields) if mail is None else as_octets(mail)
        return self.deliver_many([octets], mailbox=mailbox, user=user, flags=flags, received=received)[0]

    def deliver_many(
        self,
        mails: Sequence[Mail] | int,
        *,
        mailbox: str = "INBOX",
        user: str | None = None,
        flags: Iterable[str] = (),
        received: dt.datetime | None = None,
    ) -> list[int]:
        """Put several messages into a mailbox in one step; a number means so many small ones. Return the UIDs."""
        if isinstance(mails, int):
            mails = [make_message(subject=f"Message {number}") for number in range(1, mails + 1)]
        moment = None if received is None else int(received.timestamp())
        return self._running.call(
            Stage.deliver,
            user or self.user,
            mailbox,
            [as_octets(each) for each in mails],
            tuple(flags),
            moment,
        )

    def store(
        self,
        uids: int | Iterable[int],
        mode: Mode,
        *flags: str,
        mailbox: str = "INBOX",
        user: str | None = None,
    ) -> None:
        r"""Change flags as another client would: `store(7, "+", "\\Seen")`."""
        self._running.call(Stage.store_flags, user or self.user, mailbox, _numbers(uids), mode, flags)

    def expunge(self, uids: int | Iterable[int], *, mailbox: str = "INBOX", user: str | None = None) -> None:
        """Remove messages as another client would, whatever their flags."""
        self._running.call(Stage.expunge, user or self.user, mailbox, _numbers(uids))

    def look(self, mailbox: str = "INBOX", *, user: str | None = None) -> StoredMailbox:
        """Return what a mailbox holds, past all clients and faults."""
        return self._running.call(Stage.look, user or self.user, mailbox)

    def mailboxes(self, *, user: str | None = None) -> list[str]:
        """Return the names of a user's mailboxes, sorted."""
        return self._running.call(Stage.mailbox_names, user or self.user)

    # --- clients --------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        """Return a connected socket; the greeting is not read yet. It is closed with the server."""
        connected = socket.create_connection((self.host, self.port), CONNECT_SECONDS_MAX)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._clients.enter_context(contextlib.closing(connected))

    def imaplib(self, user: str | None = None) -> imaplib.IMAP4:
        """Return a client of the standard library, logged in. It is closed with the server."""
        client = imaplib.IMAP4(self.host, self.port, CONNECT_SECONDS_MAX)
        self._clients.callback(_shut, client)
        name = user or self.user
        client.login(name, self._passwords[name])
        return client

    def client(self, user: str | None = None, **options: Any) -> Client:
        """
        Return a client of `modseq.client.sync`, logged in. It is closed with the server.

        Args:
            user: whose mail; None for the first user's.
            options: as for `modseq.client.sync.connect`: `enable`, `seconds`, `quirks`.

        """
        name = user or self.user
        client = sync.connect(self.url_of(name), password=self._passwords[name], **options)
        self._clients.callback(client.close)
        return client

    def async_client(self, user: str | None = None, **options: Any) -> Connecting:
        """Return what `modseq.client.connect` returns: `async with server.async_client() as client`."""
        name = user or self.user
        return connect(self.url_of(name), password=self._passwords[name], **options)

    @property
    def connection_count(self) -> int:
        """How many IMAP connections there are."""
        return self._running.call(Stage.connection_count)

    # --- the conversation -----------------------------------------------------------------------

    def wire_lines(self) -> list[WireLine]:
        """Return what was heard and said so far, without passwords."""
        now = [] if self._host is None else self._host.call(Stage.wire_lines)
        return [*self._earlier_lines, *now]

    def wire_log(self, lines_max: int | None = None) -> str:
        """Return the conversation as text, the newest lines of it."""
        lines = self.wire_lines()
        left_out = 0 if lines_max is None else max(0, len(lines) - lines_max)
        head = [f"... {left_out:,} lines before"] if left_out else []
        return "\n".join([*head, *map(str, lines[left_out:])])

    def commands(self) -> list[str]:
        """Return the lines that clients sent, without their tags: what a test can assert."""
        return [line.text.partition(" ")[2] for line in self.wire_lines() if line.speaker == "C"]


def _numbers(uids: int | Iterable[int]) -> list[int]:
    return [uids] if isinstance(uids, int) else list(uids)


def _shut(client: imaplib.IMAP4) -> None:
    """Close a client that may have been closed by the test."""
    with contextlib.suppress(OSError):
        client.shutdown()
