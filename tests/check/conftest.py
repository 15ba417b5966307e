"""A server in memory, and the checker's view of it."""

import pytest

from modseq.check.connection import Target
from modseq.check.server import Mailboxes, learn, with_keywords
from server.serving import PASSWORD, USER, serving


@pytest.fixture(scope="session")
def server():
    with serving() as running:
        yield running


@pytest.fixture
def target(server):
    host, port = server.address
    return Target(host, port, USER, PASSWORD, seconds_max=5)


@pytest.fixture
def mailboxes(target):
    made = Mailboxes(target)
    yield made
    assert made.remove() == []
    made.drop()


@pytest.fixture
def facts(target, mailboxes):
    return with_keywords(learn(target), mailboxes)
