"""One cancel() ends a task that listens, at once, whatever the server does; and listeners make way."""

import asyncio
import time

import pytest

from client.cancelling import FOREVER, GRACE_SECONDS, Flag, cancelled_once, listen, opened, play, started
from modseq.client import Exists, TimedOut, connect

LISTENERS = {
    "wait": lambda client: client.wait(FOREVER),
    "idle": listen,
}
listeners = pytest.mark.parametrize("listener", LISTENERS.values(), ids=LISTENERS)


@listeners
def test_octets_that_come_with_the_cancel_do_not_swallow_it(listener):
    idling = Flag()

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        talk.command()
        talk.say("+ idling")
        idling.set()
        talk.until_closed()

    async def main(client):
        task = await started(listener(client), idling)
        client._runner.wire.data_received(b"* 3 EXISTS\r\n")
        await cancelled_once(task)
        assert client.is_open

    play(script, main)


def test_a_command_and_its_answer_that_comes_with_the_cancel():
    sent = Flag()

    def script(talk):
        talk.greet()
        talk.command()
        sent.set()
        talk.ok()

    async def main(client):
        task = await started(client.noop(), sent)
        client._runner.wire.data_received(b"* 3 EXISTS\r\nm1 OK done\r\n")
        await cancelled_once(task)
        assert (await client.noop()).text == "done"
        assert client.events.take() == (Exists(3),)

    play(script, main)


@listeners
def test_a_server_that_speaks_all_the_time(listener):
    """Whatever the moment is: one cancel is enough."""
    rounds = 40

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        talk.sock.settimeout(0.001)
        talk.file = None
        rest, tag = b"", b""
        while True:
            try:
                received = talk.sock.recv(4_096)
                if not received:
                    return
                rest += received
            except TimeoutError:
                talk.send(b"* OK Still here\r\n" * 5)
            *lines, rest = rest.split(b"\r\n")
            for line in lines:
                if line == b"DONE":
                    talk.send(b"%b OK done\r\n" % tag)
                else:
                    tag = line.split()[0]
                    talk.send(b"+ idling\r\n" if line.endswith(b"IDLE") else b"%b OK done\r\n" % tag)

    async def main(client):
        for number in range(rounds):
            task = asyncio.create_task(listener(client))
            await asyncio.sleep(number % 7 / 500)
            await cancelled_once(task)
            client.events.take()
        assert (await client.noop()).text == "done"

    play(script, main)


@listeners
def test_a_server_that_never_answers_done(listener):
    """The task ends at once; DONE is sent; the next command waits for the answer as for any, and closes."""
    idling = Flag()
    said = []

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        talk.command()
        talk.say("+ idling")
        idling.set()
        said.append(talk.line())
        talk.until_closed()

    async def main(client):
        task = await started(listener(client), idling)
        await cancelled_once(task)
        await asyncio.sleep(0.2)
        assert said == ["DONE"]
        assert client.is_open
        client._x.options = client._x.options.__class__(host="127.0.0.1", port=1, seconds=0.2)
        with pytest.raises(TimedOut):
            await client.noop()
        assert not client.is_open

    play(script, main)


async def in_time(work, seconds):
    async with asyncio.timeout(seconds):
        await work


WAYS = {"wait_for": asyncio.wait_for, "timeout": in_time}


@listeners
@pytest.mark.parametrize("answers", [True, False])
def test_time_limits_around_listening(listener, answers):
    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        for _ in range(2):
            tag, _ = talk.command()
            talk.say("+ idling")
            assert talk.line() == "DONE"
            if not answers:
                talk.until_closed()
            talk.say(f"{tag} OK done")
        talk.ok()

    async def main(client):
        for limit in WAYS.values():
            before = time.monotonic()
            with pytest.raises(TimeoutError):
                await limit(listener(client), 0.2)
            assert time.monotonic() - before < GRACE_SECONDS
            if not answers:
                return
        assert (await client.noop()).text == "done"

    play(script, main)


def test_cancelled_before_the_server_has_begun_to_idle():
    asked = Flag()

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        tag, _ = talk.command()
        asked.set()
        time.sleep(0.3)
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.say(f"{tag} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        await cancelled_once(await started(client.wait(FOREVER), asked))
        assert (await client.noop()).text == "done"

    play(script, main)


def test_cancelled_in_the_loop_over_events():
    """Not in the client, but in what the program does with an event: nothing is waited for either."""
    reading = Flag()

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        talk.command()
        talk.say("+ idling", "* 3 EXISTS")
        assert talk.line() == "DONE"
        talk.until_closed()

    async def main(client):
        async def work():
            async with client.idle() as events:
                async for _ in events:
                    reading.set()
                    await asyncio.sleep(FOREVER)

        await cancelled_once(await started(work(), reading))
        assert client.is_open

    play(script, main)


def test_two_tasks_that_ask_while_a_third_listens():
    """Only who listens is interrupted, never who waits for an answer."""

    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        idle, _ = talk.command()
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.say(f"{idle} OK done")
        first, _ = talk.command()
        time.sleep(0.3)
        talk.say(f"{first} OK first")
        talk.ok()
        talk.command()
        talk.say("+ idling", "* 7 EXISTS")
        talk.until_closed()

    async def main(client):
        heard = asyncio.Queue()
        listening = asyncio.create_task(listen(client, heard))
        await asyncio.sleep(0.1)
        one = asyncio.create_task(client.noop())
        await asyncio.sleep(0.1)
        two = asyncio.create_task(client.noop())
        assert ((await one).text, (await two).text) == ("first", "done")
        assert await heard.get() == Exists(7)
        await cancelled_once(listening)

    play(script, main)


def test_a_stream_that_begins_while_another_task_listens():
    def script(talk):
        opened(talk, "IMAP4rev1 IDLE")
        idle, _ = talk.command()
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.say(f"{idle} OK done")
        assert talk.ok("* 1 FETCH (UID 1 FLAGS ())").startswith("UID FETCH")
        talk.command()
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.until_closed()

    async def main(client):
        await client.select("INBOX")
        client.events.take()
        listening = asyncio.create_task(listen(client))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(GRACE_SECONDS):
            assert [each.uid async for each in client.fetch_each("1:*")] == [1]
        await asyncio.sleep(0.1)
        await cancelled_once(listening)

    play(script, main)


def test_listening_that_another_task_ends():
    def script(talk):
        talk.greet("IMAP4rev1 IDLE")
        tag, _ = talk.command()
        talk.say("+ idling")
        assert talk.line() == "DONE"
        talk.say(f"{tag} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        stream = client.idle()

        async def work():
            return [event async for event in stream]

        listening = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(GRACE_SECONDS):
            await stream.aclose()
            assert await listening == []
        assert (await client.noop()).text == "done"

    play(script, main)


def test_time_limits_with_real_servers(real):
    async def main():
        async with connect(real.url, **real.login) as client:
            await client.append(real.mailbox, b"Subject: x\r\n\r\n")
            await client.select(real.mailbox)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait(60), 0.2)
            assert len((await client.fetch("1:*")).messages) == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await listen(client)
            assert len((await client.fetch("1:*")).messages) == 1
            task = asyncio.create_task(client.wait(60))
            await asyncio.sleep(0.2)
            await cancelled_once(task)
            assert await client.wait(0.1) == ()

    asyncio.run(main())
