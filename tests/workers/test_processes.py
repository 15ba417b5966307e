"""The processes of a server: one dies and the others go on; small replies are sent at once."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from modseq.server.addresses import TcpAddress, bind
from modseq.server.listener import Listener
from wire_client import Client, Gone, full_fetch
from wire_model import Ledger, picture
from wire_server import Running

MESSAGE = b"Subject: news\r\n\r\nNone.\r\n"


def test_a_worker_that_dies_takes_nothing_with_it(tmp_path):
    """Its sessions are cut, those of the other hear all that it had acknowledged, and it comes back."""
    ledger = Ledger()
    with Running(tmp_path, workers=2) as server:
        with Client(server.address) as client:
            for _ in range(3):
                assert client.run("APPEND INBOX", literal=MESSAGE).is_ok
        for number in range(3):
            survivor, victim = (server.client_of_worker(each, ledger=ledger) for each in ("1", "2"))
            survivor.select("INBOX")
            victim.select("INBOX")
            pid = _pid_of_worker(server, "2")
            tags = [victim.send_store([1, 2], "+-"[each % 2], ["$A"]) for each in range(1, 20)]
            victim.reply(tags[0])
            os.kill(pid, signal.SIGKILL)
            _hear_the_end(victim, tags[1:])
            kept = victim.model.memory()
            victim.close()
            for uid in (1, 2):
                before = ledger.highest[survivor.model.mailbox, survivor.model.uid_validity]
                assert survivor.store([uid], "+", [f"$After{number}"]).is_ok
                assert survivor.model.mod_seqs[uid] > before
            with server.client_of_worker("2", ledger=ledger) as again:
                again.resume(kept)
                assert picture(again.model) == picture(survivor.model) == full_fetch(server.address)
            survivor.close()
        assert server.stop() == 0
        server.admin("check")


def _hear_the_end(client, tags) -> None:
    with contextlib.suppress(Gone):
        for tag in tags:
            client.reply(tag)
        client.run("NOOP")
        raise AssertionError("the session outlived its worker")


def _pid_of_worker(server, name: str) -> int:
    """Return the process with this worker's sessions: the one whose death ends the session asked."""
    with server.client_of_worker(name) as asked:
        port = asked.socket.getsockname()[1]
        inode = _inode_of_connection(server.address[1], port)
        for pid in server.worker_pids():
            descriptors = (str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir())
            if f"socket:[{inode}]" in descriptors:
                return pid
    raise AssertionError("nobody holds the connection")


def _inode_of_connection(here: int, there: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(fields[at].split(":")[1], 16) for at in (1, 2)] == [here, there]:
            return fields[9]
    raise AssertionError("no such connection")


def test_the_server_stops_while_sessions_are_open(tmp_path):
    with Running(tmp_path, workers=2) as server:
        clients = [Client(server.address) for _ in range(4)]
        clients[0].send("IDLE")
        clients[0].read_until("+")
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 10
        for client in clients:
            with pytest.raises(Gone, match="BYE"):
                client.read_until("BYE")
            client.close()


def test_small_replies_are_sent_at_once():
    """Without TCP_NODELAY the second packet of a reply waits 40 ms for the client's kernel."""

    async def accept() -> int:
        made = asyncio.get_running_loop().create_future()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport):
                made.set_result(transport)

        listener = Listener(bind(TcpAddress("127.0.0.1", 0)), Accepted)
        await listener.start()
        with socket.create_connection((listener.address.host, listener.address.port)):
            transport = await made
            try:
                return transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            finally:
                transport.abort()
                listener.stop()
                await asyncio.sleep(0)

    assert asyncio.run(accept())
