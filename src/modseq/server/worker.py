"""One process that serves: a store, the listeners on it, and how they stop."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from modseq.limits import STOP_SECONDS_MAX
from modseq.server import commands
from modseq.server.addresses import Address
from modseq.server.auth import Authenticator
from modseq.server.connection import Doorman
from modseq.server.listener import Listener, tls_context
from modseq.server.lmtp import LmtpService
from modseq.server.service import Service
from modseq.server.settings import Settings, SettingsError
from modseq.server.throttle import LoginRecords, Throttle
from modseq.storage.base import Store

_log = logging.getLogger(__name__)

OpenStore: TypeAlias = Callable[[Settings], Awaitable[Store]]
ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread that computes may keep the event loop waiting; Python's default is ten times that."""


class Worker:
    """
    Serves bound sockets until it is told to stop.

    Args:
        settings: as read and checked.
        name: what ID tells of this process.
        open_store: opens the mail; called in the running loop.
        sockets: each with the protocol spoken on it: `imap`, `imaps`, `lmtp`.
        make_doorman: makes who lets IMAP connections in; called as `Doorman` is.
        login_records: failed logins, shared with the other workers; None for a worker that serves alone.

    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        open_store: OpenStore,
        sockets: Sequence[tuple[str, socket.socket]],
        *,
        make_doorman: Callable[..., Doorman] = Doorman,
        login_records: LoginRecords | None = None,
    ) -> None:
        self._settings = settings
        self._make_doorman = make_doorman
        self._login_records = login_records
        self._name = name
        self._open_store = open_store
        self._sockets = sockets
        self._listeners: list[Listener] = []
        self._store: Store | None = None
        self._doorman: Doorman | None = None
        self._lmtp: LmtpService | None = None

    @property
    def addresses(self) -> list[tuple[str, Address]]:
        """The real address of each listener, with its protocol."""
        return [
            (protocol, each.address)
            for (protocol, _), each in zip(self._sockets, self._listeners, strict=True)
        ]

    async def start(self) -> None:
        """Open the store and begin to accept."""
        assert commands.access is not None, "importing the handlers fills the registry"
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        settings = self._settings
        tls = read_certificate(settings)
        self._store = await self._open_store(settings)
        authenticator = Authenticator(
            self._store.directory,
            cost=settings.password_cost,
            throttle=Throttle(settings.login_delay_seconds, records=self._login_records),
        )
        service = Service(
            self._store,
            authenticator,
            worker=self._name,
            allow_plaintext=settings.allow_plaintext,
            can_start_tls=tls is not None,
            idle_poll_seconds=settings.idle_poll_seconds,
            connections_per_user_max=settings.connections_per_user_max,
        )
        self._doorman = self._make_doorman(
            service,
            tls,
            strangers_max=settings.connections_before_login_max,
            per_address_max=settings.connections_per_address_max,
            idle_seconds_max=settings.idle_seconds_max,
            stranger_seconds_max=settings.idle_before_login_seconds_max,
            login_seconds_max=settings.before_login_seconds_max,
        )
        self._lmtp = LmtpService(self._store, settings.host_name or socket.gethostname())
        factories: dict[str, ProtocolFactory] = {
            "imap": self._doorman.plain,
            "imaps": self._doorman.secure,
            "lmtp": self._lmtp.connection,
        }
        for protocol, bound in self._sockets:
            listener = Listener(bound, factories[protocol], tls if protocol == "imaps" else None)
            self._listeners.append(listener)
            await listener.start()

    async def stop(self) -> None:
        """Accept no more, say BYE behind running commands, finish commits, close the store."""
        for listener in self._listeners:
            listener.stop()
        if self._lmtp is not None and self._doorman is not None:
            await asyncio.gather(
                self._lmtp.stop(), self._doorman.send_home("The server stops", STOP_SECONDS_MAX)
            )
            await self._doorman.service.authenticator.close()
        if self._store is not None:
            await self._store.close()


def read_certificate(settings: Settings) -> ssl.SSLContext | None:
    """Return what TLS is spoken with, None without a certificate; raises SettingsError."""
    if not settings.tls_cert:
        return None
    try:
        return tls_context(Path(settings.tls_cert), Path(settings.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the certificate or its key cannot be used: {error}") from error


def run(worker: Worker, *, use_uvloop: bool, ready: Callable[[], None], lifeline: int | None = None) -> None:
    """
    Run a worker until SIGTERM or SIGINT arrives.

    Args:
        worker: not yet started.
        use_uvloop: as set; a missing uvloop is logged and done without.
        ready: called once everything listens.
        lifeline: a descriptor that becomes readable when the process that started this one is gone.

    """
    with asyncio.Runner(loop_factory=_loop_factory(use_uvloop=use_uvloop)) as runner:
        runner.run(_serve(worker, ready, lifeline))


async def _serve(worker: Worker, ready: Callable[[], None], lifeline: int | None) -> None:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, told_to_stop.set)
    try:
        await worker.start()
        ready()
        await told_to_stop.wait()
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        await worker.stop()


def _loop_factory(*, use_uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not use_uvloop:
        return None
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        _log.warning("uvloop is not installed; asyncio's own event loop serves")
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
