"""Servers of each kind, and conversations with them."""

import pytest

from modseq.testing import ImapServer
from server.talk import Conversation

KINDS = {
    "memory": {},
    "disk": {"storage": "disk"},
    "process": {"process": True},
    "disk-process": {"storage": "disk", "process": True},
}


@pytest.fixture(params=KINDS)
def any_server(request):
    with ImapServer(**KINDS[request.param]) as server:
        yield server


@pytest.fixture(params=["memory", "disk"])
def stored_server(request):
    with ImapServer(**KINDS[request.param]) as server:
        yield server


@pytest.fixture
def talk_to():
    """Return a function that opens a conversation with a server."""
    opened = []

    def open_conversation(server, *, login=True):
        opened.append(Conversation(server, login=login, user="ann", password="secret"))
        return opened[-1]

    yield open_conversation
    for talk in opened:
        talk.close()
