"""
Connections break after any octet: whoever then goes on from what RFC 7162 section 6 told it to store misses
nothing.

RFC: 7162 section 3.2, 6
"""

import os
import random
import time

import pytest

from wire_client import Client, full_fetch
from wire_load import MAILBOXES, Actor, Crowd, Journal
from wire_model import differences, picture, replay
from wire_server import Running

SCENES = int(os.environ.get("MODSEQ_TORN_SCENES", "40"))
SECONDS = float(os.environ.get("MODSEQ_TORN_SECONDS", "3"))
SEED = int(os.environ.get("MODSEQ_TORN_SEED", "1"))


@pytest.fixture(scope="module", params=[1, 2], ids=["one", "two"])
def server(request, tmp_path_factory):
    with Running(tmp_path_factory.mktemp("torn"), workers=request.param, small=True) as running:
        with Client(running.address) as client:
            client.run("CREATE Other")
        yield running


@pytest.fixture(scope="module")
def journal(server):
    return Journal()


@pytest.mark.timeout(120 + 10 * SCENES)
def test_cut_after_any_octet(server, journal):
    """
    A session is recorded while others change its mailbox; a client that heard only so much of it goes on.

    Short scenes: what was missed of a message is forgiven once the message changes again.
    """
    octets = tried = 0
    for scene in range(SCENES):
        actors = [
            Actor(
                str(number),
                _connection(server),
                journal,
                random.Random(f"{SEED} {scene} {number}"),
                stays=True,
            )
            for number in range(3)
        ]
        if scene % 2:
            # Expunges are withheld from the one while the others remove messages.
            actors[0].by_number = 0.9
            actors[0].acts = ("mark", "mark", "share", "fetch", "search", "noop")
            for actor in actors[1:]:
                actor.acts = ("delete", "delete", "move", "share", "append")
        for actor in actors:
            actor.open()
        for _ in range(5):
            for actor in actors:
                actor.step()
        true = {mailbox: full_fetch(server.address, mailbox) for mailbox in MAILBOXES}
        memories = list(replay(actors[0].client.record))
        octets += len(memories)
        for memory in dict(zip(map(_key, memories), memories, strict=True)).values():
            if memory is None:
                continue
            with Client(server.address) as client:
                client.resume(memory, actors[0].picks)
                shown = picture(client.model)
            assert shown == true[memory.mailbox], (scene, differences(shown, true[memory.mailbox]), memory)
            tried += 1
        for actor in actors:
            actor.client.close()
    assert octets > 1_000 * SCENES
    assert tried > 4 * SCENES


def _key(memory):
    if memory is None:
        return None
    return (
        memory.mailbox,
        memory.uid_validity,
        memory.high,
        memory.known_to,
        tuple(sorted(memory.flags.items())),
    )


def test_sessions_that_keep_breaking_lose_nothing(server, journal):
    """The sockets really break, and what the server did for a command whose reply was lost stays done."""
    picks = random.Random(SEED)

    def connect(ledger, mode):
        # The first octets are greeting and login.
        return Client(server.address, mode=mode, ledger=ledger, octets_max=picks.randint(900, 9_000))

    crowd = Crowd()
    actors = [Actor(f"t{number}", connect, journal, random.Random(number)) for number in range(4)]

    def act(actor, is_over) -> None:
        while not is_over():
            actor.run(is_over)

    for actor in actors:
        crowd.add(lambda is_over, actor=actor: act(actor, is_over))
    crowd.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not crowd.failures:
        time.sleep(0.05)
    crowd.end()
    assert sum(actor.steps for actor in actors) > 10 * SECONDS
    assert "Traceback" not in server.log(), server.log()
    journal.check(server.address, picks, memories=60)


def _connection(server):
    return lambda ledger, mode: Client(server.address, mode=mode, ledger=ledger)
