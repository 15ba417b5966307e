"""The same conversations with modseq and with Debian's Dovecot, through both drivers."""

import io
import threading
import time

import pytest

from modseq.client import (
    CommandRefused,
    CommandRejected,
    Exists,
    MailboxNotFound,
    MessageData,
    NumSet,
    SyncReset,
    SyncState,
    Vanished,
    WrongState,
)

MAIL = b"From: ann@example.org\r\nSubject: Letter %d\r\n\r\nBody %d\r\n"


@pytest.fixture
def client(drive, real):
    with drive(real.url, **real.login) as client:
        yield client


@pytest.fixture
def other(drive, real):
    with drive(real.url, **real.login) as client:
        yield client


def fill(client, mailbox, count):
    for number in range(1, count + 1):
        client.append(mailbox, MAIL % (number, number))


def test_login_and_what_is_enabled(client, real):
    assert client.has("CONDSTORE")
    assert client.enabled >= {"QRESYNC", "CONDSTORE"}
    assert client.server_id.name == real.name
    assert client.quirks.claims_may_double == (real.name == "dovecot")
    assert client.noop().text


def test_append_from_octets_and_from_files(client, real, tmp_path):
    path = tmp_path / "mail.eml"
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 20_000
    path.write_bytes(large)
    first = client.append(real.mailbox, MAIL % (1, 1), flags=["\\Seen", "$x"])
    assert (first.uid, client.append(real.mailbox, path).uid) == (1, 2)
    file = io.BytesIO(b"skipped" + MAIL % (3, 3))
    file.seek(7)
    assert client.append(real.mailbox, file).uid == 3
    box = client.select(real.mailbox)
    assert (box.exists, box.uid_validity) == (3, first.uid_validity)
    with client.fetch_body(2) as body:
        assert body.size == len(large)
        chunks = list(body)
        assert b"".join(chunks) == large
        assert len(chunks) > 1
    assert client.fetch_body(2, "HEADER").read() == b"Subject: large\r\n\r\n"
    assert client.fetch(3, "BODY.PEEK[]").messages[0].sections == {"BODY[]": MAIL % (3, 3)}
    assert client.fetch(1).messages[0].flags >= {"\\Seen", "$x"}


def test_fetch_everything_of_a_message(client, real):
    fill(client, real.mailbox, 1)
    client.select(real.mailbox)
    items = [
        "FLAGS",
        "MODSEQ",
        "ENVELOPE",
        "BODYSTRUCTURE",
        "INTERNALDATE",
        "RFC822.SIZE",
        "BODY.PEEK[HEADER.FIELDS (Subject)]",
    ]
    (message,) = client.fetch("1:*", items).messages
    assert message.envelope.subject == b"Letter 1"
    assert message.envelope.from_[0].mailbox == b"ann"
    assert message.structure.media_type == "text/plain"
    assert message.size == len(MAIL % (1, 1))
    assert message.internal_date.tzinfo is not None
    assert message.mod_seq > 0
    assert message.sections["BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Letter 1\r\n\r\n"


def test_store_and_its_condition(client, other, real):
    fill(client, real.mailbox, 3)
    mod_seq = client.select(real.mailbox).highest_mod_seq
    other.select(real.mailbox)
    won = client.store([1, 2], add="$Claimed", unchanged_since=mod_seq, silent=True)
    assert list(won.applied) == [1, 2]
    lost = other.store([1, 2, 3, 99], add="$Claimed", unchanged_since=mod_seq, silent=True)
    assert (list(lost.applied), list(lost.modified), list(lost.missing)) == ([3], [1, 2], [99])
    assert not lost.untold
    both = client.store("1:*", remove="$Claimed")
    assert list(both.applied) == [1, 2, 3]


def test_vanished_live_during_any_command(client, other, real):
    fill(client, real.mailbox, 4)
    client.select(real.mailbox)
    other.select(real.mailbox)
    client.events.take()
    other.store([2, 3], add="\\Deleted")
    gone = other.expunge([2])
    assert list(gone.vanished) == [2]
    assert gone.highest_mod_seq
    other.expunge()
    client.noop()
    events = client.events.take()
    told = NumSet.union([event.uids for event in events if isinstance(event, Vanished)])
    assert list(told) == [2, 3]


def test_search_copy_move(client, real):
    fill(client, real.mailbox, 4)
    client.select(real.mailbox)
    assert list(client.search('SUBJECT "Letter 2"').uids) == [2]
    found = client.search("ALL", returns=["COUNT", "MIN", "MAX"])
    assert (found.count, found.minimum, found.maximum) == (4, 1, 4)
    assert client.search("MODSEQ 1").mod_seq
    assert client.search('SUBJECT "Grüße"').uids == NumSet.EMPTY
    target = f"{real.mailbox}-Entwürfe"
    client.create(target)
    copied = client.copy("1:2", target)
    assert copied.uids == {1: 1, 2: 2}
    moved = client.move(3, target)
    assert (moved.uids, list(moved.vanished), moved.method) == ({3: 3}, [3], "MOVE")
    assert client.status(target).messages == 3
    client.rename(target, target + "2")
    client.delete(target + "2")
    with pytest.raises(CommandRefused):
        client.status(target)
    with pytest.raises(MailboxNotFound):
        client.copy(1, target)


def test_a_command_without_a_verb(client, real):
    fill(client, real.mailbox, 2)
    client.select(real.mailbox)
    if client.has("SORT"):
        (order,) = client.execute("UID SORT (REVERSE ARRIVAL) UTF-8 ALL").data
        assert sorted(order.numbers) == [1, 2]
    with pytest.raises(CommandRejected):
        client.execute("FROBNICATE now")


def test_list_with_counters(client, real):
    fill(client, real.mailbox, 2)
    name = f"{real.mailbox}-Grün & Blau"
    client.create(name)
    boxes = {box.name: box for box in client.list(status=["MESSAGES", "HIGHESTMODSEQ", "UIDVALIDITY"])}
    assert boxes[real.mailbox].status.messages == 2
    assert boxes[real.mailbox].status.highest_mod_seq >= 1
    assert boxes[name].status.messages == 0
    client.subscribe(name)
    assert name in [box.name for box in client.list(subscribed=True)]
    client.unsubscribe(name)
    assert name not in [box.name for box in client.list(subscribed=True)]
    assert client.namespace().personal


def test_streams_and_leaving_them_early(client, real):
    fill(client, real.mailbox, 20)
    client.select(real.mailbox)
    with client.fetch_each("1:*", ["FLAGS", "BODY.PEEK[]"]) as messages:
        first = next(iter(messages))
        assert first.uid == 1
        with pytest.raises(WrongState):
            client.noop()
    assert client.noop().text
    assert [each.uid for each in client.fetch_each("1:*")] == list(range(1, 21))
    with client.fetch_body(1):
        pass
    assert client.noop().text


def test_pipeline(client, real):
    fill(client, real.mailbox, 3)
    client.select(real.mailbox)
    with client.pipeline() as batch:
        stores = [batch.store(uid, add="$x") for uid in (1, 2, 3)]
        count = batch.search("ALL", returns=["COUNT"])
        gone = batch.status("not there")
    assert [list(each.result.applied) for each in stores] == [[1], [2], [3]]
    assert count.result.count == 3
    with pytest.raises(CommandRefused):
        _ = gone.result


def test_idle_hears_another_session_and_lets_commands_through(client, real, drive):
    fill(client, real.mailbox, 1)
    client.select(real.mailbox)
    client.events.take()

    def deliver():
        time.sleep(0.3)
        with drive(real.url, **real.login) as late:
            late.append(real.mailbox, MAIL % (9, 9))

    thread = threading.Thread(target=deliver)
    thread.start()
    with client.idle(15) as events:
        for event in events:
            if isinstance(event, Exists):
                break
        assert event == Exists(2)
        # A command in between, and listening goes on.
        assert len(client.fetch("1:*").messages) == 2
    thread.join()
    client.noop()
    client.events.take()
    before = time.monotonic()
    assert client.wait(0.2) == ()
    assert time.monotonic() - before < 5
    assert list(client.idle(0.1)) == []


class Copy:
    """A copy of a mailbox that believes what sync says."""

    def __init__(self, client, mailbox):
        self.client, self.mailbox, self.state = client, mailbox, None
        self.flags = {}

    def sync(self):
        sync = self.client.sync(self.mailbox, self.state)
        for change in sync:
            if isinstance(change, SyncReset):
                self.flags.clear()
            elif isinstance(change, Vanished):
                for uid in change.uids:
                    del self.flags[uid]
            else:
                assert isinstance(change, MessageData)
                self.flags[change.uid] = change.flags - {"\\Recent"}
        self.state = SyncState.from_json(sync.state.to_json())
        assert self.state.uids == NumSet(self.flags)
        return sync.outcome.method


def full(client, mailbox):
    client.select(mailbox, read_only=True)
    return {each.uid: each.flags - {"\\Recent"} for each in client.fetch("1:*", ["FLAGS"]).messages}


@pytest.mark.parametrize("quirk", ["", "no_qresync", "no_condstore"])
def test_a_copy_follows(client, other, real, quirk):
    if quirk:
        client._x.quirks = client.quirks.with_(**{quirk: True}) if hasattr(client, "_x") else None
    fill(other, real.mailbox, 9)
    copy = Copy(client, real.mailbox)
    assert copy.sync() == "first"
    other.select(real.mailbox)
    other.store([2, 4], add=["$x", "\\Seen"])
    other.store([5, 6, 9], add="\\Deleted")
    other.expunge()
    fill(other, real.mailbox, 2)
    expected = {"": "qresync", "no_qresync": "condstore", "no_condstore": "scan"}[quirk]
    for _ in range(2):
        assert copy.sync() == expected
        assert copy.flags == full(other, real.mailbox)
    client.unselect()
    other.unselect()
    other.delete(real.mailbox)
    other.create(real.mailbox)
    fill(other, real.mailbox, 1)
    copy.sync()
    assert copy.flags == full(other, real.mailbox)
