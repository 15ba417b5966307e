r"""What real clients send and need, where implementations go wrong."""

import asyncio

import pytest

from modseq.core.operations import ClaimRecent

MESSAGE = b"From: ann@example.org\r\nSubject: x\r\n\r\nx\r\n"


def test_thunderbird_asks_for_changes_since_0(talk, fill):
    fill(2)
    talk.run("""
        C: a SELECT "INBOX" (CONDSTORE)
        S: a OK
        C: b UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * 2 FETCH (UID 2 FLAGS () MODSEQ (2))
        S: b OK
    """)


def test_imapflow_puts_unchangedsince_behind_the_flags(talk, fill):
    """Ignored, it would store unconditionally: BAD."""
    fill(1)
    talk.run(r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b UID STORE 1 +FLAGS.SILENT (\Seen) (UNCHANGEDSINCE 1)
        S: b BAD
        C: c UID SEARCH SEEN
        S: * SEARCH
        S: c OK
    """)


@pytest.mark.parametrize(
    "parameters",
    ["(CONDSTORE QRESYNC ($v 1))", "(QRESYNC ($v 1 1:4) CONDSTORE)", "(QRESYNC ($v 1 1:4 (1 1)))"],
)
def test_several_select_parameters(talk, fill, parameters):
    fill(1)
    talk.run(f"""
        C: q ENABLE QRESYNC CONDSTORE
        S: q OK
        C: a SELECT INBOX {parameters}
        S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
        S: a OK
    """)


def test_never_an_empty_vanished(talk, fill):
    """Dovecot's and Cyrus's clients fail on `* VANISHED (EARLIER) ` without UIDs."""
    fill(3)
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: a SELECT INBOX (QRESYNC ($v 2))
        !S: * VANISHED...
        S: a OK
        C: b UID FETCH 1:* (UID) (CHANGEDSINCE 2 VANISHED)
        !S: * VANISHED...
        S: b OK
        C: c EXPUNGE
        !S: * VANISHED...
        S: c OK
    """)


def test_live_uids_never_stand_in_vanished(talk, fill, forget_expunges):
    """Neither with history nor beyond it."""
    fill(9)
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 2:8 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b UID EXPUNGE 2:3,8
        S2: b OK
        C: c SELECT INBOX (QRESYNC ($v 1 1:4294967295))
        S: * VANISHED (EARLIER) 2:3,8
        S: c OK
    """)
    forget_expunges("INBOX", 99)
    talk.run("""
        C: d SELECT INBOX (QRESYNC ($v 1 1:4294967295))
        S: * VANISHED (EARLIER) 2:3,8
        S: d OK
        C: e UID FETCH 1:4294967295 (UID) (CHANGEDSINCE 1 VANISHED)
        S: * VANISHED (EARLIER) 2:3,8
        S: e OK
    """)


def test_sets_in_requests_for_vanished_are_clamped(talk, fill, forget_expunges):
    """UIDs that were never given are not gone: UIDNEXT-1 is the end."""
    fill(2)
    forget_expunges("INBOX", 99)
    talk.run("""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX (QRESYNC ($v 1 1:100))
        !S: * VANISHED ...
        S: s OK
        C: a UID FETCH 3:100,1000:4294967295 (UID) (CHANGEDSINCE 1 VANISHED)
        !S: * VANISHED ...
        S: a OK
    """)


def test_saved_results_drop_expunged_messages(talk, fill):
    """RFC 5182 section 2.1: `$` holds what is left of the search."""
    fill(4)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C: a SEARCH RETURN (SAVE) 2:4
        S: a OK
        C2: b STORE 3 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C: d STORE $ +FLAGS ($Found)
        S: * 2 FETCH (FLAGS ($Found))
        S: * 4 FETCH (FLAGS ($Found))
        !S: * 3 FETCH ...
        S: d OK
        C: e NOOP
        S: * 3 EXPUNGE
        S: e OK
        C: f UID STORE $ -FLAGS ($Found)
        S: * 2 FETCH (UID 2 FLAGS ())
        S: * 3 FETCH (UID 4 FLAGS ())
        S: f OK
        C: g UID COPY $ INBOX
        S: * 5 EXISTS
        S: g OK [COPYUID $v 2,4 5:6]
    """)


def test_one_round_trip_for_a_whole_account(talk, fill):
    """LIST "" "*" RETURN (SUBSCRIBED STATUS (...)) is how a client with many mailboxes finds what moved."""
    talk.run("C: a CREATE Work/Old\nS: a OK\nC: b SUBSCRIBE Work/Old\nS: b OK")
    fill(3)
    fill(2, "Work/Old")
    talk.run(r"""
        C: c LIST "" "*" RETURN (SUBSCRIBED STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ))
        S: * LIST (...) "/" INBOX
        S: * STATUS INBOX (UIDVALIDITY $v UIDNEXT 4 HIGHESTMODSEQ 2)
        S: * LIST (...\Subscribed...) "/" Work/Old
        S: * STATUS Work/Old (UIDVALIDITY $w UIDNEXT 3 HIGHESTMODSEQ 2)
        S: c OK
    """)


# --- SELECT, APPEND, COPY and MOVE as RFC 3501 and its extensions want them -----------------------


def test_recent_messages_belong_to_one_session(talk, fill):
    """RFC 3501 section 2.3.2: the first read-write session; EXAMINE takes nothing away."""
    talk.run("C: a APPEND INBOX {{m}} {{m}}\nS: a OK", m=MESSAGE)
    talk.run(r"""
        C3: b EXAMINE INBOX
        S3: * 2 RECENT
        S3: b OK
        C: b SELECT INBOX
        S: * 2 RECENT
        S: b OK
        C2: b SELECT INBOX
        S2: * 0 RECENT
        S2: b OK
        C: c FETCH 1 (FLAGS)
        S: * 1 FETCH (FLAGS (\Recent))
        S: c OK
        C2: c FETCH 1 (FLAGS)
        S2: * 1 FETCH (FLAGS ())
        S2: c OK
        C: d STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Recent \Seen))
        S: d OK
    """)
    talk.run("C3: e APPEND INBOX {{m}}\nS3: e OK", m=MESSAGE)
    talk.run("""
        C: f NOOP
        S: * 3 EXISTS
        S: * 3 RECENT
        S: f OK
        C2: f NOOP
        S2: * 3 EXISTS
        S2: * 0 RECENT
        S2: f OK
    """)


def test_recent_messages_are_claimed_before_the_mark_is_stored(server, talk, monkeypatch):
    """No message is recent in two sessions of a process, however long the disk takes to keep the mark."""
    talk.run("C: a APPEND INBOX {{m}} {{m}} {{m}}\nS: a OK", m=MESSAGE)

    async def hold_back() -> asyncio.Event:
        account = await server.store.account("alice")
        release, commit = asyncio.Event(), account.commit

        async def slow(operation):
            if isinstance(operation, ClaimRecent):
                await release.wait()
            return await commit(operation)

        monkeypatch.setattr(account, "commit", slow)
        return release

    release = server.call(hold_back())
    talk.run("""
        C: s SELECT INBOX
        S: * 3 RECENT
        S: s OK
        C2: s SELECT INBOX
        S2: * 0 RECENT
        S2: s OK
    """)

    async def let_go() -> int:
        release.set()
        await server.service.finish_background()
        account = await server.store.account("alice")
        return account.published(account.listing().find("INBOX").mailbox_id).recent_from

    assert server.call(let_go()) == 4
    assert not server.service.recent_claims
    talk.run("C3: s SELECT INBOX\nS3: * 0 RECENT\nS3: s OK")


def test_a_mailbox_is_known_for_ever(talk):
    """RFC 8474 section 4: MAILBOXID outlives a RENAME, and tells apart two mailboxes that had one name."""
    talk.run("""
        C: a CREATE First
        S: a OK [MAILBOXID ($one)]
        C: b SELECT First
        S: * OK [MAILBOXID ($one)]
        S: b OK
        C: c RENAME First Second
        S: c OK
        C: d EXAMINE Second
        S: * OK [MAILBOXID ($one)]
        S: d OK
        C: e CREATE First
        S: e OK [MAILBOXID ($two)]
    """)
    assert talk.captures["one"] != talk.captures["two"]


def test_append_to_the_selected_mailbox_is_told_at_once(talk, fill):
    """RFC 3501 section 6.3.11: EXISTS; RFC 4315 section 3: APPENDUID, for several messages a set."""
    fill(1)
    talk.run(
        r"""
        C: s SELECT INBOX
        S: s OK
        C: a APPEND INBOX (\Seen $Kept) "01-Jan-2020 10:00:00 +0200" {{m}}
        S: * 2 EXISTS
        S: a OK [APPENDUID $v 2]
        C: b APPEND INBOX (\Draft) {{m}} {{m}} (\Flagged) {{m}}
        S: * 5 EXISTS
        S: b OK [APPENDUID $v 3:5]
        C: c FETCH 2:5 (FLAGS INTERNALDATE RFC822.SIZE)
        S: * 2 FETCH (FLAGS (...\Seen $Kept) INTERNALDATE " 1-Jan-2020 10:00:00 +0200" RFC822.SIZE 40)
        S: * 3 FETCH (FLAGS (...\Draft) ...)
        S: * 4 FETCH (FLAGS (\Recent) ...)
        S: * 5 FETCH (FLAGS (...\Flagged) ...)
        S: c OK
    """,
        m=MESSAGE,
    )


def test_append_is_all_or_nothing(talk):
    """RFC 3502: a zero-length literal is an error and cancels the whole command."""
    talk.run(
        """
        C: a APPEND INBOX {{m}} {{none}}
        S: a NO
        C: b STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 HIGHESTMODSEQ 1)
        S: b OK
    """,
        m=MESSAGE,
        none=b"",
    )


@pytest.mark.parametrize(
    "command",
    ["APPEND Nowhere {{m}}", "COPY 1 Nowhere", "UID COPY 1 Nowhere", "MOVE 1 Nowhere", "UID MOVE 1 Nowhere"],
)
def test_a_target_that_does_not_exist(talk, fill, command):
    """RFC 3501 section 6.3.11, 6.4.7: NO [TRYCREATE], and nothing is created or removed."""
    fill(1)
    talk.run(f"C: s SELECT INBOX\nS: s OK\nC: a {command}\nS: a NO [TRYCREATE]", m=MESSAGE)
    talk.run("C: b STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 1)\nS: b OK")


def test_a_message_too_large_is_refused_before_it_is_sent(talk):
    """RFC 4469's neighbour TOOBIG; the connection goes on."""
    talk.run("C: a APPEND INBOX {99999999999}\nS: a NO [TOOBIG]\nC: b NOOP\nS: b OK")


@pytest.mark.parametrize("command", ["COPY 2:3", "UID COPY 2:3,77"])
def test_copy(talk, fill, command):
    """RFC 4315 section 3: COPYUID; flags and dates go with the message, \\Recent does not."""
    fill(3, flags="\\Seen $Word")
    talk.run(rf"""
        C: c CREATE Other
        S: c OK
        C: s SELECT INBOX
        S: s OK
        C: a {command} Other
        S: a OK [COPYUID $w 2:3 1:2]
        C: t SELECT Other
        S: t OK
        C: b FETCH 1:* (FLAGS)
        S: * 1 FETCH (FLAGS (\Recent \Seen $Word))
        S: * 2 FETCH (FLAGS (\Recent \Seen $Word))
        S: b OK
    """)


@pytest.mark.parametrize("qresync", [True, False])
@pytest.mark.parametrize("command", ["MOVE 2:3", "UID MOVE 2:3,77"])
def test_move(talk, fill, command, qresync):
    """RFC 6851 section 3.3, 4.3: COPYUID in an untagged OK before the expunges; RFC 7162: HIGHESTMODSEQ."""
    fill(4)
    gone = ["* VANISHED 2:3"] if qresync else ["* 2 EXPUNGE", "* 2 EXPUNGE"]
    talk.run(f"""
        C: q {"ENABLE QRESYNC" if qresync else "NOOP"}
        S: q OK
        C: c CREATE Other
        S: c OK
        C: s SELECT INBOX
        S: s OK
        C: a {command} Other
        S: * OK [COPYUID $w 2:3 1:2]
        S: a OK {"[HIGHESTMODSEQ 3]" if qresync else "Moved"}
    """)
    assert talk.came[1:-1] == gone


def test_move_within_a_mailbox(talk, fill):
    """RFC 6851 section 3.3: the message gets a new UID."""
    fill(3)
    talk.run("""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a UID MOVE 1 INBOX
        S: * OK [COPYUID $v 1 4]
        S>: * VANISHED 1
        S>: * 3 EXISTS
        S: a OK [HIGHESTMODSEQ 3]
    """)


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
def test_expunged_messages_by_number_refuse_a_copy(talk, fill, command):
    """All or none: the client means a message that it still counts. By UID it is passed over."""
    fill(3)
    talk.run(rf"""
        C: c CREATE Other
        S: c OK
        C: s SELECT INBOX
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 2 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C: d {command} 1:3 Other
        S: d NO [EXPUNGEISSUED]
        C: e STATUS Other (MESSAGES)
        S: * STATUS Other (MESSAGES 0)
        S: e OK
        C: f UID {command} 1:3 Other
        S: f OK
        C: g STATUS Other (MESSAGES)
        S: * STATUS Other (MESSAGES 2)
        S: g OK
    """)


def test_unknown_uids_alone_are_no_error(talk, fill):
    """RFC 4315: no COPYUID where nothing was copied."""
    fill(1)
    talk.run("""
        C: s SELECT INBOX
        S: s OK
        C: a UID COPY 77 INBOX
        S: a OK No
        C: b UID MOVE 77 INBOX
        !S: * OK [COPYUID ...
        S: b OK No
        C: c UID STORE 77 +FLAGS (x)
        S: c OK
        C: d UID EXPUNGE 77
        S: d OK
    """)


def test_star_and_ranges_in_an_empty_mailbox(talk):
    """Many clients send 1:* whatever EXISTS said."""
    talk.run("""
        C: s SELECT INBOX
        S: s OK
        C: a FETCH 1:* (FLAGS)
        S: a OK
        C: b UID STORE 1:* +FLAGS (x)
        S: b OK
        C: c STORE 1 +FLAGS (x)
        S: c BAD
        C: d UID SEARCH 1:*
        S: d OK
    """)


def test_mutt_comes_back_to_a_mailbox(talk, fill):
    """As recorded: ENABLE of what is not there, SELECT with CONDSTORE, VANISHED, a command right behind DONE."""
    fill(6)
    talk.run(r"""
        C2: s SELECT INBOX
        S2: s OK
        C2: a UID STORE 2 +FLAGS.SILENT (\Flagged)
        S2: a OK
        C2: b UID STORE 4 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C: a2 ENABLE UTF8=ACCEPT
        S: * ENABLED
        S: a2 OK
        C: a3 ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: a3 OK
        C: a5 SELECT "INBOX" (CONDSTORE)
        S: a5 OK
        C: a6 UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 2 VANISHED)
        S: * VANISHED (EARLIER) 4
        S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (3))
        S: a6 OK
        C: a7 IDLE
        S: + ...
        C: DONE
        C: a8 UID STORE 5 +FLAGS.SILENT (Old)
        S: a7 OK
        S: * 4 FETCH (UID 5 MODSEQ (6))
        S: a8 OK
    """)


def test_interimap_comes_back_with_gaps_in_its_match_data(talk, fill):
    """As recorded: ranges with gaps, 4294967295 for the end, and a conditional STORE of no flags at all."""
    fill(8)
    talk.run(r"""
        C2: s SELECT INBOX
        S2: s OK
        C2: a UID STORE 2,7 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C2: c UID STORE 3 +FLAGS.SILENT (\Flagged $Other)
        S2: c OK
        C: q ENABLE QRESYNC
        S: q OK
        C: l LIST "" "*" RETURN (SUBSCRIBED STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ))
        S: * STATUS INBOX (UIDVALIDITY $v UIDNEXT 9 HIGHESTMODSEQ 5)
        S: l OK
        C: s SELECT INBOX (QRESYNC ($v 2 1:8 (1:4,6:8 1:4,6:8)))
        S: * VANISHED (EARLIER) 2,7
        S: * 2 FETCH (UID 3 FLAGS (\Flagged $Other) MODSEQ (5))
        S: s OK
        C: t UID STORE 3 (UNCHANGEDSINCE 5) FLAGS.SILENT ()
        S: * 2 FETCH (UID 3 MODSEQ (6))
        S: t OK
        C: u UID FETCH 8:4294967295 (MODSEQ FLAGS INTERNALDATE BODY.PEEK[])
        S: * 6 FETCH (UID 8 MODSEQ (2) FLAGS ...
        S: u OK
    """)
