"""CHANGEDSINCE, VANISHED and MODSEQ in FETCH. RFC 7162 section 3.1.4, 3.2.4, 3.2.6, 3.2.10."""

import pytest

from modseq.core.numset import NumSet
from modseq.core.operations import Expunge
from modseq.core.store_flags import StoreFlags

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def account(server):
    return server.call(server.store.account("alice"))


def fill(talk, *flag_lists):
    for flags in flag_lists:
        talk.run(f"C: f1 APPEND INBOX ({flags}) {{{{m}}}}\nS: f1 OK", m=MESSAGE)
    talk.run("C9: f2 SELECT INBOX\nS9: f2 OK\nC: f3 SELECT INBOX\nS: f3 OK")


def lines(talk):
    """What came in the last block, but for the tagged reply."""
    return talk.came[:-1]


# --- section 3.1.4 --------------------------------------------------------------------------------


def test_changedsince_tells_only_what_changed_and_adds_the_mod_seq(talk):
    # RFC 7162 section 3.1.4.1, example 12: the mailbox has mod-sequences 2 to 5.
    fill(talk, "\\Seen", "\\Deleted", "", "$NoJunk $AutoJunk $MDNSent")
    talk.run(
        r"""
        C: s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3)
        S: * 3 FETCH (UID 3 FLAGS () MODSEQ (4))
        S: * 4 FETCH (UID 4 FLAGS ($NoJunk $AutoJunk $MDNSent) MODSEQ (5))
        !S: * 1 FETCH ...
        !S: * 2 FETCH ...
        S: s100 OK
        C: a2 FETCH 1:2 (UID) (CHANGEDSINCE 2)
        S: * 2 FETCH (UID 2 MODSEQ (3))
        S: a2 OK
        C: a3 FETCH 1:4 (FLAGS) (CHANGEDSINCE 5)
        !S: * ...
        S: a3 OK
    """
    )


def test_changedsince_0_means_everything(talk):
    # Thunderbird sends it.
    fill(talk, "", "")
    talk.run("C: a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)\nS: a1 OK")
    assert [line for line in lines(talk) if "FETCH" in line] == [
        "* 1 FETCH (UID 1 FLAGS () MODSEQ (2))",
        "* 2 FETCH (UID 2 FLAGS () MODSEQ (3))",
    ]


def test_modseq_item(talk):
    # RFC 7162 section 3.1.4.2, example 13
    fill(talk, "", "", "")
    talk.run(
        """
        C: a FETCH 1:3 (MODSEQ)
        S: * 1 FETCH (MODSEQ (2))
        S>: * 2 FETCH (MODSEQ (3))
        S>: * 3 FETCH (MODSEQ (4))
        S: a OK
    """
    )


@pytest.mark.parametrize(
    "command", ["FETCH 1 (MODSEQ)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1)", "UID FETCH 1 (UID) (CHANGEDSINCE 0)"]
)
def test_asking_for_mod_sequences_enables_condstore(talk, command):
    # RFC 7162 section 3.1: the HIGHESTMODSEQ of this moment, then MODSEQ in everything that comes unasked.
    fill(talk, "")
    talk.run(
        rf"""
        C: a1 {command}
        S: * OK [HIGHESTMODSEQ 2]
        S>: * 1 FETCH ...
        S: a1 OK
        C9: b1 SELECT INBOX
        S9: b1 OK
        C9: b2 STORE 1 +FLAGS (\Flagged)
        S9: b2 OK
        C: a2 NOOP
        S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (3))
        S: a2 OK
    """
    )


def test_the_body_of_changed_messages_only(talk):
    fill(talk, "", "")
    talk.run(
        r"""
        C: a1 UID FETCH 1:* (BODY[TEXT]) (CHANGEDSINCE 2)
        S: * 2 FETCH (FLAGS (\Seen) UID 2 BODY[TEXT] {6}body\r\n MODSEQ (4))
        !S: * 1 FETCH ...
        S: a1 OK
        C: a2 FETCH 1 (FLAGS)
        S: * 1 FETCH (FLAGS ())
        S: a2 OK
    """
    )


# --- section 3.2.6 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", ""),
        ("FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", "ENABLE QRESYNC"),
        ("UID FETCH 1:* (FLAGS) (VANISHED)", "ENABLE QRESYNC"),
        ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 CHANGEDSINCE 1)", "ENABLE QRESYNC"),
    ],
)
def test_vanished_where_it_may_not_stand_is_bad(talk, command, before):
    fill(talk, "")
    if before:
        talk.run(f"C: a0 {before}\nS: a0 OK")
    talk.run(f"C: a1 {command}\nS: a1 BAD")


def expunged(talk, *, told):
    """UIDs 1 to 9 of which 2, 3 and 8 were expunged (3 as mod-sequence 13, the others as 14)."""
    fill(talk, *[""] * 9)  # mod-sequences 2 to 10
    talk.run(
        r"""
        C: e1 ENABLE QRESYNC
        S: e1 OK
        C9: e2 SELECT INBOX
        S9: e2 OK
        C9: e3 UID STORE 3 +FLAGS (\Deleted)
        S9: e3 OK
        C9: e4 UID STORE 2,8 +FLAGS (\Deleted)
        S9: e4 OK
        C9: e5 UID EXPUNGE 3
        S9: e5 OK
        C9: e6 EXPUNGE
        S9: e6 OK
    """
    )
    if told:
        talk.run("C: e7 NOOP\nS: * VANISHED 2:3,8\nS: e7 OK")


def test_vanished_tells_what_was_expunged_since(talk):
    expunged(talk, told=True)
    talk.run(
        r"""
        C9: b1 UID STORE 5 +FLAGS (\Seen)
        S9: b1 OK
        C: s100 UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 12 VANISHED)
        S: * VANISHED (EARLIER) 2:3,8
        S>: * 3 FETCH (UID 5 FLAGS (\Seen) MODSEQ (15))
        S: s100 OK
        C: a2 UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 13 VANISHED)
        S: * VANISHED (EARLIER) 2,8
        S: a2 OK
    """
    )


@pytest.mark.parametrize(
    ("uids", "told"),
    [
        ("1:2", "* VANISHED (EARLIER) 2"),
        ("2:3,5", "* VANISHED (EARLIER) 2:3"),
        ("3:8", "* VANISHED (EARLIER) 3,8"),
        ("8:4294967295", "* VANISHED (EARLIER) 8"),
        ("9:*", None),
        ("*", None),
        ("4:7", None),
    ],
)
def test_vanished_names_only_what_was_asked_for_and_never_nothing(talk, uids, told):
    expunged(talk, told=True)
    talk.run(f"C: a1 UID FETCH {uids} (UID) (CHANGEDSINCE 14 VANISHED)\nS: a1 OK")
    assert not [line for line in lines(talk) if "VANISHED" in line]
    talk.run(f"C: a1 UID FETCH {uids} (UID) (CHANGEDSINCE 12 VANISHED)\nS: a1 OK")
    assert [line for line in lines(talk) if "VANISHED" in line] == ([told] if told else [])


def test_star_is_the_highest_uid_ever_given(talk):
    fill(talk, "", "\\Deleted")
    talk.run(
        """
        C: a1 ENABLE QRESYNC
        S: a1 OK
        C: a2 EXPUNGE
        S: * VANISHED 2
        S: a2 OK
        C: a3 UID FETCH * (UID) (CHANGEDSINCE 1 VANISHED)
        S: * VANISHED (EARLIER) 2
        S: a3 OK
    """
    )


def test_what_this_session_still_counts_is_told_as_plain_vanished_first(talk):
    # A VANISHED (EARLIER) does not lower the count of messages: RFC 7162 section 3.2.10.1.
    expunged(talk, told=False)
    talk.run("C: a1 UID FETCH 1:9 (UID) (CHANGEDSINCE 12 VANISHED)\nS: a1 OK")
    assert lines(talk)[0] == "* VANISHED 2:3,8"
    assert lines(talk)[1] == "* VANISHED (EARLIER) 2:3,8"
    talk.run("C: a2 FETCH 6 (UID)\nS: * 6 FETCH (UID 9)\nS: a2 OK")


def test_an_expunge_between_the_two_questions_is_not_told_as_earlier_only(talk, account, monkeypatch):
    expunged(talk, told=True)
    ask = account.changes_since
    mailbox = account.listing().find("INBOX").mailbox_id

    async def expunge_first(mailbox_id, mod_seq):
        monkeypatch.setattr(account, "changes_since", ask)
        account.commit_now(StoreFlags(mailbox, NumSet([5]), "+", ("\\Deleted",)))
        account.commit_now(Expunge(mailbox))
        return await ask(mailbox_id, mod_seq)

    monkeypatch.setattr(account, "changes_since", expunge_first)
    talk.run("C: a1 UID FETCH 1:9 (UID) (CHANGEDSINCE 12 VANISHED)\nS: a1 OK")
    assert lines(talk)[0] == "* VANISHED (EARLIER) 2:3,8"
    assert lines(talk)[-1] == "* VANISHED 5"


def test_vanished_earlier_stands_before_any_fetch_also_an_unasked_one(talk):
    # RFC 7162 section 3.2.6
    expunged(talk, told=True)
    talk.run(
        r"""
        C9: b1 UID STORE 1,9 +FLAGS (\Seen)
        S9: b1 OK
        C: a1 UID FETCH 2:8 (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: a1 OK
    """
    )
    kinds = ["VANISHED" if "VANISHED" in line else "FETCH" for line in lines(talk)]
    assert kinds == ["VANISHED", *["FETCH"] * (len(kinds) - 1)]
    assert r"* 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (15))" in lines(talk)


def test_beyond_the_horizon_everything_that_is_not_there_is_told(server, talk, account):
    expunged(talk, told=True)
    talk.run("C9: b1 APPEND INBOX {{m}}\nS9: b1 OK", m=MESSAGE)
    mailbox = account.listing().find("INBOX").mailbox_id

    async def forget():
        account.forget_expunges(mailbox, 13)

    server.call(forget())
    talk.run(
        """
        C: a1 UID FETCH 1:100 (UID) (CHANGEDSINCE 5 VANISHED)
        S: * VANISHED (EARLIER) 2:3,8
        S>: * 3 FETCH (UID 5 MODSEQ (6))
        S: a1 OK
        C: a2 UID FETCH 3:7 (UID) (CHANGEDSINCE 11 VANISHED)
        S: * VANISHED (EARLIER) 3
        !S: * 1 FETCH ...
        S: a2 OK
        C: a3 UID FETCH 1:100 (UID) (CHANGEDSINCE 13 VANISHED)
        S: * VANISHED (EARLIER) 2,8
        S: a3 OK
    """
    )


# --- section 3.2: what the client may store -------------------------------------------------------


def test_a_fetch_that_withholds_an_expunge_says_the_lower_highestmodseq(talk):
    expunged(talk, told=False)
    talk.run(
        r"""
        C9: b1 UID STORE 1 +FLAGS (\Seen)
        S9: b1 OK
        C: a1 FETCH 1 (UID FLAGS MODSEQ)
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (15))
        !S: * VANISHED ...
        S: a1 OK [HIGHESTMODSEQ 12]
        C: a2 NOOP
        S: * VANISHED 2:3,8
        S: a2 OK [HIGHESTMODSEQ 15]
    """
    )
