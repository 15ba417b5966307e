"""APPEND from files: a slow disk stops nobody else, and a file that changes meanwhile puts nothing out of step."""

import asyncio
import io
import os
import threading
import time

import pytest

from client.cancelling import GRACE_SECONDS, cancelled_once
from client.fake import fake
from client.play import exchange, play
from modseq.client import ConnectionLost, connect, messagefile
from modseq.client.verbs.transfer import append
from modseq.wire.command_writer import FileLiteral

PIECE = 262_144


def takes(size):
    """A script that takes one APPEND of so many octets, and answers one NOOP."""

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        tag, rest = talk.command()
        assert rest == f"APPEND INBOX {{{size}+}}"
        assert len(talk.file.read(size)) == size
        assert talk.line() == ""
        talk.say(f"{tag} OK done")
        talk.ok()
        talk.until_closed()

    return script


def closes(talk):
    talk.greet("IMAP4rev1 LITERAL+")
    talk.command()
    assert not talk.file.read().endswith(b"\r\n"), "the command was ended as if nothing were wrong"


class Slow(io.BytesIO):
    """A file whose disk answers when it is told to, or after two seconds."""

    def __init__(self, octets):
        super().__init__(octets)
        self.sizes = []
        self.is_reading = threading.Event()
        self.may_go_on = threading.Event()
        self.was_told = True

    def read(self, size=-1):
        self.sizes.append(size)
        self.is_reading.set()
        self.was_told &= self.may_go_on.wait(2)
        return super().read(size)


def test_a_slow_disk_stops_no_other_task():
    file = Slow(b"0123456789abcde\n" * 50_000)

    async def main(url):
        async with connect(url, seconds=5) as client:

            async def other():
                await asyncio.to_thread(file.is_reading.wait, 5)
                file.may_go_on.set()

            await asyncio.gather(client.append("INBOX", file), other())
            assert file.was_told, "nobody could tell it"
            assert max(file.sizes) <= PIECE
            assert len(file.sizes) >= 3
            await client.noop()
            await client.aclose()

    with fake(takes(800_000)) as server:
        asyncio.run(main(server.url))


def test_a_slow_folder_stops_no_other_task(tmp_path):
    """Opening takes time too; what is no file of a fixed size is refused."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def main(url):
        async with connect(url, seconds=5) as client:
            appending = asyncio.create_task(client.append("INBOX", path))
            await asyncio.sleep(0.1)
            assert not appending.done()
            with path.open("wb"), pytest.raises(ValueError, match="no file"):
                await appending
            assert (await client.noop()).text == "done"
            await client.aclose()

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        talk.ok()
        talk.until_closed()

    # Where the loop is blocked in open() nobody would ever write.
    rescue = threading.Timer(3, lambda: os.close(os.open(path, os.O_RDWR)))
    rescue.start()
    with fake(script) as server:
        asyncio.run(main(server.url))
    rescue.cancel()


def test_cancelled_while_the_disk_is_slow(tmp_path):
    file = Slow(b"x" * 1_000)

    async def main(url):
        client = await connect(url, seconds=5)
        task = asyncio.create_task(client.append("INBOX", file))
        await asyncio.to_thread(file.is_reading.wait, 5)
        before = time.monotonic()
        await cancelled_once(task)
        assert time.monotonic() - before < GRACE_SECONDS / 2
        file.may_go_on.set()
        assert not client.is_open
        await client.aclose()

    with fake(closes) as server:
        asyncio.run(main(server.url))


def test_cancelled_while_a_file_is_opened(tmp_path, monkeypatch):
    """Nothing was sent; the file is closed when it is open at last."""
    path = tmp_path / "mail"
    path.write_bytes(b"x")
    is_opening, may_go_on, closed = threading.Event(), threading.Event(), threading.Event()
    measured = messagefile.measured

    def slowly(message):
        is_opening.set()
        may_go_on.wait(5)
        literal, close = measured(message)

        def closing():
            close()
            closed.set()

        return literal, closing

    monkeypatch.setattr(messagefile, "measured", slowly)

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        talk.ok()
        talk.until_closed()

    async def main(url):
        client = await connect(url, seconds=5)
        task = asyncio.create_task(client.append("INBOX", path))
        await asyncio.to_thread(is_opening.wait, 5)
        await cancelled_once(task)
        assert (await client.noop()).text == "done"
        may_go_on.set()
        assert await asyncio.to_thread(closed.wait, 5)
        await client.aclose()

    with fake(script) as server:
        asyncio.run(main(server.url))


class Measured(io.BytesIO):
    """A file that had another size when it was measured."""

    size = 0

    def seek(self, at, whence=0):
        return self.size if whence == io.SEEK_END else super().seek(at, whence)


@pytest.mark.parametrize(("size", "what"), [(999, "shorter"), (100, "longer"), (0, "longer")])
def test_a_file_of_another_size_breaks_the_connection(drive, size, what):
    file = Measured(b"x" * 500)
    file.size = size
    with fake(closes) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(ValueError, match=what):
            client.append("INBOX", file)
        assert not client.is_open
        with pytest.raises(ConnectionLost):
            client.noop()


@pytest.mark.parametrize("change", ["shrinks", "grows"])
def test_a_file_that_changes_while_it_is_sent(drive, tmp_path, change):
    path = tmp_path / "mail"
    path.write_bytes(b"x" * 3_000_000)
    announced = threading.Event()

    def script(talk):
        talk.greet("IMAP4rev1")
        talk.command()
        with path.open("r+b") as file:
            file.truncate(1_000_000 if change == "shrinks" else 4_000_000)
        announced.set()
        talk.say("+ go on")
        assert not talk.file.read().endswith(b"\r\n")

    with fake(script) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(ValueError, match="shorter" if change == "shrinks" else "longer"):
            client.append("INBOX", path)
        assert not client.is_open


@pytest.mark.parametrize("size", [400, 600])
def test_the_same_where_the_connection_is_compressed(size):
    x = exchange("LITERAL+")
    x.start_compression()
    literal = FileLiteral(io.BytesIO(b"x" * 500), size)
    with pytest.raises(ValueError, match="shorter" if size > 500 else "longer"):
        play(x, append(x, "INBOX", literal))
    assert x.is_broken


def test_a_disk_that_fails(drive):
    class Failing(Measured):
        size = 500

        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with fake(closes) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(OSError, match="Input/output"):
            client.append("INBOX", Failing(b"x" * 500))
        assert not client.is_open


def test_a_file_that_is_not_there(drive, tmp_path):
    """Nothing was sent: the connection goes on."""

    def script(talk):
        talk.greet()
        talk.ok()
        talk.until_closed()

    with fake(script) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(FileNotFoundError):
            client.append("INBOX", tmp_path / "nothing")
        assert client.noop().text == "done"
        if hasattr(client, "loop"):
            client.aclose()
        else:
            client.close()


def test_empty_files_and_pieces_that_fit(drive, tmp_path):
    for size in (0, 1, PIECE - 1, PIECE, PIECE + 1):
        path = tmp_path / f"mail{size}"
        path.write_bytes(b"x" * size)
        with fake(takes(size)) as server:
            client = drive(server.url, seconds=5)
            assert client.append("INBOX", path).mailbox == "INBOX"
            client.noop()
            client.close()
