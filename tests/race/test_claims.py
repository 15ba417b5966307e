"""
Eight sessions want the same messages at the same moment: every message has exactly one winner.

A claim is a conditional STORE that sets one keyword, based on a mod-sequence at which nobody had it. It is won
only if the reply arrived, held a FETCH for the message, and neither refused it nor told that it is gone.
"""

import os
import random
from collections import Counter
from contextlib import ExitStack

import pytest

from wire_client import Client, full_fetch
from wire_model import Ledger
from wire_responses import to_set
from wire_server import Running

SESSIONS = 8
MESSAGES = 24
ROUNDS = int(os.environ.get("MODSEQ_RACE_ROUNDS", "25"))
KEYWORDS = 10
MESSAGE = b"Subject: a task\r\n\r\nDo it.\r\n"


@pytest.fixture(
    scope="module", params=[(1, True), (2, True), (2, False)], ids=["one", "two", "two-without-wakeups"]
)
def server(request, tmp_path_factory):
    workers, wakeups = request.param
    with Running(tmp_path_factory.mktemp("race"), workers=workers, wakeups=wakeups) as running:
        yield running


@pytest.fixture(scope="module")
def sessions(server):
    """Eight sessions, as many in each worker, and one beside them that may expunge."""
    ledger = Ledger()
    with Client(server.address) as client:
        for _ in range(MESSAGES):
            assert client.run("APPEND INBOX", literal=MESSAGE).is_ok
    with ExitStack() as stack:
        opened = [
            stack.enter_context(server.client_of_worker(str(1 + number % server.workers), ledger=ledger))
            for number in range(SESSIONS + 1)
        ]
        for each in opened:
            each.select("INBOX")
        yield opened


def race(sessions, picks, send):
    """Have all sessions send at once, in random order; return by message how many won it, and who asked."""
    asked = {client: send(client) for client in picks.sample(sessions, len(sessions))}
    won, wanted = Counter(), Counter()
    for client, (tag, uids) in asked.items():
        reply = client.reply(tag)
        assert reply.tagged.kind in ("OK", "NO"), reply.tagged.raw
        won.update(client.won(reply, uids))
        wanted.update(uids)
    return won, wanted


def catch_up(sessions):
    """Have everybody know the same; return the mod-sequence of it."""
    for each in sessions:
        each.run("NOOP")
        each.fetch_new()
    assert len({each.highest() for each in sessions}) == 1
    return sessions[0].highest()


@pytest.mark.parametrize("condition", ["same", "zero"])
def test_one_claim_of_many_is_won(sessions, condition):
    picks = random.Random(condition)
    known = sessions[0].model.known_uids
    for number in range(ROUNDS):
        keyword = f"$Claim{number % KEYWORDS}"
        # Nobody has it, or had it until all of them learnt the number at which it was taken away.
        assert sessions[-1].store(known, "-", [keyword]).is_ok
        high = catch_up(sessions)
        since = high if condition == "same" else 0

        def send(client, since=since, keyword=keyword):
            uids = sorted(picks.sample(known, picks.choice([1, 3, len(known)])))
            return client.send_store(uids, "+", [keyword], since=since, silent=picks.random() < 0.5), uids

        won, wanted = race(sessions[:SESSIONS], picks, send)
        assert won == Counter(dict.fromkeys(wanted, 1)), (number, won - Counter(dict.fromkeys(wanted, 1)))


def test_a_claim_with_an_owners_name_has_one_winner_too(sessions):
    """What servers without numbers for each flag need: a replace of all flags compares all of them."""
    picks = random.Random(3)
    uids = sessions[0].model.known_uids
    for _ in range(ROUNDS):
        assert sessions[-1].store(uids, "", ["$Free"]).is_ok
        since = catch_up(sessions)

        def send(client, since=since):
            return client.send_store(uids, "", [f"$Owner{sessions.index(client)}"], since=since), uids

        won, wanted = race(sessions[:SESSIONS], picks, send)
        assert won == Counter(dict.fromkeys(wanted, 1))
        catch_up(sessions)
        owners = [sessions[0].model.flags[uid] for uid in uids]
        assert all(len(flags) == 1 and flags != {"$free"} for flags in owners), owners


def test_a_lease_changes_hands_once(sessions):
    """Taking over is the conditional removal of the old lease's keyword."""
    picks = random.Random(4)
    uids = sessions[0].model.known_uids
    for _ in range(ROUNDS // 2):
        assert sessions[-1].store(uids, "+", ["$Lease"]).is_ok
        since = catch_up(sessions)

        def send(client, since=since):
            return client.send_store(uids, "-", ["$Lease"], since=since), uids

        won, _ = race(sessions[:SESSIONS], picks, send)
        assert won == Counter(dict.fromkeys(uids, 1))


def test_all_or_nothing_gives_a_batch_to_one(sessions):
    picks = random.Random(5)
    for number in range(ROUNDS // 2):
        since = catch_up(sessions)
        known = sessions[0].model.known_uids
        lots = {client: sorted(picks.sample(known, 6)) for client in sessions[:SESSIONS]}

        def send(client, since=since, lots=lots, keyword=f"$Batch{number}"):
            uids = lots[client]
            return client.send_store(uids, "+", [keyword], since=since, all_or_none=True), uids

        tags = {client: send(client)[0] for client in lots}
        owners = Counter()
        for client, uids in lots.items():
            reply = client.reply(tags[client])
            if reply.is_ok:
                assert client.won(reply, uids) == set(uids)
                owners.update(uids)
            else:
                assert reply.tagged.code == "MODIFIED", reply.tagged.raw
        assert owners
        assert max(owners.values()) == 1


def test_a_claim_of_what_is_expunged_meanwhile_is_not_won(server, sessions):
    picks = random.Random(6)
    for _ in range(ROUNDS // 2):
        for _ in range(4):
            assert sessions[-1].run("APPEND INBOX", literal=MESSAGE).is_ok
        since = catch_up(sessions)
        new = sessions[0].model.known_uids[-4:]
        gone = picks.sample(new, 2)
        assert sessions[-1].store(gone, "+", ["\\Deleted"]).is_ok

        def send(client, since=since, new=new):
            return client.send_store(new, "+", ["$Gone"], since=since), new

        at = picks.randrange(SESSIONS)
        tags = [(client, send(client)[0]) for client in sessions[:at]]
        expunge = sessions[-1].send(f"UID EXPUNGE {to_set(gone)}")
        tags += [(client, send(client)[0]) for client in sessions[at:SESSIONS]]
        won = Counter()
        for client, tag in tags:
            won.update(client.won(client.reply(tag), new))
        assert sessions[-1].reply(expunge).is_ok
        catch_up(sessions)
        left = full_fetch(server.address)
        assert not set(gone) & left.keys()
        assert all(won[uid] == 1 for uid in new if uid not in gone), (won, new, gone)
        assert all(won[uid] <= 1 for uid in gone), (won, new, gone)
