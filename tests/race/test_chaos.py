"""
Many sessions do random things to the same mailboxes; every one of them keeps knowing what is there.

The models check every response as it comes: sequence numbers, MODSEQs, what may be told when. In the end
each client must believe what a newcomer is shown, from its session and from everything that it had stored.
"""

import os
import random
import threading
import time

import pytest

from wire_client import Client, full_fetch
from wire_load import Actor, Crowd, Journal, deliver
from wire_model import differences, picture
from wire_server import Running

SECONDS = float(os.environ.get("MODSEQ_CHAOS_SECONDS", "3"))
SEED = int(os.environ.get("MODSEQ_CHAOS_SEED", "1"))
MODES = ["qresync"] * 5 + ["condstore", "plain"]


@pytest.mark.timeout(120 + 10 * SECONDS)
@pytest.mark.parametrize(
    ("workers", "wakeups", "small"), [(1, True, True), (2, True, False), (2, True, True), (2, False, True)]
)
def test_every_client_knows_what_is_there(tmp_path, workers, wakeups, small):
    journal = Journal()
    with Running(tmp_path, workers=workers, wakeups=wakeups, small=small) as server:
        with Client(server.address) as client:
            client.run("CREATE Other")
        actors = _let_them_work(server, journal)
        assert sum(actor.steps for actor in actors) > 20 * SECONDS
        assert "Traceback" not in server.log(), server.log()
        # Whoever replaces all flags of a message takes away the keywords that others had set.
        journal.keywords.clear()
        journal.check(server.address, random.Random(SEED), memories=40)
        assert server.stop() == 0
        server.admin("check")


def _let_them_work(server: Running, journal: Journal) -> list[Actor]:
    def connect(ledger, mode):
        return Client(server.address, mode=mode, ledger=ledger)

    crowd = Crowd()
    meeting = threading.Barrier(len(MODES) + 1)
    actors = [
        Actor(str(number), connect, journal, random.Random(SEED * 100 + number), mode, replaces=True)
        for number, mode in enumerate(MODES)
    ]

    def act(actor: Actor, is_over) -> None:
        try:
            actor.open()
            while not is_over():
                actor.step()
            # Everybody stops before anybody looks what it ended with.
            meeting.wait(60)
            actor.client.run("NOOP")
            actor.client.fetch_new()
            shown = picture(actor.client.model)
            true = full_fetch(server.address, actor.mailbox, journal.ledger)
            if actor.mode == "plain":
                shown, true = ({uid: flags for uid, (_, flags) in each.items()} for each in (shown, true))
            assert shown == true, (actor.mode, differences(shown, true))
        except BaseException:
            meeting.abort()
            raise
        finally:
            actor.client.close()

    for actor in actors:
        crowd.add(lambda is_over, actor=actor: act(actor, is_over))

    def bring(is_over) -> None:
        try:
            deliver(server.lmtp_address, journal, is_over)
        finally:
            meeting.wait(60)

    crowd.add(bring)
    crowd.start()
    server.admin("compact", "--all")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not crowd.failures:
        time.sleep(0.05)
    crowd.end()
    return actors
