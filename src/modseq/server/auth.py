"""Who a client is: passwords checked by argon2id on threads, successes remembered, guesses slowed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import argon2

from modseq import clock
from modseq.limits import (
    LOGIN_CACHE_ENTRIES_MAX,
    LOGIN_CACHE_SECONDS,
    PASSWORD_BYTES_MAX,
    PASSWORD_THREADS_MAX,
    PASSWORDS_WAITING_MAX,
    USER_NAME_BYTES_MAX,
)
from modseq.server.throttle import Throttle
from modseq.storage.base import Directory

_log = logging.getLogger(__name__)
_SEPARATOR = b"\0"
_PASSWORD_NICENESS = 10
"""How much nicer than the server; on Linux niceness is a thread's own."""
_NICENESS_MAX = 19


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """
    What checking one password takes; the defaults are argon2id's second recommendation.

    Attributes:
        passes: how often the memory is gone through.
        memory_kib: memory in KiB.
        lanes: parallel lanes.

    """

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4

    def hasher(self) -> argon2.PasswordHasher:
        """Return a hasher with these costs."""
        return argon2.PasswordHasher(
            time_cost=self.passes, memory_cost=self.memory_kib, parallelism=self.lanes
        )


def hash_password(password: bytes, cost: PasswordCost | None = None) -> str:
    """Return what the directory keeps instead of a password; takes some 50 ms of one core."""
    return (cost or PasswordCost()).hasher().hash(password)


class TooManyAttempts(Exception):
    """So many attempts wait for this address or user that another is not worth waiting for."""


def _yield_to_others() -> None:
    """Let this thread, and those that argon2 starts from it, run when nobody else wants to."""
    thread = threading.get_native_id()
    niceness = os.getpriority(os.PRIO_PROCESS, thread) + _PASSWORD_NICENESS
    os.setpriority(os.PRIO_PROCESS, thread, min(niceness, _NICENESS_MAX))


class Authenticator:
    """
    Checks passwords for all sessions of a process.

    A wrong user costs what a wrong password costs. A success is remembered under a keyed digest of user,
    stored hash and password (the key lives as long as the process), so that clients which log in often
    cost no argon2; a changed password is noticed because the stored hash is part of the digest.

    Users known at their address do not wait behind those who guess: their passwords are checked by a thread
    of their own, and the others yield the processor to whoever is logged in.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        cost: PasswordCost | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        self._directory = directory
        self._hasher = (cost or PasswordCost()).hasher()
        self._threads = ThreadPoolExecutor(PASSWORD_THREADS_MAX, "password", _yield_to_others)
        self._known_threads = ThreadPoolExecutor(1, "known-password")
        self._waiting = 0
        self._throttle = throttle or Throttle()
        self._key = clock.random_bytes(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._decoy: str | None = None

    async def check(
        self, user: str, password: bytes, *, address: str, is_wanted: Callable[[], bool] = lambda: True
    ) -> bool:
        """
        Return whether the password is this user's, after the wait that earlier failures cost.

        Args:
            user, password, address: who says to be whom, and from where.
            is_wanted: whether somebody still waits for the answer; asked after the wait.

        Raises TooManyAttempts when that wait would be too long, or too many others wait.

        """
        wait = self._throttle.wait_seconds(address, user)
        if wait is None:
            raise TooManyAttempts
        if wait:
            await asyncio.sleep(wait)
            if not is_wanted():
                return False
        if await self._is_right(user, password, is_known=self._throttle.is_known(address, user)):
            self._throttle.succeeded(address, user)
            return True
        self._throttle.failed(address, user)
        _log.info("login refused", extra={"user": user[:USER_NAME_BYTES_MAX], "address": address})
        return False

    async def close(self) -> None:
        """Let running checks finish and stop the threads."""
        for threads in (self._threads, self._known_threads):
            await asyncio.get_running_loop().run_in_executor(None, threads.shutdown)

    async def _is_right(self, user: str, password: bytes, *, is_known: bool) -> bool:
        is_sane = len(user.encode()) <= USER_NAME_BYTES_MAX and len(password) <= PASSWORD_BYTES_MAX
        stored = await self._directory.password_hash(user) if is_sane else None
        if stored is not None and self._is_remembered(digest := self._digest(user, stored, password)):
            return True
        is_right = await self._verified(stored, password[:PASSWORD_BYTES_MAX], is_known=is_known)
        if stored is None or not is_right:
            return False
        self._remember(digest)
        return True

    async def _verified(self, stored: str | None, password: bytes, *, is_known: bool) -> bool:
        """Run argon2 on a thread; raises TooManyAttempts when too many wait for that."""
        loop = asyncio.get_running_loop()
        if is_known:
            return await loop.run_in_executor(self._known_threads, self._verify, stored, password)
        if self._waiting >= PASSWORDS_WAITING_MAX:
            raise TooManyAttempts
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._threads, self._verify, stored, password)
        finally:
            self._waiting -= 1

    def _verify(self, stored: str | None, password: bytes) -> bool:
        """Run argon2; for a user who is not there, against a hash that nobody knows the password of."""
        if stored is None:
            if self._decoy is None:
                self._decoy = self._hasher.hash(clock.random_bytes(32))
            stored = self._decoy
        try:
            return self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    # --- remembered successes ---

    def _digest(self, user: str, stored: str, password: bytes) -> bytes:
        message = _SEPARATOR.join((user.encode(), stored.encode(), password))
        return hmac.new(self._key, message, hashlib.sha256).digest()

    def _is_remembered(self, digest: bytes) -> bool:
        until = self._remembered.get(digest)
        if until is None:
            return False
        if until < clock.monotonic_seconds():
            del self._remembered[digest]
            return False
        return True

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = clock.monotonic_seconds() + LOGIN_CACHE_SECONDS
        if len(self._remembered) > LOGIN_CACHE_ENTRIES_MAX:
            self._remembered.popitem(last=False)


@dataclass(frozen=True, slots=True)
class PlainMessage:
    """
    The client's one message of SASL PLAIN.

    RFC: 4616 section 2
    """

    authorization: str
    """Whom the client wants to act for; "" for itself."""
    user: str
    password: bytes


def read_plain(message: bytes) -> PlainMessage | None:
    """
    Return what a SASL PLAIN message says, None if it is not one.

    Grammar: message = [authzid] UTF8NUL authcid UTF8NUL passwd
    RFC: 4616 section 2
    """
    fields = message.split(_SEPARATOR)
    if len(fields) != 3:
        return None
    authorization, user, password = fields
    try:
        read = PlainMessage(authorization.decode(), user.decode(), password)
    except UnicodeDecodeError:
        return None
    return read if read.user and read.password else None
