"""Both drivers, and real servers that run for all tests of this folder."""

import asyncio
import itertools
from dataclasses import dataclass

import pytest

from client.blocking import DRIVES
from dovecot_server import DOVECOT_PASSWORD, dovecot
from modseq.server.auth import PasswordCost, hash_password
from modseq.storage.sqlite.store import SqliteStore
from wire_client import PASSWORD, USER
from wire_server import Running


@pytest.fixture(params=DRIVES)
def drive(request):
    """`connect` of one driver, blocking in either case."""
    return DRIVES[request.param]


@dataclass
class Real:
    """A running server and a mailbox of the test's own."""

    name: str
    url: str
    user: str
    password: str
    mailbox: str = ""

    @property
    def login(self):
        return {"user": self.user, "password": self.password, "seconds": 20.0}


class ModseqProcess:
    """A modseq of its own process, to which users can be added."""

    def __init__(self, running):
        self.running = running
        host, port = running.address
        self.real = Real("modseq", f"imap+insecure://{host}:{port}", USER, PASSWORD)

    def add_user(self, name):
        async def add():
            async with SqliteStore(self.running.data) as store:
                await store.directory.add(name, hash_password(PASSWORD.encode(), PasswordCost(1, 8, 1)))

        asyncio.run(add())


@pytest.fixture(scope="session")
def modseq_process(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("modseq")) as running:
        yield ModseqProcess(running)


@pytest.fixture(scope="session")
def modseq_server(modseq_process):
    return modseq_process.real


@pytest.fixture(scope="session")
def dovecot_server(tmp_path_factory):
    with dovecot(tmp_path_factory.mktemp("dovecot")) as running:
        yield Real("dovecot", f"imap+insecure://{running.host}:{running.port}", "ann", DOVECOT_PASSWORD)


_numbers = itertools.count(1)


@pytest.fixture(params=["modseq", "dovecot"])
def real(request):
    """One of the real servers, with a new mailbox."""
    server = request.getfixturevalue(f"{request.param}_server")
    name = f"box{next(_numbers)}"
    with DRIVES["sync"](server.url, **server.login) as client:
        client.create(name)
    return Real(server.name, server.url, server.user, server.password, name)
