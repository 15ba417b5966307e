"""The project's own client against the server for tests: handed out logged in, and put to its quirks and faults."""

import asyncio

import pytest

from modseq.client import ConnectionLost, Quirks, ServerSaidBye
from modseq.client.results import MessageData
from modseq.core.numset import NumSet
from modseq.testing import ImapServer, Quirk


def test_a_blocking_client_is_closed_with_the_server():
    with ImapServer() as server:
        server.add_user("bob@example.org", "other")
        server.deliver(user="bob@example.org")
        client = server.client("bob@example.org")
        assert client.select("INBOX").exists == 1
        assert server.client(enable=()).enabled == frozenset()
    assert not client.is_open


def test_an_asyncio_client():
    async def work():
        async with ImapServer() as server, server.async_client() as client:
            server.deliver()
            selected = await client.select("INBOX")
            return selected.exists

    assert asyncio.run(work()) == 1


def copied(changes, held):
    """Apply the changes of a sync to a dictionary of UIDs and flags."""
    for change in changes:
        if isinstance(change, MessageData):
            held[change.uid] = change.flags
        elif hasattr(change, "uids"):
            for uid in change.uids:
                held.pop(uid, None)
        else:
            held.clear()


TOLD = {
    Quirk.VANISHED_INCOMPLETE: Quirks(wrong_vanished=True),
    Quirk.VANISHED_TOO_WIDE: Quirks(wrong_vanished=True),
}
"""Quirks that a client cannot find out for itself."""


@pytest.mark.parametrize("quirk", [None, *Quirk], ids=lambda each: each.name if each else "none")
def test_a_sync_ends_with_what_the_server_holds(imap_server, quirk):
    """From a state taken before messages came, changed and went, whatever the server gets wrong."""
    if quirk is not None:
        imap_server.faults.behave_like(quirk)
    imap_server.deliver_many(12)
    held = {}
    first = imap_server.client(quirks=TOLD.get(quirk))
    sync = first.sync("INBOX", None)
    copied(sync, held)
    assert sorted(held) == list(range(1, 13))
    state = sync.state
    first.logout()
    imap_server.expunge([2, 3, 7, 12])
    imap_server.store([4, 5], "+", "\\Seen", "$Work")
    imap_server.deliver_many(3)
    imap_server.expunge(14)
    again = imap_server.client(quirks=TOLD.get(quirk)).sync("INBOX", state)
    copied(again, held)
    expected = {message.uid: message.flags for message in imap_server.look().messages}
    assert {uid: frozenset(flags) - {"\\Recent"} for uid, flags in held.items()} == expected
    assert again.state.uids == NumSet(expected)


def test_a_sync_after_uidvalidity_was_reset_begins_afresh(imap_server):
    imap_server.deliver_many(3)
    held = {}
    sync = imap_server.client().sync("INBOX", None)
    copied(sync, held)
    imap_server.expunge(1)
    imap_server.faults.reset_uid_validity()
    again = imap_server.client().sync("INBOX", sync.state)
    copied(again, held)
    assert sorted(held) == [1, 2] == imap_server.look().uids


def test_a_sync_after_history_was_forgotten(imap_server):
    imap_server.deliver_many(5)
    held = {}
    sync = imap_server.client().sync("INBOX", None)
    copied(sync, held)
    imap_server.expunge([2, 4])
    imap_server.faults.forget_history()
    copied(imap_server.client().sync("INBOX", sync.state), held)
    assert sorted(held) == [1, 3, 5]


def test_what_breaks_is_told_by_kind(imap_server):
    client = imap_server.client()
    imap_server.faults.bye("Maintenance")
    with pytest.raises(ServerSaidBye, match="Maintenance"):
        client.noop()
    client = imap_server.client()
    imap_server.faults.drop_after(5)
    with pytest.raises(ConnectionLost):
        client.select("INBOX")
