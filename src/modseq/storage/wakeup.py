"""Wake-ups between the processes that serve one data directory.

A wake-up says "account 7 moved" and nothing else: whoever gets it asks the storage. It may be late, lost or
sent for nothing. Each process has a datagram socket in the run directory; a socket whose process is gone is
removed by whoever meets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from modseq import clock, limits

_SUFFIX = ".wakeup"
_PEERS_LISTED_SECONDS = 1.0


class Wakeups:
    """This process's ear, and its voice to the others."""

    def __init__(self, directory: Path, heard: Callable[[int], None]) -> None:
        """Args: the run directory; what to call with an account's number."""
        self._directory = directory
        self._heard = heard
        # Names of sockets are bounded to 108 octets, and a data directory may lie deeper: every name
        # goes through a descriptor of the directory.
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{os.getpid()}-{clock.random_token(4)}{_SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._peers: list[str] = []
        self._listed_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen."""
        self._socket.bind(self._path(self._name))
        self._loop = loop
        loop.add_reader(self._socket, self._receive)

    def send(self, account_number: int) -> None:
        """Tell the other processes that an account moved; never waits and never fails."""
        now = clock.monotonic_seconds()
        if now - self._listed_at > _PEERS_LISTED_SECONDS:
            self._list_peers()
            self._listed_at = now
        message = b"%d" % account_number
        for peer in list(self._peers):
            try:
                self._socket.sendto(message, self._path(peer))
            except OSError as error:
                # A full queue means that the peer has wake-ups enough to read.
                if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                    self._forget(peer)

    def _receive(self) -> None:
        moved: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while len(moved) < limits.OPEN_ACCOUNTS_MAX:
                message = self._socket.recv(limits.WAKEUP_DATAGRAM_BYTES_MAX)
                if message.isdigit():
                    moved.add(int(message))
        for account_number in moved:
            self._heard(account_number)

    def _list_peers(self) -> None:
        with contextlib.suppress(OSError):
            names = os.listdir(self._directory_fd)  # noqa: PTH208 -- a descriptor has no Path
            self._peers = [name for name in names if name.endswith(_SUFFIX) and name != self._name]

    def _forget(self, peer: str) -> None:
        self._peers.remove(peer)
        with contextlib.suppress(OSError):
            os.unlink(peer, dir_fd=self._directory_fd)

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._directory_fd}/{name}"

    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._directory_fd)
        self._socket.close()
        os.close(self._directory_fd)
