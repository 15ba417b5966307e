"""LMTP over sockets, with the memory backend behind the server."""

import asyncio
import contextlib
import socket
import threading

import pytest

from lmtpclient import LmtpClient
from modseq.core import errors as kinds
from modseq.core.mailbox_operations import CreateMailbox
from modseq.server.addresses import TcpAddress, UnixAddress, bind
from modseq.server.listener import Listener
from modseq.server.lmtp import LmtpService, Room
from modseq.storage.memory import MemoryAccount, MemoryStore

MESSAGE = b"From: a@example.org\r\nSubject: hi\r\n\r\n.dots\r\n..\r\nend\r\n"


class Server:
    """A running LMTP service on a thread of its own."""

    def __init__(self, **options) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.store = MemoryStore()
        self.run(self._start(options))

    async def _start(self, options) -> None:
        for name in ("alice", "bob"):
            await self.store.directory.add(name, "hash")
        address = options.pop("address", TcpAddress("127.0.0.1", 0))
        self.service = LmtpService(self.store, "mail.example", **options)
        self.listener = Listener(bind(address), self.service.connection)
        await self.listener.start()
        self.address = self.listener.address

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _stop(self) -> None:
        self.listener.stop()
        await self.service.stop()

    def close(self) -> None:
        # On the loop's own thread: an asyncio server that is closed from another races with its connections.
        self.run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def client(self) -> LmtpClient:
        if isinstance(self.address, UnixAddress):
            return LmtpClient(self.address.path)
        return LmtpClient(("127.0.0.1", self.address.port))

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.address.port), timeout=20)

    def messages(self, user: str, mailbox: str = "INBOX") -> list[bytes]:
        async def find():
            account = await self.store.account(user)
            meta = account.listing().find(mailbox)
            state = await account.mailbox(meta.mailbox_id)
            rows = await account.rows(meta.mailbox_id, list(state.index), ready=False)
            return [await account.read(row.email_id) for row in rows]

        return self.run(find())


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def start(**options) -> Server:
            server = Server(**options)
            stack.callback(server.close)
            return server

        yield start


def reply_of(connection: socket.socket, *, lines: int = 1) -> list[bytes]:
    stream = connection.makefile("rb")
    with stream:
        return [stream.readline() for _ in range(lines)]


def test_a_message_is_stored_with_its_trace(serve):
    server = serve()
    with server.client() as client:
        assert client.deliver(MESSAGE, ["alice", "bob@any.example"]) == {}
    for user in ("alice", "bob"):
        (data,) = server.messages(user)
        assert data.startswith(b"Return-Path: <a@example.org>\r\nReceived: from ")
        assert data.endswith(b"\r\n" + MESSAGE)


def test_an_unknown_recipient_is_refused_and_the_others_served(serve):
    server = serve()
    with server.client() as client:
        refused = client.deliver(MESSAGE, ["nobody", "alice"])
    assert refused == {"nobody": "550 5.1.1 No such user here"}
    assert len(server.messages("alice")) == 1


def test_a_detail_names_the_mailbox(serve):
    server = serve()

    async def create():
        account = await server.store.account("alice")
        await account.commit(CreateMailbox("Lists/python"))

    server.run(create())
    with server.client() as client:
        client.deliver(MESSAGE, ["alice+Lists/python@x", "alice+nowhere@x"])
    assert len(server.messages("alice", "Lists/python")) == 1
    assert len(server.messages("alice")) == 1


def test_smtputf8_and_8bitmime(serve):
    server = serve()
    server.run(server.store.directory.add("jös", "hash"))
    data = "Subject: Grüße\r\n\r\näöü\r\n".encode()
    with server.client() as client:
        options = " SMTPUTF8 BODY=8BITMIME"
        refused = client.deliver(data, ["jös@example.org"], sender="ä@example.org", options=options)
    assert refused == {}
    (stored,) = server.messages("jös")
    assert stored.endswith(data)
    assert b"with UTF8LMTP id" in stored


def test_the_size_is_checked_when_it_is_declared_and_when_it_is_not(serve):
    server = serve(message_bytes_max=1000)
    with server.client() as client:
        assert client.command("MAIL FROM:<a@x> SIZE=1001").startswith("552 5.3.4")
        assert client.deliver(b"x" * 2000, ["alice"]) == {
            "alice": "552 5.3.4 Message is larger than the limit of this server"
        }
    assert server.messages("alice") == []


def test_a_large_message_is_stored_whole(serve):
    server = serve()
    data = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + b"y\r\n.z\r\n" * 300_000
    with server.client() as client:
        client.deliver(data, ["alice"])
    (stored,) = server.messages("alice")
    assert stored.endswith(data)


def test_pipelined_commands_of_two_transactions_in_one_piece(serve):
    server = serve()
    with server.raw() as connection:
        connection.sendall(
            b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\nSubject: 1\r\n\r\n.\r\n"
            b"MAIL FROM:<>\r\nRCPT TO:<nobody>\r\nRCPT TO:<bob>\r\nDATA\r\nSubject: 2\r\n\r\n.\r\nQUIT\r\n"
        )
        with connection.makefile("rb") as stream:
            codes = [line[:3] for line in stream if line[3:4] == b" "]
    assert b" ".join(codes) == b"220 250 250 250 250 354 250 250 250 550 250 354 250 221"
    assert len(server.messages("alice")) == 1
    assert len(server.messages("bob")) == 2


def test_each_recipient_learns_of_its_own_failure(serve, monkeypatch):
    server = serve()
    commit = MemoryAccount.commit

    async def full_for_bob(self, operation):
        if self.name == "bob":
            raise kinds.StorageFull("no space")
        return await commit(self, operation)

    monkeypatch.setattr(MemoryAccount, "commit", full_for_bob)
    with server.client() as client:
        refused = client.deliver(MESSAGE, ["bob", "alice"])
    assert refused == {"bob": "452 4.3.1 No space left to store the message"}


def test_no_reply_comes_before_the_commit(serve, monkeypatch):
    server = serve()
    commit = MemoryAccount.commit
    may_commit = asyncio.Event()

    async def slow(self, operation):
        await may_commit.wait()
        return await commit(self, operation)

    monkeypatch.setattr(MemoryAccount, "commit", slow)
    with server.raw() as connection:
        connection.sendall(b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nDATA\r\nx\r\n.\r\n")
        with connection.makefile("rb") as stream:
            while not stream.readline().startswith(b"354"):
                pass
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert server.messages("alice") == []
            server.loop.call_soon_threadsafe(may_commit.set)
            connection.settimeout(20)
            assert connection.recv(100).startswith(b"250 2.1.5")
    assert len(server.messages("alice")) == 1


def test_a_watcher_learns_of_a_delivery_at_once(serve):
    server = serve()
    moved = threading.Event()

    async def watch():
        return (await server.store.account("alice")).watch(moved.set)

    cancel = server.run(watch())
    with server.client() as client:
        client.deliver(MESSAGE, ["alice"])
        assert moved.wait(0)
    cancel()


def test_a_silent_client_is_sent_away(serve):
    server = serve(idle_seconds_max=0.1)
    with server.raw() as connection, connection.makefile("rb") as stream:
        assert stream.readline().startswith(b"220 mail.example")
        assert stream.readline().startswith(b"421 4.4.2")
        assert stream.readline() == b""


def test_one_connection_too_many_is_told_to_come_back(serve):
    server = serve(connections_max=1)
    with server.raw() as first, first.makefile("rb") as stream:
        assert stream.readline().startswith(b"220")
        with server.raw() as second, second.makefile("rb") as other:
            assert other.readline().startswith(b"421 4.3.2")
            assert other.readline() == b""


def test_a_client_that_vanishes_leaves_nothing(serve):
    server = serve()
    with server.raw() as connection:
        connection.sendall(b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nDATA\r\nhalf a mess")
    with server.client() as client:
        assert client.command("NOOP") == "250 2.0.0 OK"
    assert server.messages("alice") == []


def test_stop_finishes_what_is_being_stored_and_says_goodbye(serve, monkeypatch):
    server = serve()
    commit = MemoryAccount.commit
    began, may_commit = threading.Event(), asyncio.Event()

    async def slow(self, operation):
        began.set()
        await may_commit.wait()
        return await commit(self, operation)

    monkeypatch.setattr(MemoryAccount, "commit", slow)
    with server.raw() as idle, server.raw() as busy:
        assert reply_of(idle)[0].startswith(b"220")
        busy.sendall(b"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nDATA\r\nx\r\n.\r\n")
        assert began.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(server.service.stop(), server.loop)
        assert idle.makefile("rb").read().startswith(b"421 4.3.2")
        server.loop.call_soon_threadsafe(may_commit.set)
        stopping.result(20)
        lines = busy.makefile("rb").read().splitlines()
    assert lines[-2].startswith(b"250 2.1.5")
    assert lines[-1].startswith(b"421 4.3.2")
    assert len(server.messages("alice")) == 1


def test_a_socket_in_the_file_system(serve, tmp_path):
    server = serve(address=UnixAddress(str(tmp_path / "lmtp")))
    with server.client() as client:
        client.deliver(MESSAGE, ["alice"])
    assert len(server.messages("alice")) == 1


def test_a_directory_that_fails_is_a_temporary_failure(serve, monkeypatch):
    server = serve()

    async def failing(name):
        raise kinds.StorageFailed("disk")

    monkeypatch.setattr(server.store.directory, "password_hash", failing)
    with server.client() as client:
        assert client.deliver(MESSAGE, ["alice"]) == {
            "alice": "451 4.3.0 Could not be stored now; try again later"
        }


def test_a_refused_message_gives_its_room_back(serve):
    server = serve(message_bytes_max=1000, content_bytes_max=1000)
    for _ in range(3):
        with server.client() as client:
            assert client.deliver(b"x" * 2000, ["alice"])["alice"].startswith("552")
            with server.client() as other:
                other.deliver(MESSAGE, ["alice"])
    assert len(server.messages("alice")) == 3


def test_room_is_waited_for():
    async def run():
        room = Room(100)
        await room.take(60)
        waiting = asyncio.create_task(room.take(50))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await room.give_back(60)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(run())
