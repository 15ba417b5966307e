"""
Worker processes are killed, connections cut, and the server killed: every message is done, by one worker at a time.

MODSEQ_WORK_MESSAGES sets how many messages (10000 for the full proof, which takes some minutes).
"""

import itertools
import os
import random

import pytest

from dovecot_server import DOVECOT_PASSWORD, dovecot
from wire_client import PASSWORD, USER
from wire_server import Running
from workqueue.crew import Account, Crew, run_crew
from workqueue.cutting import Cut
from workqueue.kinds import KINDS

MESSAGES = int(os.environ.get("MODSEQ_WORK_MESSAGES", "0"))
FULL = MESSAGES > 0
SECONDS_MAX = 100 + MESSAGES / 8
WORKERS = 8 if FULL else 3


def cuts(seed):
    """Cut after some octets, and then after an octet of each kind in turn; begin anywhere."""
    picks = random.Random(seed)
    kinds = itertools.cycle(picks.sample(KINDS, len(KINDS)))

    def cut():
        way, kind = next(kinds)
        return Cut(way, picks.choice([0, picks.randint(0, 40_000 if FULL else 20_000)]), kind)

    return cut


def prove(place, account, *, count, noise, restart=None):
    with account.talk() as talk:
        talk.fill(count)
    crew = Crew(
        place,
        account,
        workers=WORKERS,
        at_a_time=6 if FULL else 2,
        lease=5.0,
        # Few messages are spread over some seconds, or all would be done before anything happens.
        work_seconds=0.004 if FULL else 0.8,
        slow_part=0.002,
        slow_seconds=4,
    )
    every = 6.0 if FULL else 1.0
    outcome = run_crew(
        crew,
        count,
        kill_every=every,
        cut=cuts(5),
        noise=noise,
        restart=restart,
        restart_every=8 if FULL else 2,
        trouble_seconds=float("inf") if FULL else 15.0,
        seconds_max=SECONDS_MAX,
    )
    print(outcome)
    assert outcome.kills
    assert outcome.cuts
    if FULL:
        # Some kinds of reply are rare when luck has it; test_cuts.py makes every cut.
        assert len(outcome.cuts) > 0.8 * len(KINDS), set(KINDS) - set(outcome.cuts)


@pytest.mark.timeout(SECONDS_MAX + 60)
@pytest.mark.parametrize("noise", [False, True] if FULL else [True])
def test_on_modseq_whose_server_is_killed_too(tmp_path, noise):
    with Running(tmp_path) as server:

        def restart():
            server.kill()
            server.start()
            return server.address

        account = Account(server.address, USER, PASSWORD)
        prove(tmp_path, account, count=MESSAGES or 60, noise=noise, restart=restart)
        assert server.stop() == 0
        server.admin("check")


@pytest.mark.timeout(SECONDS_MAX + 60)
@pytest.mark.parametrize("noise", [False, True] if FULL else [True])
def test_on_dovecot(tmp_path, noise):
    with dovecot(tmp_path) as server:
        account = Account((server.host, server.port), "ann", DOVECOT_PASSWORD)
        prove(tmp_path, account, count=MESSAGES or 60, noise=noise)
