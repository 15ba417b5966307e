"""A server for a test: real sockets, its own thread and event loop, the memory backend."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from modseq.server import commands
from modseq.server.addresses import TcpAddress, bind
from modseq.server.auth import Authenticator, PasswordCost, hash_password
from modseq.server.connection import Doorman
from modseq.server.listener import Listener
from modseq.server.service import Service
from modseq.server.throttle import Throttle
from modseq.storage.base import Store
from modseq.storage.memory import MemoryStore

T = TypeVar("T")
CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
USER, PASSWORD = "alice", "secret"


class Server:
    """
    A running server. Work on its store goes through `call`, which runs a coroutine in its loop.

    Attributes:
        address, secure_address: host and port of the plain and, with a certificate, the TLS listener.
        service, doorman, store: what a test may look into.

    """

    def __init__(self, store: Store | None, tls: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        assert commands.access is not None
        self.store = store or MemoryStore()
        self._tls = tls
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listeners: list[Listener] = []
        self.failures: list[dict[str, Any]] = []
        self._loop.set_exception_handler(lambda _, context: self.failures.append(context))

    def start(self) -> None:
        self._thread.start()
        self.call(self._start())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        self.call(self.store.directory.add(name, hash_password(password.encode(), CHEAP)))

    async def _start(self) -> None:
        options = dict(self._options)
        read_bytes = options.pop("read_bytes", None)
        throttle = Throttle(
            options.pop("login_delay_seconds", 0.01), options.pop("login_delay_seconds_max", 1.0)
        )
        doorman_options = {
            name: options.pop(name)
            for name in (
                "strangers_max",
                "per_address_max",
                "idle_seconds_max",
                "stranger_seconds_max",
                "login_seconds_max",
            )
            if name in options
        }
        self.service = Service(
            self.store,
            Authenticator(self.store.directory, cost=CHEAP, throttle=throttle),
            **{
                "allow_plaintext": True,
                "idle_poll_seconds": 60.0,
                "can_start_tls": self._tls is not None,
                **options,
            },
        )
        self.doorman = Doorman(self.service, self._tls, **doorman_options)
        if read_bytes is not None:
            self.doorman.read_buffer = memoryview(bytearray(read_bytes))
        kinds = [self.doorman.plain]
        if self._tls is not None:
            kinds.append(self.doorman.secure)
        for kind in kinds:
            listener = Listener(bind(TcpAddress("127.0.0.1", 0)), kind)
            await listener.start()
            self._listeners.append(listener)
        self.address, *rest = [(each.address.host, each.address.port) for each in self._listeners]
        self.secure_address = rest[0] if rest else None

    def stop(self) -> None:
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert not self.failures, self.failures

    async def _stop(self) -> None:
        for listener in self._listeners:
            listener.stop()
        await self.doorman.send_home("The server stops", 5)
        await self.service.authenticator.close()
        await self.store.close()

    def connect(self) -> socket.socket:
        connected = socket.create_connection(self.address, 10)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected


@contextlib.contextmanager
def serving(
    store: Store | None = None, tls: ssl.SSLContext | None = None, **options: Any
) -> Iterator[Server]:
    """
    Run a server with the user alice, password secret.

    Options are those of Service and Doorman, `login_delay_seconds`, and `read_bytes`: how much is read
    from a socket at a time; 1 feeds every command octet by octet.
    """
    server = Server(store, tls, options)
    server.start()
    try:
        server.add_user(USER)
        yield server
    finally:
        server.stop()
