"""Mirrors and servers for tests: every mirror is checked for defects when its test is over."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dovecot_server import DOVECOT_PASSWORD, Dovecot, dovecot
from mirror_net import PASSWORD, USER, Address, Other, account, sync
from modseq.mirror.replica import Replica
from modseq.mirror.sync import Report
from server.serving import serving

_numbers = itertools.count()


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    with Replica(tmp_path / "mirror.sqlite", create=True) as replica:
        yield replica
        assert replica.check() == []


@dataclass(frozen=True)
class Place:
    """An account on a server that runs."""

    kind: str
    address: Address
    user: str
    password: str

    def other(self) -> Other:
        return Other(self.address, self.user, self.password)

    def account(self) -> dict[str, dict[int, tuple[str, int]]]:
        return account(self.address, self.user, self.password)

    async def sync(self, replica: Replica, address: Address | None = None, **options: object) -> Report:
        return await sync(replica, address or self.address, user=self.user, password=self.password, **options)


@pytest.fixture(scope="session")
def one_dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    with dovecot(tmp_path_factory.mktemp("dovecot")) as server:
        yield server


@pytest.fixture(params=["modseq", "dovecot"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A fresh account on each server."""
    if request.param == "modseq":
        with serving() as server:
            yield Place("modseq", server.address, USER, PASSWORD)
    else:
        server = request.getfixturevalue("one_dovecot")
        yield Place("dovecot", (server.host, server.port), f"user{next(_numbers)}", DOVECOT_PASSWORD)
