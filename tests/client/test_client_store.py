"""STORE: what became of each message. RFC 7162 section 3.1.3."""

import pytest

from client.play import exchange, play, ways
from modseq.client import (
    CommandRefused,
    CommandRejected,
    ModSeqRaised,
    NotSupported,
    NumSet,
    Vanished,
    WrongState,
)
from modseq.client.errors import ProtocolViolated
from modseq.client.verbs.store import store


def fates(stored):
    return tuple([list(each) for each in (stored.applied, stored.modified, stored.missing, stored.untold)])


@ways
def test_a_condition_sorts_the_messages(way):
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, "7,5,9,12", add="$Claimed", unchanged_since=12, silent=True),
        b"* 1 FETCH (UID 7 MODSEQ (60))\r\n"
        b"* 2 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (40))\r\n"
        b"* VANISHED 12\r\n"
        b"$T OK [MODIFIED 5] Conditional STORE failed\r\n",
        # 9 was not spoken of: it is asked for.
        b"$T OK done\r\n",
        way=way,
    )
    assert played.lines == [
        "UID STORE 7,5,9,12 (UNCHANGEDSINCE 12) +FLAGS.SILENT ($Claimed)",
        "UID FETCH 9 (UID FLAGS)",
    ]
    assert fates(played.result) == ([7], [5], [9, 12], [])
    assert played.result.messages[7].mod_seq == 60
    assert played.result.messages[5].flags == {"\\Seen"}
    assert x.events.take() == (Vanished(NumSet([12])),)


@ways
def test_silence_of_a_message_that_is_there_is_no_success(way):
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, [7, 8], add="$Claimed", unchanged_since=12),
        b"$T OK done\r\n",
        b"* 1 FETCH (UID 7 FLAGS ($Claimed))\r\n$T OK done\r\n",
        way=way,
    )
    assert fates(played.result) == ([], [], [8], [7])


def test_a_fetch_without_mod_seq_does_not_confirm():
    """It may be another session's change that came by."""
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, 7, add="$Claimed", unchanged_since=12),
        b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n$T OK done\r\n",
        b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n$T OK done\r\n",
    )
    assert fates(played.result) == ([], [], [], [7])


def test_modified_wins_over_a_fetch_and_vanished_over_both():
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, "7:9", add="$x", unchanged_since=1),
        b"* 1 FETCH (UID 7 MODSEQ (9))\r\n* 2 FETCH (UID 8 MODSEQ (9))\r\n* 3 FETCH (UID 9 MODSEQ (9))\r\n"
        b"* VANISHED 8\r\n$T OK [MODIFIED 7] x\r\n",
    )
    assert fates(played.result) == ([9], [7], [8], [])


def test_a_set_that_only_the_server_knows():
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, "1:*", add="$x", unchanged_since=1),
        b"* 1 FETCH (UID 7 MODSEQ (9))\r\n* VANISHED 3\r\n$T OK [MODIFIED 8:9] x\r\n",
    )
    assert fates(played.result) == ([7], [8, 9], [3], [])


@ways
def test_all_refused_is_no_error(way):
    x = exchange("CONDSTORE", "XALLORNONE")
    verb = store(x, [7, 8], add="$x", unchanged_since=1, all_or_none=True)
    played = play(x, verb, b"$T NO [MODIFIED 8] nothing was changed\r\n", way=way)
    assert played.lines == ["UID STORE 7:8 (UNCHANGEDSINCE 1 XALLORNONE) +FLAGS ($x)"]
    assert fates(played.result) == ([], [8], [], [7])
    assert played.result.condition == "NO"


def test_expunge_issued_is_no_error():
    x = exchange()
    played = play(x, store(x, 7, add="$x"), b"$T NO [EXPUNGEISSUED] some are gone\r\n")
    assert fates(played.result) == ([], [], [], [7])


def test_without_a_condition():
    x = exchange()
    played = play(
        x,
        store(x, [7, 8], replace=["\\Seen", "$x"]),
        b"* 1 FETCH (UID 7 FLAGS (\\Seen $x))\r\n$T OK [HIGHESTMODSEQ 61] done\r\n",
    )
    assert played.lines == ["UID STORE 7:8 FLAGS (\\Seen $x)"]
    assert fates(played.result) == ([7], [], [], [8])
    assert played.result.highest_mod_seq == 61
    assert x.events.take() == (ModSeqRaised(61),)


def test_what_belongs_to_others_becomes_events():
    x = exchange("CONDSTORE")
    played = play(
        x,
        store(x, 7, remove="\\Seen"),
        b"* 9 FETCH (UID 33 FLAGS (\\Answered))\r\n* 10 EXISTS\r\n* 1 FETCH (FLAGS ())\r\n"
        b"* 1 FETCH (UID 7 FLAGS ())\r\n* OK [HIGHESTMODSEQ 70] x\r\n$T OK done\r\n",
    )
    assert fates(played.result)[0] == [7]
    kinds = [type(event).__name__ for event in x.events.take()]
    assert kinds == ["MessageData", "Exists", "MessageData", "ModSeqRaised"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"$T NO [NOPERM] may not\r\n", CommandRefused),
        (b"$T NO no more keywords\r\n", CommandRefused),
        (b"$T BAD what\r\n", CommandRejected),
        (b"$T OK [MODIFIED nonsense] x\r\n", ProtocolViolated),
    ],
)
def test_other_refusals_raise(reply, error):
    x = exchange("CONDSTORE")
    with pytest.raises(error):
        play(x, store(x, 7, add="$x", unchanged_since=1), reply)
    assert not x.running


def test_nothing_is_sent_that_cannot_hold():
    x = exchange()
    with pytest.raises(NotSupported):
        play(x, store(x, 7, add="$x", unchanged_since=0))
    x = exchange("CONDSTORE")
    with pytest.raises(NotSupported):
        play(x, store(x, 7, add="$x", unchanged_since=0, all_or_none=True))
    for arguments in ({}, {"add": "a", "remove": "b"}, {"add": "a b"}, {"add": ["x\r\ny"]}):
        with pytest.raises(ValueError):
            play(x, store(x, 7, **arguments))
    for uids in ([], 0, "x", "1:*\r\n", [2**32], [-1], "0"):
        with pytest.raises(ValueError):
            play(x, store(x, uids, add="$x"))
    x = exchange("CONDSTORE", selected=False)
    with pytest.raises(WrongState):
        play(x, store(x, 7, add="$x"))
