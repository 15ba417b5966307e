"""
Processes for test servers, ready at once: one process that has loaded the server and forks on request.

Loading the server takes a quarter of a second, forking a process that has loaded it some milliseconds. The
nursery has no threads and no event loop, so forking it is safe, which forking a test's process is not. It
ends when the process that started it does, and so does every child.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from modseq.server import logs
from modseq.testing.stage import Options, Stage


class ServerGone(ConnectionError):
    """The process of the server ended."""


class Child:
    """The near end of one server process."""

    def __init__(self, channel: Connection, options: Options) -> None:
        self._channel = channel
        self.pid: int = self._receive(10.0)
        channel.send(options)

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], seconds_max: float) -> Any:
        """Run a method of the stage; raises what it raises, and ServerGone."""
        try:
            self._channel.send((name, tuple(args), dict(kwargs)))
        except OSError as error:
            raise ServerGone("the server's process has ended") from error
        is_error, value = self._receive(seconds_max)
        if is_error:
            raise value
        return value

    def _receive(self, seconds_max: float) -> Any:
        try:
            if not self._channel.poll(seconds_max):
                raise TimeoutError(f"the server's process did not answer within {seconds_max} s")
            return self._channel.recv()
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ServerGone("the server's process has ended") from error

    def kill(self) -> None:
        """Kill the process; when this returns it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        # Its end of the channel closes with it.
        while True:
            try:
                self._channel.recv()
            except (EOFError, OSError):
                return

    def close(self) -> None:
        """Tell the process to end."""
        self._channel.close()


class Nursery:
    """The process that forks."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, this module
                [sys.executable, "-c", _NURSERY, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def child(self, options: Options) -> Child:
        """Start a process with a stage in it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"."], [theirs.fileno()])
        return Child(Connection(ours.detach()), options)

    def close(self) -> None:
        """Let it end, and all servers with it."""
        self._socket.close()
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            # A process that the test forked still holds the other end.
            self._process.terminate()
            self._process.wait()


_END_SECONDS_MAX = 5.0
_NURSERY = "import sys; from modseq.testing.nursery import fork_on_request; fork_on_request(int(sys.argv[1]))"
_lock = threading.Lock()
_nursery: Nursery | None = None


def nursery() -> Nursery:
    """Return this process's nursery, started on first use."""
    global _nursery  # noqa: PLW0603 -- one for all servers of this process
    with _lock:
        if _nursery is None or not _nursery.is_alive:
            _nursery = Nursery()
            atexit.register(_nursery.close)
        return _nursery


# --- in the other processes -----------------------------------------------------------------------


def fork_on_request(descriptor: int) -> None:
    """Fork a server for each descriptor that arrives, until nobody can send one any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test, which then lets us go
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(fileno=descriptor) as requests:
        while True:
            octets, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
            if not octets:
                return
            if os.fork() == 0:
                requests.close()
                _be_server(Connection(descriptors[0]))
            os.close(descriptors[0])


def _be_server(channel: Connection) -> None:
    """Serve one test's server in this process; never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        logs.set_up("warning", "text", "test")
        channel.send(os.getpid())
        asyncio.run(_serve(channel, channel.recv()))
        status = 0
    except (EOFError, OSError):
        status = 0
    finally:
        os._exit(status)


async def _serve(channel: Connection, options: Options) -> None:
    """Do what the other side asks until it is gone."""
    stage = Stage(options)
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                name, args, kwargs = await loop.run_in_executor(None, channel.recv)
            except (EOFError, OSError):
                return
            try:
                answer = False, await getattr(stage, name)(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 -- raised again on the other side
                answer = True, error
            channel.send(answer)
    finally:
        await stage.stop(abruptly=True)
