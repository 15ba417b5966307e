"""
The server is killed in the middle of work, again and again, on the same data.

After each restart nothing that was acknowledged is missing, nothing that was announced is taken back or said
again of something else, and clients go on from whatever they had stored. `MODSEQ_KILL_ROUNDS` and
`MODSEQ_KILL_SEED` make it longer and other.
"""

import os
import random
import time

import pytest

from wire_client import Client
from wire_load import Actor, Crowd, Journal, deliver
from wire_server import Running

ROUNDS = int(os.environ.get("MODSEQ_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("MODSEQ_KILL_SEED", "1"))
MODES = ["qresync", "qresync", "qresync", "condstore", "plain"]


@pytest.mark.timeout(120 + 20 * ROUNDS)
@pytest.mark.parametrize(("workers", "small"), [(1, True), (2, True), (2, False)])
def test_nothing_acknowledged_is_lost(tmp_path, workers, small):
    picks = random.Random(SEED)
    journal = Journal()
    with Running(tmp_path, workers=workers, small=small) as server:
        with Client(server.address) as client:
            client.run("CREATE Other")
        steps = 0
        for number in range(ROUNDS):
            steps += _work_and_kill(server, journal, picks)
            if picks.random() < 0.3:
                # The check is then the first to open what the crash left behind, not the server.
                server.admin("check")
            server.start()
            journal.check(server.address, picks, memories=12)
            assert "Traceback" not in server.log(), (number, server.log())
        assert steps > ROUNDS
        assert server.stop() == 0
        server.admin("check")


def _work_and_kill(server: Running, journal: Journal, picks: random.Random) -> int:
    """Let everybody work, kill the server at some moment; return how much was done."""

    def connect(ledger, mode):
        return Client(server.address, mode=mode, ledger=ledger)

    crowd = Crowd()
    actors = [
        Actor(str(number), connect, journal, random.Random(picks.random()), mode)
        for number, mode in enumerate(MODES)
    ]
    for actor in actors:
        crowd.add(actor.run)
    crowd.add(lambda is_over: deliver(server.lmtp_address, journal, is_over))
    crowd.start()
    try:
        if picks.random() < 0.3:
            server.start_compaction()
        time.sleep(picks.uniform(0.05, 1.0))
    finally:
        server.kill()
        crowd.end()
    return sum(actor.steps for actor in actors)
