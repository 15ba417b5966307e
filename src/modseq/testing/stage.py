"""The server under a test, in its own event loop: what the hosts drive and the test never touches itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modseq.core.errors import UserNotFound
from modseq.core.mailbox_operations import INBOX, CreateMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Purge
from modseq.core.store_flags import Mode, StoreFlags
from modseq.server.addresses import TcpAddress, bind
from modseq.server.auth import PasswordCost, hash_password
from modseq.server.connection import Doorman
from modseq.server.delivery import intake
from modseq.server.settings import Settings
from modseq.server.worker import Worker
from modseq.storage.base import Account, Store
from modseq.storage.memory import MemoryStore
from modseq.storage.sqlite.store import SqliteStore
from modseq.testing.connection import PlannedConnection, PlannedDoorman
from modseq.testing.mail import StoredMailbox, StoredMessage
from modseq.testing.plan import Plan, Refusal
from modseq.testing.quirks import Quirk
from modseq.testing.refusing import known_capabilities
from modseq.testing.storage import PlannedStore, ResetUidValidity
from modseq.testing.wirelog import WireLine, WireLog

Storage = Literal["memory", "disk"]

CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
"""Passwords of tests guard nothing, and a test should not wait for them."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    What a test's server is.

    Attributes:
        storage: `memory`, or `disk`: the embedded store, without syncs.
        directory: where the embedded store lies.
        certificate, key: files in PEM; with them the server also speaks TLS.
        settings: settings of the server by name, over what suits tests.

    """

    storage: Storage = "memory"
    directory: str = ""
    certificate: str | None = None
    key: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


Ports = dict[str, int]
"""Protocol to port: `imap`, `lmtp`, and `imaps` where there is a certificate."""


class Stage:
    """One server. All methods run in one event loop and take and give plain values."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.plan = Plan()
        self.log = WireLog()
        self._memory: MemoryStore | None = None
        self._store: Store | None = None
        self._worker: Worker | None = None
        self._doorman: PlannedDoorman | None = None
        self._failures: list[str] = []
        self._switch_interval_seconds = sys.getswitchinterval()

    # --- life -----------------------------------------------------------------------------------

    async def start(self, ports: Ports) -> Ports:
        """Begin to serve, on these ports or free ones; return which."""
        asyncio.get_running_loop().set_exception_handler(self._note_failure)
        settings = self._settings()
        protocols = ["imap", "lmtp", *(["imaps"] if self._options.certificate else [])]
        with contextlib.ExitStack() as unless_started:
            sockets = []
            for protocol in protocols:
                bound = bind(TcpAddress("127.0.0.1", ports.get(protocol, 0)))
                sockets.append((protocol, unless_started.enter_context(bound)))
            self._worker = Worker(settings, "1", self._open_store, sockets, make_doorman=self._make_doorman)
            await self._worker.start()
            unless_started.pop_all()
        return {protocol: bound.getsockname()[1] for protocol, bound in sockets}

    def _settings(self) -> Settings:
        return Settings(
            **{
                "data": self._options.directory or "memory",
                "allow_plaintext": True,
                "tls_cert": self._options.certificate or "",
                "tls_key": self._options.key or "",
                "idle_poll_seconds": 1.0,
                "login_delay_seconds": 0.0,
                "password_passes": CHEAP.passes,
                "password_memory_kib": CHEAP.memory_kib,
                "password_lanes": CHEAP.lanes,
                **self._options.settings,
            }
        )

    def _make_doorman(self, *args: Any, **options: Any) -> Doorman:
        self._doorman = PlannedDoorman(*args, **options, plan=self.plan, log=self.log)
        return self._doorman

    async def _open_store(self, _: Settings) -> Store:
        inner: Store
        if self._options.storage == "memory":
            inner = self._memory = self._memory or MemoryStore()
        else:
            inner = SqliteStore(self._options.directory, wakeups=False, sync="off")
        self._store = PlannedStore(inner, self.plan)
        return self._store

    async def stop(self, *, abruptly: bool = False) -> list[str]:
        """Stop to serve and return what went wrong in the server itself; the mail is kept for `start`."""
        self.plan.release()
        if abruptly:
            await self.drop_connections()
        if self._worker is not None:
            await self._worker.stop()
            self._worker = self._doorman = self._store = None
        sys.setswitchinterval(self._switch_interval_seconds)
        failures, self._failures = self._failures, []
        return failures

    def _note_failure(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    # --- users and mail -------------------------------------------------------------------------

    async def add_user(self, name: str, password: str) -> None:
        """Add a user with an empty INBOX."""
        assert self._store is not None
        await self._store.directory.add(name, hash_password(password.encode(), CHEAP))

    async def remove_user(self, name: str) -> None:
        """Remove a user with all mail."""
        assert self._store is not None
        await self._store.directory.remove(name)

    async def add_mailbox(self, user: str, name: str, special_use: str | None) -> None:
        """Add an empty mailbox."""
        await (await self._account(user)).commit(CreateMailbox(name, special_use))

    async def deliver(
        self, user: str, mailbox: str, mails: Sequence[bytes], flags: Sequence[str], received_at: int | None
    ) -> list[int]:
        """Put messages into a mailbox under one mod-sequence; return their UIDs."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        messages = tuple([await intake(octets, flags, received_at) for octets in mails])
        outcome = await account.commit(Append(mailbox_id, messages))
        return list(outcome.uids)

    async def store_flags(
        self, user: str, mailbox: str, uids: Sequence[int], mode: Mode, flags: Sequence[str]
    ) -> None:
        """Change flags as another session would."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        await account.commit(StoreFlags(mailbox_id, NumSet(uids), mode, tuple(flags)))

    async def expunge(self, user: str, mailbox: str, uids: Sequence[int]) -> None:
        """Remove messages as another session would."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        await account.commit(Purge(mailbox_id, NumSet(uids)))

    async def look(self, user: str, mailbox: str) -> StoredMailbox:
        """Return a mailbox with all its messages."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        state = await account.mailbox(mailbox_id)
        rows = {row.uid: row for row in await account.rows(mailbox_id, list(state.index), ready=False)}
        messages = []
        for uid in state.index:
            view = state.message(uid)
            if view is not None and uid in rows:
                flags = frozenset(state.flag_table.names(view.flags))
                data = await account.read(rows[uid].email_id)
                messages.append(StoredMessage(uid, flags, view.mod_seq, data))
        return StoredMailbox(mailbox, state.uid_validity, state.uid_next, state.mod_seq, tuple(messages))

    async def mailbox_names(self, user: str) -> list[str]:
        """Return the names of a user's mailboxes."""
        account = await self._account(user)
        await account.refresh()
        return sorted(account.listing().mailboxes)

    async def _account(self, user: str) -> Account:
        if self._store is None:
            raise UserNotFound("The server does not run.")
        return await self._store.account(user)

    async def _mailbox(self, user: str, name: str) -> tuple[Account, int]:
        account = await self._account(user)
        await account.refresh()
        wanted = INBOX if name.upper() == INBOX else name
        return account, account.listing().find(wanted).mailbox_id

    async def wire_lines(self) -> list[WireLine]:
        """Return the conversation so far."""
        return self.log.lines()

    async def connection_count(self) -> int:
        """Return how many IMAP connections there are."""
        return 0 if self._doorman is None else len(self._doorman.connections)

    # --- faults ---------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.plan.heal()

    async def reset_uid_validity(self, user: str, mailbox: str) -> int:
        """Put the messages of a mailbox into a new one of its name."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        return await account.commit(ResetUidValidity(mailbox_id))

    async def forget_history(self, user: str, mailbox: str, horizon: int | None) -> None:
        """Forget expunges up to a mod-sequence, None for all."""
        account, mailbox_id = await self._mailbox(user, mailbox)
        highest = (await account.mailbox(mailbox_id)).mod_seq
        self.plan.horizons[user, mailbox_id] = highest if horizon is None else min(horizon, highest)

    async def set_plan(self, /, **fields: Any) -> None:
        """Set what is to go wrong; see `Plan`."""
        for name, value in fields.items():
            setattr(self.plan, name, value)

    async def slow_command(self, name: str, seconds: float) -> None:
        """Keep commands of a name waiting; "" for all that have no wait of their own."""
        self.plan.slow_seconds[name] = seconds

    async def refuse_command(self, name: str, reply: str, times: int | None) -> None:
        """Answer commands without running them."""
        self.plan.refusals.append(Refusal(name, reply, times))

    async def refuse_capabilities(self, words: Sequence[str]) -> None:
        """Be a server without some capabilities; raises ValueError for one that there is not."""
        wanted = {word.upper() for word in words}
        if unknown := wanted - known_capabilities():
            raise ValueError(f"there is no capability {', '.join(sorted(unknown))} to refuse")
        self.plan.refused |= wanted

    async def behave_like(self, quirks: Sequence[Quirk]) -> None:
        """Get some things wrong from now on."""
        self.plan.quirks |= set(quirks)

    async def refuse_connections(self, reply: str, times: int) -> None:
        """Send the next connections away."""
        self.plan.greetings += [reply] * times

    async def drop_connections(self) -> None:
        """Break all connections off without a word."""
        for connection in self._connections():
            connection.drop()

    async def say_bye(self, reason: str) -> None:
        """Say BYE on all connections and close them."""
        for connection in self._connections():
            connection.cut(reason)

    def _connections(self) -> list[PlannedConnection]:
        if self._doorman is None:
            return []
        return [each for each in self._doorman.connections if isinstance(each, PlannedConnection)]
