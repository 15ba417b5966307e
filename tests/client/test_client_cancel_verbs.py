"""Any verb cancelled in the middle: what the connection is afterwards is what docs/how-to/client-cancel.md says."""

import asyncio
import io
import time

import pytest

from client.cancelling import FOREVER, GRACE_SECONDS, Flag, cancelled_once, opened, play, started
from client.fake import fake
from modseq.client import ConnectionLost, MailboxClosed, SyncIncomplete, WrongState, connect
from modseq.client.verbs.command import Pending


def test_a_stream_of_messages():
    sent = Flag()

    def script(talk):
        opened(talk)
        tag, _ = talk.command()
        talk.say("* 1 FETCH (UID 1 FLAGS ())")
        sent.set()
        time.sleep(0.3)
        talk.say("* 2 FETCH (UID 2 FLAGS ())", f"{tag} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        await client.select("INBOX")

        async def work():
            async with client.fetch_each("1:*") as messages:
                async for _ in messages:
                    pass

        await cancelled_once(await started(work(), sent))
        assert (await client.noop()).text == "done"

    play(script, main)


@pytest.mark.parametrize("size", [100_000, 2**30])
def test_a_body(size):
    """What is left is skipped where that is little; else the next command finds the connection closed."""
    sent = Flag()

    def script(talk):
        opened(talk)
        tag, _ = talk.command()
        talk.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % size)
        talk.send(bytes(1_000))
        sent.set()
        time.sleep(0.3)
        if size > 2**20:
            while True:
                talk.send(bytes(65_536))
        talk.send(bytes(size - 1_000))
        talk.say(")", f"{tag} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        await client.select("INBOX")

        async def work():
            async with client.fetch_body(1) as body:
                async for _ in body:
                    pass

        await cancelled_once(await started(work(), sent))
        assert client.is_open
        if size > 2**20:
            with pytest.raises(ConnectionLost):
                await client.noop()
            assert not client.is_open
        else:
            assert (await client.noop()).text == "done"

    play(script, main)


def test_an_append_that_has_not_sent_all():
    """The rest of a literal cannot be taken back: the connection is closed."""
    asked = Flag()

    def script(talk):
        talk.greet()
        talk.command()
        asked.set()
        talk.until_closed()

    async def main(client):
        await cancelled_once(await started(client.append("INBOX", b"x" * 100), asked))
        assert not client.is_open
        with pytest.raises(ConnectionLost):
            await client.noop()

    play(script, main)


def test_an_append_in_the_middle_of_its_file(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)
    sent = Flag()

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        talk.line()
        sent.set()
        time.sleep(0.5)

    async def main(client):
        await cancelled_once(await started(client.append("INBOX", path), sent))
        assert not client.is_open

    play(script, main)


def test_an_append_that_waits_for_its_answer():
    sent = Flag()

    def script(talk):
        talk.greet("IMAP4rev1 LITERAL+")
        tag, _ = talk.command()
        assert (talk.line(), talk.line()) == ("x", "")
        sent.set()
        time.sleep(0.2)
        talk.say(f"{tag} OK [APPENDUID 1 5] done")
        assert talk.ok() == "NOOP"

    async def main(client):
        await cancelled_once(await started(client.append("INBOX", io.BytesIO(b"x\r\n")), sent))
        assert (await client.noop()).text == "done"

    play(script, main)


def test_a_pipeline():
    """Some of it may have been done: each result without an answer says so."""
    sent = Flag()

    def script(talk):
        talk.greet()
        first, _ = talk.command()
        second, _ = talk.command()
        talk.say(f"{first} OK created")
        sent.set()
        time.sleep(0.2)
        talk.say(f"{second} OK created")
        assert talk.ok() == "NOOP"

    async def main(client):
        pending: list[Pending] = []

        async def work():
            async with client.pipeline() as batch:
                pending.extend([batch.create("a"), batch.create("b")])

        await cancelled_once(await started(work(), sent))
        assert pending[0].result.text == "created"
        with pytest.raises(ConnectionLost, match="interrupted"):
            _ = pending[1].result
        assert (await client.noop()).text == "done"

    play(script, main)


def test_a_pipeline_that_waits_for_its_turn():
    sent = Flag()

    def script(talk):
        talk.greet()
        first, _ = talk.command()
        sent.set()
        time.sleep(0.3)
        talk.say(f"{first} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        pending: list[Pending] = []

        async def work():
            async with client.pipeline() as batch:
                pending.append(batch.create("a"))

        one = await started(client.noop(), sent)
        await cancelled_once(await started(work(), sent))
        with pytest.raises(ConnectionLost, match="interrupted"):
            _ = pending[0].result
        await one
        assert (await client.noop()).text == "done"

    play(script, main)


def test_a_sync():
    sent = Flag()

    def script(talk):
        opened(talk)
        tag, _ = talk.command()
        talk.say("* 1 FETCH (UID 1 FLAGS ())")
        sent.set()
        time.sleep(0.2)
        talk.say("* 2 FETCH (UID 2 FLAGS ())", f"{tag} OK done")
        assert talk.ok() == "NOOP"

    async def main(client):
        sync = client.sync("INBOX")

        async def work():
            async for _ in sync:
                pass

        await cancelled_once(await started(work(), sent))
        with pytest.raises(SyncIncomplete):
            _ = sync.state
        assert (await client.noop()).text == "done"

    play(script, main)


@pytest.mark.parametrize("verb", ["select", "unselect", "close_mailbox"])
def test_opening_and_leaving_a_mailbox(verb):
    """Nobody knows which mailbox the server has open then: none is, until one is selected."""
    sent = Flag()

    def script(talk):
        opened(talk, "IMAP4rev1 UNSELECT")
        tag, _ = talk.command()
        sent.set()
        time.sleep(0.2)
        talk.say(f"{tag} OK done")
        talk.ok()
        talk.ok("* 3 EXISTS", "* OK [UIDVALIDITY 1] x")

    async def main(client):
        await client.select("INBOX")
        work = client.select("Other") if verb == "select" else getattr(client, verb)()
        await cancelled_once(await started(work, sent))
        assert client.selected is None
        assert client.events.take() == (MailboxClosed(),)
        with pytest.raises(WrongState):
            await client.fetch(1)
        await client.noop()
        assert (await client.select("INBOX")).exists == 3

    play(script, main)


@pytest.mark.parametrize("refused", ["AUTHENTICATE", "ENABLE"])
def test_logging_in(refused):
    """Whether somebody is logged in is unknown then: the connection is closed."""
    sent = Flag()

    def script(talk):
        talk.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ENABLE CONDSTORE] hi")
        while True:
            tag, rest = talk.command()
            if rest.startswith(refused):
                break
            talk.say("* CAPABILITY IMAP4rev1 ENABLE CONDSTORE", f"{tag} OK done")
        sent.set()
        talk.until_closed()

    async def main(client):
        await cancelled_once(await started(client.login("ann", "p"), sent))
        assert not client.is_open

    play(script, main)


def test_connecting():
    """Nothing is left of it: the server sees the end."""
    sent = Flag()

    def script(talk):
        talk.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi")
        talk.command()
        sent.set()
        talk.until_closed()

    async def main(url):
        task = await started(_connected(url), sent)
        await cancelled_once(task)

    with fake(script) as server:
        asyncio.run(main(server.url))


async def _connected(url):
    return await connect(url, user="ann", password="p", seconds=FOREVER)


def test_logging_out():
    sent = Flag()

    def script(talk):
        talk.greet()
        talk.command()
        sent.set()
        talk.until_closed()

    async def main(client):
        await cancelled_once(await started(client.logout(), sent))
        assert not client.is_open

    play(script, main)


def test_any_verb_at_any_moment_with_real_servers(real):
    """Afterwards the connection answers rightly, or is closed; it is never out of step."""
    mail = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 3_000

    async def stream(client):
        async for _ in client.fetch_each("1:*", ["FLAGS", "BODY.PEEK[]"]):
            pass

    async def body(client):
        async with client.fetch_body(1) as chunks:
            async for _ in chunks:
                pass

    async def pipeline(client):
        async with client.pipeline() as batch:
            for number in range(20):
                batch.store(1 + number % 5, add=f"$x{number}")

    async def sync(client):
        async for _ in client.sync(real.mailbox, read_only=False):
            pass

    verbs = {
        "stream": stream,
        "body": body,
        "pipeline": pipeline,
        "sync": sync,
        "wait": lambda client: client.wait(0.01),
        "append": lambda client: client.append(f"{real.mailbox}-more", io.BytesIO(mail)),
        "select": lambda client: client.select(real.mailbox),
        "store": lambda client: client.store("1:*", add="$y"),
        "search": lambda client: client.search('BODY "5678"'),
    }

    async def main():
        client = await connect(real.url, **real.login)
        await client.create(f"{real.mailbox}-more")
        for _ in range(5):
            await client.append(real.mailbox, mail)
        for work in verbs.values():
            for step in range(12):
                if not client.is_open:
                    client = await connect(real.url, **real.login)
                if client.selected is None:
                    await client.select(real.mailbox)
                task = asyncio.create_task(work(client))
                for _ in range(step // 2):
                    await asyncio.sleep(0)
                await asyncio.sleep(step % 2 * step / 2_000)
                if task.done():
                    await task
                else:
                    task.cancel()
                    done, _ = await asyncio.wait({task}, timeout=GRACE_SECONDS)
                    assert done
                    assert task.cancelled()
                if client.is_open:
                    assert (await client.execute("STATUS INBOX (UIDVALIDITY)")).data is not None
                    if client.selected is not None:
                        found = await client.fetch("1:*", ["RFC822.SIZE"])
                        assert [each.uid for each in found.messages] == [1, 2, 3, 4, 5]
                        assert {each.size for each in found.messages} == {len(mail)}
        await client.aclose()

    asyncio.run(main())
