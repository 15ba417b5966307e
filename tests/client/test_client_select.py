"""SELECT, EXPUNGE and leaving. RFC 7162 sections 3.1.2 and 3.2.5."""

import pytest

from client.play import exchange, play, ways
from modseq.client import (
    CommandRefused,
    MailboxClosed,
    MailboxNotFound,
    MessageData,
    ModSeqRaised,
    NotSupported,
    NumSet,
    SyncState,
    UidNotSticky,
    Vanished,
)
from modseq.client.verbs.select import close_mailbox, expunge, select, unselect

OPENED = (
    b"* FLAGS (\\Seen $x)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] Limited\r\n* 3 EXISTS\r\n* 1 RECENT\r\n"
    b"* OK [UNSEEN 2] x\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 40] x\r\n* OK [HIGHESTMODSEQ 90] x\r\n"
    b"* OK [MAILBOXID (F1)] x\r\n"
)


@ways
def test_everything_told_is_in_the_result(way):
    x = exchange("CONDSTORE", selected=False)
    played = play(x, select(x, "INBOX"), OPENED + b"$T OK [READ-WRITE] done\r\n", way=way)
    assert played.lines == ["SELECT INBOX (CONDSTORE)"]
    box = played.result
    assert (box.exists, box.recent, box.first_unseen, box.uid_validity, box.uid_next) == (3, 1, 2, 7, 40)
    assert (box.highest_mod_seq, box.mailbox_id, box.read_only, box.uids_sticky) == (90, "F1", False, True)
    assert box.flags == {"\\Seen", "$x"}
    assert box.may_make_keywords
    assert not box.resynchronized
    assert not len(x.events)
    assert x.selected is not None


@ways
def test_qresync_brings_the_changes(way):
    x = exchange("CONDSTORE", "QRESYNC", enabled=("QRESYNC", "CONDSTORE"))
    state = SyncState(7, 80, NumSet([1, 2, 3, 9]))
    played = play(
        x,
        select(x, "INBOX", qresync=state),
        b"* 4 EXISTS\r\n* VANISHED 77\r\n* OK [CLOSED] x\r\n" + OPENED + b"* VANISHED (EARLIER) 2,9\r\n"
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (85))\r\n* 3 FETCH (UID 39 FLAGS () MODSEQ (90))\r\n"
        b"$T OK [READ-WRITE] done\r\n",
        way=way,
    )
    assert played.lines == ["SELECT INBOX (QRESYNC (7 80 1:3,9))"]
    box = played.result
    assert box.closed_before
    assert box.resynchronized
    assert list(box.vanished) == [2, 9]
    assert [(each.uid, each.mod_seq) for each in box.changed] == [(1, 85), (39, 90)]
    assert box.exists == 3
    assert x.selected.changed == ()
    # What was said of the old mailbox comes before the event that ends it; live VANISHED is never lost.
    assert x.events.take() == (Vanished(NumSet([77])), MailboxClosed())


def test_a_stale_uidvalidity_is_no_resynchronisation():
    x = exchange("QRESYNC", enabled=("QRESYNC",), selected=False)
    played = play(x, select(x, "INBOX", qresync=SyncState(6, 80)), OPENED + b"$T OK done\r\n")
    assert not played.result.resynchronized


def test_scattered_uids_become_sequence_match_data():
    x = exchange("QRESYNC", enabled=("QRESYNC",), selected=False)
    uids = NumSet(range(1, 20_000, 2))
    played = play(x, select(x, "INBOX", qresync=SyncState(7, 80, uids)), OPENED + b"$T OK done\r\n")
    (line,) = played.lines
    assert len(line) < 8_192
    seq_nums, numbers = line.split("(7 80 (")[1].rstrip(")").split(" ")
    pairs = list(zip(map(int, seq_nums.split(",")), map(int, numbers.split(",")), strict=True))
    assert all(uid == 2 * place - 1 for place, uid in pairs)
    assert pairs[-1] == (10_000, 19_999)
    assert pairs[0][0] == 1


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        (b"* OK [NOMODSEQ] x\r\n", "highest_mod_seq", None),
        (b"* OK [HIGHESTMODSEQ 0] x\r\n", "highest_mod_seq", None),
        (b"* NO [UIDNOTSTICKY] x\r\n", "uids_sticky", False),
        (b"", "uid_validity", 0),
        (b"* FLAGS (a)\r\n", "permanent_flags", {"a"}),
    ],
)
def test_what_servers_leave_out(lines, field, value):
    x = exchange(selected=False)
    box = play(x, select(x, "INBOX"), lines + b"$T OK [READ-ONLY] done\r\n").result
    assert getattr(box, field) == value
    assert box.read_only
    assert (UidNotSticky() in x.events.take()) == (field == "uids_sticky")


def test_a_failed_select_leaves_no_mailbox_open():
    x = exchange()
    with pytest.raises(MailboxNotFound):
        play(x, select(x, "gone"), b"* OK [CLOSED] x\r\n$T NO [NONEXISTENT] gone\r\n")
    assert x.selected is None
    assert x.events.take() == (MailboxClosed(),)
    with pytest.raises(CommandRefused):
        play(x, select(x, "x"), b"$T NO [NOPERM] no\r\n")
    with pytest.raises(NotSupported):
        play(x, select(x, "x", qresync=SyncState(1, 1)))


@ways
def test_expunge(way):
    x = exchange("UIDPLUS")
    played = play(
        x, expunge(x, [3, 4]), b"* VANISHED 3\r\n* VANISHED 4\r\n$T OK [HIGHESTMODSEQ 91] done\r\n", way=way
    )
    assert played.lines == ["UID EXPUNGE 3:4"]
    assert (list(played.result.vanished), played.result.highest_mod_seq) == ([3, 4], 91)
    assert x.events.take() == (Vanished(NumSet([3, 4])), ModSeqRaised(91))
    played = play(x, expunge(x), b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n$T OK done\r\n", way=way)
    assert played.result.seq_nums == (3, 3)
    assert len(x.events.take()) == 2
    x = exchange()
    with pytest.raises(NotSupported):
        play(x, expunge(x, 3))


def test_leaving():
    x = exchange("UNSELECT")
    assert play(x, unselect(x), b"$T OK done\r\n").lines == ["UNSELECT"]
    assert x.selected is None
    x = exchange()
    assert play(x, close_mailbox(x), b"* 4 FETCH (FLAGS ())\r\n$T OK done\r\n").lines == ["CLOSE"]
    assert x.events.take() == (MessageData(4, flags=frozenset()), MailboxClosed())
    with pytest.raises(NotSupported):
        play(exchange(), unselect(exchange()))
