"""What all sessions of one process share, and the account of who is connected."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Literal

from modseq.limits import CONNECTIONS_PER_USER_MAX
from modseq.server.addresses import is_loopback
from modseq.server.auth import Authenticator
from modseq.server.session import Session
from modseq.storage.base import Account, Store

_log = logging.getLogger(__name__)


class Service:
    """
    The store, the passwords and the rules of one server process.

    Attributes:
        store: where the mail is.
        authenticator: who checks passwords.
        worker: the name of this process among those that serve the same listeners; ID tells it.
        allow_plaintext: whether passwords may cross a connection without TLS; `loopback` for clients on
            this machine only.
        can_start_tls: whether there is a certificate.
        idle_poll_seconds: how long IDLE trusts that wake-ups arrive.
        recent_claims: up to where messages were told to be recent, until the storage knows it
            (`modseq.server.recent`).

    """

    __slots__ = (
        "_background",
        "_per_user",
        "allow_plaintext",
        "authenticator",
        "can_start_tls",
        "connections_per_user_max",
        "idle_poll_seconds",
        "recent_claims",
        "sessions",
        "store",
        "worker",
    )

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        *,
        worker: str = "1",
        allow_plaintext: bool | Literal["loopback"] = False,
        can_start_tls: bool = False,
        idle_poll_seconds: float,
        connections_per_user_max: int = CONNECTIONS_PER_USER_MAX,
    ) -> None:
        self.store = store
        self.authenticator = authenticator
        self.worker = worker
        self.allow_plaintext = allow_plaintext
        self.can_start_tls = can_start_tls
        self.idle_poll_seconds = idle_poll_seconds
        self.connections_per_user_max = connections_per_user_max
        self.sessions: set[Session] = set()
        self.recent_claims: dict[tuple[str, int, int], int] = {}
        self._per_user: Counter[str] = Counter()
        self._background: set[asyncio.Task[None]] = set()

    def permits_password(self, session: Session) -> bool:
        """Return whether a password may be sent on this connection as it is."""
        if session.is_secure or self.allow_plaintext is True:
            return True
        return self.allow_plaintext == "loopback" and is_loopback(session.peer)

    async def open_account(self, session: Session, user: str) -> Account | None:
        """Return the account of a user who proved to be it; None when that user has too many sessions."""
        if self._per_user[user] >= self.connections_per_user_max:
            _log.warning("too many sessions of one user", extra={"user": user, "address": session.peer})
            return None
        return await self.store.account(user)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what no client waits for; `finish_background` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def finish_background(self) -> None:
        """Wait for what runs in the background."""
        if self._background:
            await asyncio.wait(set(self._background))

    def joined(self, session: Session) -> None:
        """Count a session that has logged in."""
        assert session.user is not None
        self._per_user[session.user] += 1

    def left(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        self.sessions.discard(session)
        if session.user is not None:
            self._per_user[session.user] -= 1
            if self._per_user[session.user] <= 0:
                del self._per_user[session.user]
