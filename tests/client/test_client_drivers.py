"""What only a socket shows: TLS, silence, files, slow readers, tasks that go away. Both drivers."""

import asyncio
import contextlib
import io
import signal
import socket
import ssl
import time

import pytest
import trustme

from client.blocking import DRIVES
from client.fake import fake
from modseq.client import (
    Alert,
    ConnectionFailed,
    ConnectionLost,
    Exists,
    Expunged,
    ServerSaidBye,
    SyncIncomplete,
    SyncState,
    TimedOut,
    WrongState,
    connect,
)
from modseq.limits import RECEIVE_AHEAD_BYTES_MAX

GREETING = "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hi"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def served_by(authority, name="localhost"):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def rest(client, seconds):
    """Wait as a program does that has other things to do: an event loop goes on running."""
    loop = getattr(client, "loop", None)
    if loop is None:
        time.sleep(seconds)
    else:
        loop.run_until_complete(asyncio.sleep(seconds))


def logged_in(talk):
    talk.ok("* CAPABILITY IMAP4rev1")
    talk.ok()


def test_tls_is_verified(drive, authority):
    for name, context in (("localhost", None), ("other.example", trusting(authority))):
        with (
            fake(lambda talk: talk.greet(), tls=served_by(authority, name)) as server,
            pytest.raises(ConnectionFailed, match="certificate"),
        ):
            drive(f"imaps://localhost:{server.port}", seconds=5, context=context)


def test_tls(drive, authority):
    def script(talk):
        talk.greet()
        talk.ok()
        talk.ok("* BYE bye")

    with (
        fake(script, tls=served_by(authority)) as server,
        drive(f"imaps://localhost:{server.port}", context=trusting(authority), seconds=5) as client,
    ):
        assert client.noop().text == "done"


def test_starttls(drive, authority):
    """What is injected in the clear is not believed."""

    def script(talk):
        talk.say(GREETING)
        tag, _ = talk.command()
        talk.say(f"{tag} OK go", "* OK [ALERT] injected", "* CAPABILITY IMAP4rev1 INJECTED")
        time.sleep(0.2)
        talk.start_tls(served_by(authority))
        talk.ok("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR")
        logged_in(talk)
        talk.ok("* BYE bye")

    def bare(talk):
        talk.say(GREETING)
        tag, _ = talk.command()
        talk.say(f"{tag} OK go")
        talk.start_tls(served_by(authority))
        assert talk.ok("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR") == "CAPABILITY"
        assert talk.ok("* CAPABILITY IMAP4rev1").startswith("AUTHENTICATE PLAIN ")
        talk.ok("* BYE bye")

    with fake(bare) as server:
        url = f"imap://localhost:{server.port}"
        options = {"user": "ann", "password": "p", "context": trusting(authority), "seconds": 5}
        with drive(url, **options) as client:
            assert not len(client.events)
    # The octets in the clear are thrown away, or reach the TLS layer, which fails: they are never obeyed.
    with fake(script) as server:
        try:
            client = drive(f"imap://localhost:{server.port}", **options)
        except ConnectionFailed:
            return
        with client:
            assert not len(client.events)
            assert not client.has("INJECTED")


def test_no_starttls_no_connection(drive):
    with (
        fake(lambda talk: talk.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi")) as server,
        pytest.raises(ConnectionFailed, match="STARTTLS"),
    ):
        drive(f"imap://localhost:{server.port}", user="ann", password="p", seconds=5)


def test_nobody_there(drive):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed):
        drive(f"imap+insecure://127.0.0.1:{port}", seconds=5)
    with pytest.raises(ConnectionFailed):
        drive("imaps://no-such-host.invalid", seconds=5)


def test_silence_is_noticed(drive):
    with fake(lambda talk: talk.until_closed()) as server, pytest.raises(TimedOut):
        drive(server.url, seconds=0.2)

    def script(talk):
        talk.greet()
        talk.until_closed()

    with fake(script) as server:
        client = drive(server.url, seconds=0.2)
        with client:
            with pytest.raises(TimedOut):
                client.noop()
            assert not client.is_open
            with pytest.raises(ConnectionLost):
                client.noop()


def test_half_open_idle_is_noticed(drive):
    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        talk.command()
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.until_closed()

    with fake(script) as server, drive(server.url, seconds=0.2, idle_renew_seconds=0.2) as client:
        with pytest.raises(TimedOut), client.idle() as events:
            list(events)
        assert not client.is_open


def test_the_end_is_noticed(drive):
    def script(talk):
        talk.greet()
        talk.command()

    with fake(script) as server, drive(server.url, seconds=5) as client, pytest.raises(ConnectionLost):
        client.noop()

    def says_bye(talk):
        talk.greet()
        talk.command()
        talk.say("* BYE [UNAVAILABLE] maintenance")

    with fake(says_bye) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(ServerSaidBye) as caught:
            client.noop()
        assert caught.value.code.name == "UNAVAILABLE"


def test_a_file_that_is_too_short_breaks_the_connection(drive):
    class Short(io.BytesIO):
        def seek(self, at, whence=0):
            return 999 if whence == io.SEEK_END else super().seek(at, whence)

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        talk.until_closed()

    with fake(script) as server, drive(server.url, seconds=5) as client:
        with pytest.raises(ValueError, match="shorter"):
            client.append("INBOX", Short(b"abc"))
        assert not client.is_open


def test_a_slow_reader_stops_the_sender(drive):
    """The socket is not read while nobody takes what came."""
    sent = 0

    def script(talk):
        nonlocal sent
        talk.greet()
        talk.ok("* 1 EXISTS", "* OK [UIDVALIDITY 1] x")
        tag, _ = talk.command()
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        talk.sock.settimeout(1.0)
        total = 64 * 2**20
        talk.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % total)
        try:
            while sent < total:
                sent += talk.sock.send(bytes(65_536))
        except TimeoutError:
            return
        del tag

    with fake(script) as server:
        client = drive(server.url, seconds=5)
        client.select("INBOX")
        with client.fetch_body(1) as body:
            assert body.size == 64 * 2**20
            next(iter(body))
            rest(client, 1.5)
            # Kernel buffers of both sides hold some megabytes.
            assert 0 < sent < 16 * 2**20 + RECEIVE_AHEAD_BYTES_MAX
        client.close()


def test_a_server_that_does_not_read_is_noticed(drive, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        time.sleep(1)

    with fake(script) as server:
        client = drive(server.url, seconds=0.3)
        with pytest.raises(TimedOut):
            client.append("INBOX", path)
        assert not client.is_open
        client.close()


def test_a_stream_that_is_left_with_much_to_come_closes_the_connection(drive):
    def script(talk):
        talk.greet()
        talk.ok("* 1 EXISTS", "* OK [UIDVALIDITY 1] x")
        talk.command()
        talk.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % 2**30)
        while True:
            talk.send(bytes(65_536))

    with fake(script) as server:
        client = drive(server.url, seconds=5)
        client.select("INBOX")
        with client.fetch_body(1) as body:
            next(iter(body))
        assert not client.is_open
        client.close()


def test_a_state_comes_after_the_changes_only(drive):
    def script(talk):
        talk.greet()
        talk.ok("* 2 EXISTS", "* OK [UIDVALIDITY 1] x")
        talk.ok("* 1 FETCH (UID 1 FLAGS ())", "* 2 FETCH (UID 2 FLAGS ())")
        talk.until_closed()

    with fake(script) as server:
        client = drive(server.url, seconds=5)
        sync = client.sync("INBOX")
        changes = iter(sync)
        for _ in range(3):
            with pytest.raises(SyncIncomplete):
                _ = sync.state
            next(changes)
        with pytest.raises(SyncIncomplete):
            _ = sync.state
        assert list(changes) == []
        assert sync.state.uid_validity == 1
        client.close()


def test_an_error_in_the_loop_leaves_no_state(drive):
    def script(talk):
        talk.greet()
        talk.ok("* 2 EXISTS", "* OK [UIDVALIDITY 1] x")
        talk.command()
        talk.say("* 1 FETCH (UID 1 FLAGS ())")

    with fake(script) as server:
        client = drive(server.url, seconds=5)
        sync = client.sync("INBOX", SyncState(1))
        with pytest.raises(ConnectionLost):
            list(sync)
        with pytest.raises(SyncIncomplete):
            _ = sync.state
        client.close()


def test_events_that_nobody_read_before_idle_was_left_are_kept(drive):
    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        tag, _ = talk.command()
        talk.say("+ idling", "* 3 EXISTS", "* 1 EXPUNGE", "* OK [ALERT] now")
        assert talk.line() == "DONE"
        talk.say("* 1 EXPUNGE", f"{tag} OK done")
        talk.ok("* BYE bye")

    with fake(script) as server, drive(server.url, seconds=5) as client:
        with client.idle() as events:
            assert next(iter(events)) == Exists(3)
        assert client.events.take() == (Expunged(1), Alert("now"), Expunged(1))


@contextlib.contextmanager
def alarm(seconds):
    """Press Ctrl-C after so long."""

    def ring(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("work", ["listening", "sending"])
def test_an_interrupt_closes_the_connection_of_the_blocking_client(work):
    """It strikes anywhere: how much went out, or came and was lost, nobody knows."""

    def script(talk):
        talk.greet("IMAP4rev1 IDLE LITERAL+")
        if work == "listening":
            talk.command()
            talk.say("+ idling")
            talk.until_closed()
        else:
            time.sleep(1)

    with fake(script) as server:
        client = DRIVES["sync"](server.url, seconds=5)
        verb, *args = {"listening": (client.wait, 60), "sending": (client.append, "INBOX", bytes(2**25))}[
            work
        ]
        with pytest.raises(KeyboardInterrupt), alarm(0.3):
            verb(*args)
        assert not client.is_open
        with pytest.raises(ConnectionLost):
            client.noop()
        client.close()


# --- asyncio alone -----------------------------------------------------------------------------------


def test_a_cancelled_command_costs_the_next_nothing():
    def script(talk):
        talk.greet()
        first, _ = talk.command()
        time.sleep(0.3)
        talk.say("* 7 EXISTS", f"{first} OK late")
        talk.ok()
        talk.ok("* BYE bye")

    async def main(url):
        async with connect(url, seconds=5) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.noop(), 0.1)
            assert (await client.noop()).text == "done"
            assert [event.count for event in client.events.take()] == [7]

    with fake(script) as server:
        asyncio.run(main(server.url))


def test_a_task_that_listens_makes_way_for_one_that_asks():
    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        for _ in range(2):
            idle, _ = talk.command()
            talk.say("+ idling")
            if _ == "IDLE" and idle == "m1":
                assert talk.line() == "DONE"
                talk.say(f"{idle} OK done")
                assert talk.ok() == "NOOP"
        talk.say("* 7 EXISTS")
        assert talk.line() == "DONE"
        talk.say(f"{idle} OK done")
        talk.ok("* BYE bye")

    async def main(url):
        async with connect(url, seconds=5) as client:

            async def listen():
                async with client.idle() as events:
                    return await anext(events)

            task = asyncio.create_task(listen())
            await asyncio.sleep(0.2)
            assert (await client.noop()).text == "done"
            assert (await task).count == 7

    with fake(script) as server:
        asyncio.run(main(server.url))


def test_tasks_take_turns():
    def script(talk):
        talk.greet()
        for _ in range(5):
            talk.ok()
        talk.ok("* BYE bye")

    async def main(url):
        client = await connect(url, seconds=5)
        async with client:
            done = await asyncio.gather(*[client.noop() for _ in range(5)])
        assert [each.text for each in done] == ["done"] * 5
        with pytest.raises(ConnectionLost):
            await client.noop()

    with fake(script) as server:
        asyncio.run(main(server.url))


def test_a_stream_cannot_be_paused_by_others(drive):
    def script(talk):
        talk.greet()
        talk.ok("* 1 EXISTS", "* OK [UIDVALIDITY 1] x")
        tag, _ = talk.command()
        talk.say("* 1 FETCH (UID 1 FLAGS ())")
        talk.say("* 2 FETCH (UID 2 FLAGS ())", f"{tag} OK done")
        talk.ok("* BYE bye")

    with fake(script) as server, drive(server.url, seconds=5) as client:
        client.select("INBOX")
        with client.fetch_each("1:*") as messages:
            next(iter(messages))
            with pytest.raises(WrongState):
                client.noop()
    assert set(DRIVES) == {"aio", "sync"}
