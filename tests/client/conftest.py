"""Both drivers, and real servers that run for all tests of this folder."""

import itertools
from dataclasses import dataclass

import pytest

from client.blocking import DRIVES
from dovecot_server import DOVECOT_PASSWORD, dovecot
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


@pytest.fixture(scope="session")
def modseq_server(tmp_path_factory):
    with Running(tmp_path_factory.mktemp("modseq")) as running:
        host, port = running.address
        yield Real("modseq", f"imap+insecure://{host}:{port}", USER, PASSWORD)


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
