"""What one worker has acknowledged the others know: at their next command, and in IDLE."""

import time
from contextlib import ExitStack

import pytest

from wire_client import Client, full_fetch
from wire_model import Ledger, picture
from wire_responses import to_set
from wire_server import Running

MESSAGE = b"Subject: news\r\n\r\nNone.\r\n"
IDLE_SECONDS_MAX = 5.0
"""Far above the timer that finds what no wake-up told; far below IDLE's own poll of this server."""


@pytest.fixture(scope="module", params=[True, False], ids=["wakeups", "no-wakeups"])
def server(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("workers")
    with Running(place, workers=2, wakeups=request.param, idle_poll_seconds=600.0) as running:
        with Client(running.address) as client:
            client.run("CREATE Other")
            for _ in range(5):
                assert client.run("APPEND INBOX", literal=MESSAGE).is_ok
        yield running


@pytest.fixture
def pair(server):
    """A session in each worker, with the same mailbox."""
    ledger = Ledger()
    with ExitStack() as stack:
        both = [stack.enter_context(server.client_of_worker(each, ledger=ledger)) for each in ("1", "2")]
        for each in both:
            each.select("INBOX")
        yield both


def test_what_is_acknowledged_is_seen_by_the_next_noop(server, pair):
    for number in range(30):
        here, there = pair if number % 2 else reversed(pair)
        uid = here.model.slots[number % len(here.model.slots)]
        assert here.store([uid], "+-"[number % 3 == 0], [f"$Seen{number % 5}"]).is_ok
        there.run("NOOP")
        assert there.model.flags[uid] == here.model.flags[uid]
        assert there.model.mod_seqs[uid] == here.model.mod_seqs[uid]
        assert here.run("APPEND INBOX", literal=MESSAGE).is_ok
        there.run("NOOP")
        there.fetch_new()
        assert len(there.model.slots) == len(here.model.slots)
        here.fetch_new()
        if number % 4 == 0:
            assert here.store([uid], "+", ["\\Deleted"]).is_ok
            assert here.run(f"UID EXPUNGE {uid}").is_ok
            there.run("NOOP")
            assert uid not in there.model.slots
    assert picture(pair[0].model) == picture(pair[1].model) == full_fetch(server.address)


def test_mailboxes_too_are_seen_at_the_next_command(pair):
    here, there = pair
    for number in range(5):
        assert here.run(f"CREATE Box{number}").is_ok
        assert there.run(f'LIST "" Box{number}').of("LIST")
        assert there.run(f"APPEND Box{number}", literal=MESSAGE).is_ok
        assert b"MESSAGES 1" in here.run(f"STATUS Box{number} (MESSAGES)").of("STATUS")[0].raw
        assert here.run(f"DELETE Box{number}").is_ok
        assert not there.run(f'LIST "" Box{number}').of("LIST")


def test_idle_hears_the_other_worker(pair):
    here, there = pair
    for kind, act in [
        ("EXISTS", lambda: here.run("APPEND INBOX", literal=MESSAGE)),
        ("FETCH", lambda: here.store(here.model.slots[:1], "+", [f"$At{time.monotonic_ns()}"])),
        ("VANISHED", lambda: _expunge(here)),
    ]:
        tag = there.send("IDLE")
        there.read_until("+")
        assert act().is_ok
        begin = time.monotonic()
        there.read_until(kind)
        assert time.monotonic() - begin < IDLE_SECONDS_MAX
        there.send_octets(b"DONE\r\n")
        assert there.reply(tag).is_ok
        there.fetch_new()
        here.fetch_new()


def _expunge(client):
    uid = client.model.slots[1]
    client.store([uid], "+", ["\\Deleted"])
    return client.run(f"UID EXPUNGE {uid}")


def test_later_changes_have_higher_numbers(pair):
    """If one command is answered before another is sent, in whichever workers, its number is lower."""
    last = 0
    for number in range(60):
        client = pair[number % 2]
        client.run("NOOP")
        client.fetch_new()
        if number % 5 == 4:
            assert client.run("COPY 1 INBOX").is_ok
            client.fetch_new()
            uid = client.model.slots[-1]
        else:
            uid = client.model.slots[number % len(client.model.slots)]
            mode = "-" if "\\flagged" in client.model.flags[uid] else "+"
            assert client.store([uid], mode, ["\\Flagged"]).is_ok
        assert client.model.mod_seqs[uid] > last
        last = client.model.mod_seqs[uid]


def test_moves_between_mailboxes_are_seen_whole(server, pair):
    here, there = pair
    with Client(server.address) as other:
        other.select("Other")
        for number in range(10):
            mover = pair[number % 2]
            mover.run("NOOP")
            mover.fetch_new()
            uids = mover.model.slots[:2]
            assert mover.run(f"UID MOVE {to_set(uids)} Other").is_ok
            there.run("NOOP")
            here.run("NOOP")
            assert not set(uids) & ({*here.model.slots} | {*there.model.slots})
            before = len(other.model.slots)
            other.run("NOOP")
            other.fetch_new()
            assert len(other.model.slots) == before + 2
            assert other.run("UID MOVE 1:* INBOX").is_ok
    for client in pair:
        client.run("NOOP")
        client.fetch_new()
    assert picture(here.model) == picture(there.model) == full_fetch(server.address)
