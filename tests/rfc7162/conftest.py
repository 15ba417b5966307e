"""A server on each backend, and mailboxes that already hold something."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modseq.core.history import ExpungeLog, History
from modseq.storage.base import Store
from modseq.storage.memory import MemoryStore
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.store import SqliteStore
from server.serving import Server, serving
from server.talk import Conversation

MESSAGE = b"From: ann@example.org\r\nSubject: a message\r\n\r\nHello.\r\n"

BACKENDS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda directory: SqliteStore(directory / "data", sync="off"),
}
"""How to open an empty store of each backend, given a directory."""


@pytest.fixture(params=BACKENDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A running server with the user alice, whose INBOX is empty and stands at mod-sequence 1."""
    with serving(BACKENDS[request.param](tmp_path)) as running:
        yield running


@pytest.fixture
def validity(server: Server) -> str:
    """The UIDVALIDITY of INBOX."""

    async def work() -> int:
        return (await server.store.account("alice")).listing().find("INBOX").uid_validity

    return str(server.call(work()))


@pytest.fixture
def talk(server: Server, validity: str) -> Iterator[Conversation]:
    """A conversation in which `$v` is INBOX's UIDVALIDITY."""
    with Conversation(server) as conversation:
        conversation.captures["v"] = validity
        yield conversation


@pytest.fixture
def fill(server: Server) -> Callable[..., None]:
    r"""
    Put messages into a mailbox with one command: in an empty mailbox UIDs 1 to n with mod-sequence 2.

    Another session has seen them afterwards: none is \Recent.
    """

    def put(count: int, mailbox: str = "INBOX", flags: str = "") -> None:
        with Conversation(server) as talk:
            message = f"{flags and f'({flags}) '}{{{{m}}}}"
            for first in range(0, count, 100):
                messages = " ".join([message] * min(100, count - first))
                talk.run(f"C: a APPEND {mailbox} {messages}\nS: a OK [APPENDUID", m=MESSAGE)
            talk.run(f"C: b SELECT {mailbox}\nS: b OK")

    return put


@pytest.fixture
def forget_expunges(server: Server) -> Callable[[str, int], None]:
    """Forget the expunges of a mailbox up to a mod-sequence, as an operator's bound would."""

    def forget(mailbox: str, horizon: int) -> None:
        async def work() -> None:
            account = await server.store.account("alice")
            state = account.published(account.listing().find(mailbox).mailbox_id).copy()
            expunged = ExpungeLog()
            for change in state.history.after(state.history.floor, state.mod_seq):
                expunged.extend(change.mod_seq, change.vanished)
            state.horizon = min(horizon, state.mod_seq)
            expunged.forget(state.horizon)
            state.history = History(floor=state.mod_seq, expunged=expunged)
            # Each backend publishes from a table of its own.
            states = account._shown.states if isinstance(account, SqliteAccount) else account._states
            states[state.mailbox_id] = state

        server.call(work())

    return forget
