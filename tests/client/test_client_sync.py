"""Bringing a copy up to date by whatever the server can do. RFC 7162 section 6."""

import pytest

from client.play import exchange, play, ways
from modseq.client import CommandRejected, NumSet, Quirks, SyncReset, SyncState, Vanished
from modseq.client.verbs.sync import sync

QRESYNC = ("CONDSTORE", "QRESYNC", "ENABLE", "ESEARCH")
STATE = SyncState(7, 80, NumSet([1, 2, 3]))


def opened(exists, *, mod_seq=90, uid_validity=7, more=b""):
    return b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [HIGHESTMODSEQ %d] x\r\n%b$T OK done\r\n" % (
        exists,
        uid_validity,
        mod_seq,
        more,
    )


def message(uid, flags="", mod_seq=90):
    return b"* 1 FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (uid, flags.encode(), mod_seq)


def shown(emitted):
    """Return changes as short words."""
    words = []
    for change in emitted:
        if isinstance(change, SyncReset):
            words.append(change.reason)
        elif isinstance(change, Vanished):
            words.append(f"gone {change.uids.to_bytes().decode()}")
        else:
            words.append(f"{change.uid} {' '.join(sorted(change.flags))}".strip())
    return words


@ways
def test_the_first_time(way):
    x = exchange(*QRESYNC, selected=False)
    played = play(
        x,
        sync(x, "INBOX", None),
        b"* ENABLED QRESYNC\r\n$T OK done\r\n",
        opened(2),
        message(1, "a") + message(9) + b"$T OK done\r\n",
        way=way,
    )
    assert played.lines == ["ENABLE QRESYNC", "EXAMINE INBOX", "UID FETCH 1:* (UID FLAGS MODSEQ)"]
    assert shown(played.emitted) == ["first", "1 a", "9"]
    assert played.result.state == SyncState(7, 90, NumSet([1, 9]))


@ways
def test_qresync(way):
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC",))
    played = play(
        x,
        sync(x, "INBOX", STATE, read_only=False),
        opened(3, more=b"* VANISHED (EARLIER) 2,77:4294967295\r\n" + message(1, "b") + message(9)),
        way=way,
    )
    assert played.lines == ["SELECT INBOX (QRESYNC (7 80 1:3))"]
    assert shown(played.emitted) == ["gone 2", "1 b", "9"]
    assert (played.result.method, played.result.repaired) == ("qresync", False)
    assert played.result.state == SyncState(7, 90, NumSet([1, 3, 9]))


@ways
@pytest.mark.parametrize(
    ("vanished", "there", "expected"),
    [
        (b"", b"ALL 1,3", ["gone 2"]),
        (b"* VANISHED (EARLIER) 2:3\r\n", b"ALL 1,3", ["gone 2:3", "3"]),
        (b"* VANISHED (EARLIER) 1:3\r\n", b"ALL 8", ["gone 1:3", "8"]),
    ],
)
def test_vanished_that_does_not_agree_with_the_count_is_repaired(way, vanished, there, expected):
    count = 2 if b"," in there else 1
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC",))
    replies = [opened(count, more=vanished), b'* ESEARCH (TAG "m2") UID %b\r\n$T OK done\r\n' % there]
    if len(expected) > 1:
        replies.append(message(int(expected[1])) + b"$T OK done\r\n")
    played = play(x, sync(x, "INBOX", STATE), *replies, way=way)
    assert shown(played.emitted) == expected
    assert played.result.repaired


def test_a_server_known_to_be_wrong_is_checked_always():
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC",), quirks=Quirks(wrong_vanished=True))
    reply = b'* ESEARCH (TAG "m2") UID ALL 1,3,4\r\n$T OK done\r\n'
    played = play(x, sync(x, "INBOX", STATE), opened(3), reply, message(4) + b"$T OK done\r\n")
    assert shown(played.emitted) == ["gone 2", "4"]


@ways
def test_condstore_and_a_difference(way):
    x = exchange("CONDSTORE", selected=False)
    played = play(
        x,
        sync(x, "INBOX", STATE),
        opened(3),
        message(1, "b") + message(9) + b"$T OK done\r\n",
        b"* SEARCH 1 3 9\r\n$T OK done\r\n",
        way=way,
    )
    assert played.lines == [
        "EXAMINE INBOX (CONDSTORE)",
        "UID FETCH 1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 80)",
        "UID SEARCH ALL",
    ]
    assert shown(played.emitted) == ["1 b", "9", "gone 2"]
    assert played.result.method == "condstore"
    assert played.result.state.uids == NumSet([1, 3, 9])


def test_condstore_asks_nothing_where_nothing_changed():
    x = exchange("CONDSTORE", selected=False)
    played = play(x, sync(x, "INBOX", STATE), opened(3, mod_seq=80))
    assert len(played.lines) == 1
    # An expunge need not raise HIGHESTMODSEQ where there is no QRESYNC.
    x = exchange("CONDSTORE", selected=False)
    played = play(
        x, sync(x, "INBOX", STATE), opened(2, mod_seq=80), b"$T OK x\r\n", b"* SEARCH 1 3\r\n$T OK x\r\n"
    )
    assert shown(played.emitted) == ["gone 2"]


@ways
def test_without_mod_sequences_everything_is_compared(way):
    x = exchange(selected=False)
    played = play(
        x,
        sync(x, "INBOX", STATE),
        b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n$T OK done\r\n",
        b"* 1 FETCH (UID 1 FLAGS (a))\r\n* 2 FETCH (FLAGS (b) UID 9)\r\n$T OK done\r\n",
        way=way,
    )
    assert played.lines == ["EXAMINE INBOX", "UID FETCH 1:* (UID FLAGS)"]
    assert shown(played.emitted) == ["1 a", "9 b", "gone 2:3"]
    assert (played.result.method, played.result.state) == ("scan", SyncState(7, 0, NumSet([1, 9])))


@pytest.mark.parametrize("quirks", [Quirks(no_condstore=True), Quirks(no_qresync=True)])
def test_switches(quirks):
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC", "CONDSTORE"), quirks=quirks)
    replies = [opened(3), b"$T OK done\r\n"]
    if quirks.no_qresync:
        replies.append(b"* ESEARCH (TAG m3) UID ALL 1:3\r\n$T OK done\r\n")
    played = play(x, sync(x, "INBOX", STATE), *replies)
    assert played.lines[0] == "EXAMINE INBOX"
    assert played.result.method == ("condstore" if quirks.no_qresync else "scan")
    assert played.result.state.mod_seq == (90 if quirks.no_qresync else 0)


def test_a_server_that_rejects_qresync_is_remembered():
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC",))
    played = play(
        x,
        sync(x, "INBOX", STATE),
        b"$T BAD what\r\n",
        opened(3, mod_seq=80),
    )
    assert (played.result.method, x.quirks.no_qresync) == ("condstore", True)
    x = exchange(selected=False)
    with pytest.raises(CommandRejected):
        play(x, sync(x, "INBOX", STATE), b"$T BAD what\r\n")


@ways
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (opened(1, uid_validity=8), "uid_validity"),
        (opened(1, mod_seq=79), "mod_seq"),
        (opened(1, more=b"* NO [UIDNOTSTICKY] x\r\n"), "not_sticky"),
    ],
)
def test_a_copy_that_means_nothing_any_more(way, reply, reason):
    x = exchange(*QRESYNC, selected=False, enabled=("QRESYNC",))
    played = play(x, sync(x, "INBOX", STATE), reply, message(1) + b"$T OK done\r\n", way=way)
    assert shown(played.emitted) == [reason, "1"]


def test_messages_that_go_meanwhile_are_no_error():
    x = exchange("CONDSTORE", selected=False)
    replies = [opened(3), b"$T NO [EXPUNGEISSUED] gone\r\n", b"* SEARCH 1:3\r\n"]
    replies[2] = b"* SEARCH 1 2 3\r\n$T OK done\r\n"
    assert shown(play(x, sync(x, "INBOX", STATE), *replies).emitted) == []


def test_a_state_is_kept_as_text():
    for state in (STATE, SyncState(1), SyncState(2**32 - 1, 2**63 - 1, NumSet([1, 5, 6, 2**32 - 1]))):
        assert SyncState.from_json(state.to_json()) == state
    for text in ("", "[]", "[1,2]", '[1,2,"x"]', '{"a":1}'):
        with pytest.raises(ValueError):
            SyncState.from_json(text)
