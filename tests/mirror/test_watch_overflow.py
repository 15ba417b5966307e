"""A server that tells nothing any more says so, and is asked anew. RFC 5465 section 5.8"""

import asyncio
import contextlib

import pytest

from client.fake import fake
from modseq.client import connect
from modseq.mirror.replica import Replica
from modseq.mirror.watch import Watch


@pytest.mark.parametrize("refused", [False, True])
def test_notifications_that_overflow_are_asked_for_anew(tmp_path, refused):
    heard = []

    def script(talk):
        """An account without messages, whose notifications overflow while the first IDLE is on."""
        talk.greet("IMAP4rev1 ENABLE CONDSTORE QRESYNC LIST-STATUS LIST-EXTENDED IDLE NOTIFY")
        while True:
            tag, command = talk.command()
            name = command.split(" ")[0]
            heard.append(name)
            if name == "IDLE":
                talk.say("+ idling")
                if heard.count("IDLE") == 1:
                    talk.say("* OK [NOTIFICATIONOVERFLOW] too much")
                talk.line()
            elif name == "LIST":
                talk.say('* LIST (\\Noselect) "/" Folder')
            says_no = refused and name == "NOTIFY" and heard.count("NOTIFY") == 2
            talk.say(f"{tag} NO too much" if says_no else f"{tag} OK done")

    async def main(url):
        with Replica(tmp_path / "m.sqlite", create=True) as replica:
            replica.configure(account=url)

            async def login():
                return await connect(url, seconds=10)

            watch = Watch(replica, login, lambda _: None, lambda *_: None, poll_seconds=300)
            task = asyncio.create_task(watch.run())
            async with asyncio.timeout(20):
                while heard.count("IDLE") < 2:  # noqa: ASYNC110 -- the script is no part of the loop
                    await asyncio.sleep(0.02)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    with fake(script) as server:
        asyncio.run(main(server.url))
    first, second = heard.index("NOTIFY"), len(heard) - 1 - heard[::-1].index("NOTIFY")
    assert first < heard.index("IDLE") < second
    # It is looked at once more after that: what happened meanwhile was not told.
    assert "LIST" in heard[second:]
