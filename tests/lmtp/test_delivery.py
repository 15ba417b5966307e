"""Delivery: whom an address means, where a message goes, and what the sender is told of failures."""

import asyncio

import pytest

from modseq.core import errors as kinds
from modseq.core.mailbox_operations import CreateMailbox
from modseq.server.delivery import Recipient, deliver, find_recipient, intake, trace_header
from modseq.storage.memory import MemoryAccount, MemoryStore
from modseq.wire.lmtp_text import Address

MESSAGE = b"From: a@example.org\r\nSubject: hello\r\n\r\nbody\r\n"


@pytest.fixture
def store():
    store = MemoryStore()

    async def fill():
        for name in ("alice", "bob", "carol@example.org", "a+b"):
            await store.directory.add(name, "hash")

    asyncio.run(fill())
    return store


def address(local: str, domain: str = "") -> Address:
    return Address(local, domain, local)


async def contents(store, user, mailbox="INBOX"):
    account = await store.account(user)
    meta = account.listing().find(mailbox)
    state = await account.mailbox(meta.mailbox_id)
    rows = await account.rows(meta.mailbox_id, list(state.index), ready=False)
    return [await account.read(row.email_id) for row in rows]


@pytest.mark.parametrize(
    ("local", "domain", "user", "detail"),
    [
        ("alice", "", "alice", ""),
        ("alice", "any.example", "alice", ""),
        ("ALICE", "any.example", "alice", ""),
        ("alice+Lists/python", "x", "alice", "Lists/python"),
        ("alice+", "x", "alice", ""),
        ("alice+a+b", "x", "alice", "a+b"),
        ("a+b", "x", "a+b", ""),
        ("carol", "example.org", "carol@example.org", ""),
        ("carol+work", "Example.Org", "carol@example.org", "work"),
    ],
)
def test_an_address_means_a_user_and_a_detail(store, local, domain, user, detail):
    found = asyncio.run(find_recipient(store.directory, address(local, domain)))
    assert found == Recipient(user, detail)


@pytest.mark.parametrize(
    ("local", "domain"), [("nobody", ""), ("+alice", ""), ("carol", ""), ("carol", "other")]
)
def test_nobody_is_meant(store, local, domain):
    assert asyncio.run(find_recipient(store.directory, address(local, domain))) is None


def test_a_detail_names_a_mailbox_that_exists_and_else_inbox(store):
    async def run():
        account = await store.account("alice")
        await account.commit(CreateMailbox("Lists/Python"))
        await account.commit(CreateMailbox("Work"))
        await account.commit(CreateMailbox("WORK"))
        details = ["Lists/Python", "lists/python", "nowhere", "", "inbox", "work", "Work"]
        for detail in details:
            (reply,) = await deliver(store, MESSAGE, [Recipient("alice", detail)])
            assert reply.code == 250
        counts = {
            name: (await account.mailbox(meta.mailbox_id)).exists
            for name, meta in account.listing().mailboxes.items()
        }
        # "work" could be either of two: it goes where nobody can miss it.
        assert counts == {"INBOX": 4, "Lists": 0, "Lists/Python": 2, "Work": 1, "WORK": 0}

    asyncio.run(run())


def test_one_message_reaches_each_account_and_the_same_place_once(store):
    async def run():
        recipients = [Recipient("alice", ""), Recipient("bob", ""), Recipient("alice", "")]
        replies = await deliver(store, MESSAGE, recipients)
        assert [reply.encode() for reply in replies] == [b"250 2.1.5 Stored\r\n"] * 3
        assert await contents(store, "alice") == [MESSAGE]
        assert await contents(store, "bob") == [MESSAGE]

    asyncio.run(run())


def test_two_names_of_one_mailbox_bring_a_message_into_it_once(store):
    async def run():
        account = await store.account("alice")
        await account.commit(CreateMailbox("Work"))
        details = ["", "nowhere", "inbox", "Work", "work"]
        replies = await deliver(store, MESSAGE, [Recipient("alice", detail) for detail in details])
        assert [reply.code for reply in replies] == [250] * 5
        assert await contents(store, "alice") == [MESSAGE]
        assert await contents(store, "alice", "Work") == [MESSAGE]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (kinds.OverQuota("q"), b"452 4.2.2"),
        (kinds.StorageFull("f"), b"452 4.3.1"),
        (kinds.StorageFailed("f"), b"451 4.3.0"),
        (kinds.CommitUnknown("?"), b"451 4.3.0"),
        (kinds.StateDiscarded("?"), b"451 4.3.0"),
        (kinds.LimitReached("uids"), b"452 4.2.2"),
        (kinds.UserNotFound("gone"), b"550 5.1.1"),
        (ZeroDivisionError(), b"451 4.3.0"),
    ],
)
def test_a_failure_is_told_to_its_recipient_alone(store, monkeypatch, error, reply):
    commit = MemoryAccount.commit

    async def failing(self, operation):
        if self.name == "bob":
            raise error
        return await commit(self, operation)

    monkeypatch.setattr(MemoryAccount, "commit", failing)

    async def run():
        replies = await deliver(store, MESSAGE, [Recipient("alice", ""), Recipient("bob", "")])
        assert replies[0].code == 250
        assert replies[1].encode().startswith(reply)
        assert await contents(store, "alice") == [MESSAGE]

    asyncio.run(run())


def test_a_mailbox_deleted_meanwhile_is_replaced_by_inbox(store, monkeypatch):
    commit = MemoryAccount.commit
    failed = []

    async def failing_once(self, operation):
        if not failed:
            failed.append(operation)
            raise kinds.MailboxNotFound("The mailbox was deleted.")
        return await commit(self, operation)

    async def run():
        await (await store.account("alice")).commit(CreateMailbox("Lists"))
        monkeypatch.setattr(MemoryAccount, "commit", failing_once)
        replies = await deliver(store, MESSAGE, [Recipient("alice", "Lists")])
        assert replies[0].code == 250
        assert await contents(store, "alice") == [MESSAGE]

    asyncio.run(run())


def test_the_trace_header_names_client_server_and_sender():
    header = trace_header(
        client_name="mx.example",
        host_name="mail.example",
        sender=address("bounce@example.org"),
        smtputf8=False,
        queue_id="abc",
        moment=1_700_000_000,
    )
    lines = header.decode().split("\r\n")
    assert lines[0] == "Return-Path: <bounce@example.org>"
    assert lines[1] == "Received: from mx.example"
    assert lines[2] == "\tby mail.example (modseq) with LMTP id abc;"
    assert "2023" in lines[3]
    assert lines[4:] == [""]


def test_a_message_under_smtputf8_is_traced_as_such():
    header = trace_header(
        client_name="x", host_name="y", sender=address("jös@x"), smtputf8=True, queue_id="1", moment=0
    )
    assert "with UTF8LMTP id" in header.decode()
    assert "<jös@x>" in header.decode()


@pytest.mark.parametrize("size", [10, 200_000])
def test_intake_reads_small_and_large_messages_alike(size):
    data = MESSAGE + b"x" * size
    message = asyncio.run(intake(data, ("\\Seen",), 1_700_000_000, 60))
    assert (message.flags, message.received_at, message.received_zone) == (("\\Seen",), 1_700_000_000, 60)
    assert message.content.data == data
    assert message.content.header_length == MESSAGE.index(b"body")
    assert b"hello" in message.content.envelope


def test_intake_without_a_date_takes_now():
    message = asyncio.run(intake(MESSAGE))
    assert message.received_at == message.saved_at
