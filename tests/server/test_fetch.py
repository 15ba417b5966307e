"""FETCH and UID FETCH as a client sees them. RFC 3501 section 6.4.5, 6.4.8, 7.4.2; RFC 8474; RFC 8514."""

import pytest

from modseq.core.errors import StorageFailed, StorageFull
from server.talk import Conversation

PLAIN = (
    b"From: Fred <fred@example.com>\r\nTo: bob@example.org\r\nSubject: Hello\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nbody text\r\n"
)


def fill(talk, *flag_lists, message=PLAIN):
    """Store messages with these flags and select INBOX; the first session to do so has them as recent."""
    for flags in flag_lists:
        talk.run(f"C: f1 APPEND INBOX ({flags}) {{{{m}}}}\nS: f1 OK", m=message)
    talk.run("C9: f2 SELECT INBOX\nS9: f2 OK\nC9: f3 UNSELECT\nS9: f3 OK\nC: f4 SELECT INBOX\nS: f4 OK")


def said(talk, command):
    """Return what is said to a command, but for the tagged reply, which must be OK."""
    talk.run(f"C: s1 {command}\nS: s1 OK")
    return talk.came[:-1]


@pytest.fixture
def account(server):
    return server.call(server.store.account("alice"))


# --- items ----------------------------------------------------------------------------------------


def test_every_item_that_is_no_section(talk):
    talk.run('C: a1 APPEND INBOX (\\Flagged) "17-Jul-1996 02:44:25 -0700" {{m}}\nS: a1 OK', m=PLAIN)
    fill(talk)
    talk.run(
        r"""
        C: a2 FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ EMAILID THREADID SAVEDATE)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 119 MODSEQ (2) EMAILID ($e) THREADID NIL SAVEDATE "$saved_")
        S: a2 OK
        C: a3 FETCH 1 (ENVELOPE)
        S: * 1 FETCH (ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" "Hello" (("Fred" NIL "fred" "example.com")) (("Fred" NIL "fred" "example.com")) (("Fred" NIL "fred" "example.com")) ((NIL NIL "bob" "example.org")) NIL NIL NIL NIL))
        S: a3 OK
        C: a4 FETCH 1 (BODY BODYSTRUCTURE)
        S: * 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1) BODYSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1 NIL NIL NIL NIL))
        S: a4 OK
    """
    )


@pytest.mark.parametrize(
    ("macro", "items"),
    [
        ("FAST", "FLAGS INTERNALDATE RFC822.SIZE"),
        ("ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE"),
        ("FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY"),
    ],
)
def test_macros_stand_for_their_items(talk, macro, items):
    fill(talk, "")
    assert said(talk, f"FETCH 1 {macro}") == said(talk, f"FETCH 1 ({items})")


def test_uid_fetch_always_tells_the_uid(talk):
    fill(talk, "", "\\Seen")
    assert said(talk, "UID FETCH 2 (FLAGS)") == ["* 2 FETCH (UID 2 FLAGS (\\Seen))"]
    assert said(talk, "UID FETCH 2 (FLAGS UID)") == ["* 2 FETCH (FLAGS (\\Seen) UID 2)"]
    assert said(talk, "UID FETCH 1 (RFC822.SIZE INTERNALDATE)")[0].startswith(
        "* 1 FETCH (UID 1 RFC822.SIZE 119 INT"
    )


def test_uid_fetch_passes_over_uids_that_are_not_there(talk):
    fill(talk, "", "")
    assert said(talk, "UID FETCH 3:9 (FLAGS)") == []
    assert said(talk, "UID FETCH 7:* (FLAGS)") == ["* 2 FETCH (UID 2 FLAGS ())"]  # `*` is the last message


def test_an_email_id_stays_with_the_message_through_copy(talk):
    fill(talk, "")
    talk.run(
        """
        C: a1 CREATE Other
        S: a1 OK
        C: a2 FETCH 1 (EMAILID)
        S: * 1 FETCH (EMAILID ($id))
        S: a2 OK
        C: a3 COPY 1 Other
        S: a3 OK
        C: a4 SELECT Other
        S: a4 OK
        C: a5 UID FETCH 1 (EMAILID)
        S: * 1 FETCH (UID 1 EMAILID ($id))
        S: a5 OK
    """
    )


def test_the_first_session_has_new_messages_as_recent(talk):
    talk.run(
        r"""
        C: a1 APPEND INBOX (\Seen) {{m}}
        S: a1 OK
        C: a2 SELECT INBOX
        S: a2 OK
        C2: b1 SELECT INBOX
        S2: b1 OK
        C: a3 FETCH 1 (FLAGS)
        S: * 1 FETCH (FLAGS (\Recent \Seen))
        S: a3 OK
        C2: b2 FETCH 1 (FLAGS)
        S2: * 1 FETCH (FLAGS (\Seen))
        S2: b2 OK
    """,
        m=PLAIN,
    )


# --- sets -----------------------------------------------------------------------------------------


def test_sets_name_each_message_once_in_order(talk):
    fill(talk, "", "", "", "")
    lines = ["* 1 FETCH (UID 1)", "* 3 FETCH (UID 3)", "* 4 FETCH (UID 4)"]
    assert said(talk, "FETCH 4:3,1,4,*:3 (UID)") == lines


def test_a_number_beyond_the_last_message_is_bad(talk):
    fill(talk, "")
    talk.run("C: a1 FETCH 2 (FLAGS)\nS: a1 BAD\nC: a2 FETCH 1:* (FLAGS)\nS: a2 OK")


def test_dollar_stands_for_what_search_saved_without_what_is_gone(talk):
    # RFC 5182 section 2.1
    fill(talk, "", "\\Deleted", "")
    talk.run(
        """
        C: a1 SEARCH RETURN (SAVE) UID 2:3
        S: a1 OK
        C: a2 UID EXPUNGE 2
        S: a2 OK
        C: a3 FETCH $ (UID)
        S: * 2 FETCH (UID 3)
        S: a3 OK
        C: a4 SEARCH RETURN (SAVE) UID 99
        S: a4 OK
        C: a5 UID FETCH $ (FLAGS)
        !S: * ...
        S: a5 OK
    """
    )


# --- \Seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "sets_seen"),
    [
        ("BODY[]", True),
        ("BODY[HEADER]", True),
        ("BODY[TEXT]<0.1>", True),
        ("RFC822", True),
        ("RFC822.TEXT", True),
        ("RFC822.HEADER", False),
        ("BODY.PEEK[]", False),
        ("BODYSTRUCTURE", False),
    ],
)
def test_reading_a_body_sets_seen_unless_it_only_peeks(talk, item, sets_seen):
    fill(talk, "")
    (line,) = said(talk, f"FETCH 1 ({item})")
    assert line.startswith(
        "* 1 FETCH (FLAGS (\\Seen) " if sets_seen else f"* 1 FETCH ({item.replace('.PEEK', '')}"
    )
    flags = "\\Seen" if sets_seen else ""
    assert said(talk, "FETCH 1 (FLAGS)") == [f"* 1 FETCH (FLAGS ({flags}))"]


def test_seen_is_set_by_one_change_for_the_whole_command_and_only_where_it_lacks(talk):
    # RFC 7162 section 3.1.11, 3.2.4
    fill(talk, "", "\\Seen", "", "")
    talk.run(
        r"""
        C: a1 FETCH 1:3 (MODSEQ)
        S: a1 OK
        C: a2 FETCH 1:3 (BODY[TEXT])
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ ($new) BODY[TEXT] {11}body text\r\n)
        S: * 2 FETCH (BODY[TEXT] {11}body text\r\n)
        S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ ($new) BODY[TEXT] {11}body text\r\n)
        !S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ ($new))
        S: a2 OK
        C: a3 FETCH 1:3 (BODY[TEXT])
        S: * 1 FETCH (BODY[TEXT] {11}body text\r\n)
        S: a3 OK
        C: a4 STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ $new)
        S: a4 OK
    """
    )


def test_what_is_seen_already_costs_no_commit(talk, account, monkeypatch):
    fill(talk, "\\Seen")
    monkeypatch.delattr(type(account), "commit")
    assert said(talk, "FETCH 1 (BODY[TEXT])") == ["* 1 FETCH (BODY[TEXT] {11}body text\\r\\n)"]


def test_another_session_hears_of_the_implicit_seen(talk):
    fill(talk, "")
    talk.run(
        r"""
        C2: b1 SELECT INBOX
        S2: b1 OK
        C: a1 FETCH 1 BODY[]
        S: a1 OK
        C2: b2 NOOP
        S2: * 1 FETCH (FLAGS (\Seen))
        S2: b2 OK
    """
    )


def test_a_mailbox_opened_read_only_keeps_its_flags(talk):
    fill(talk, "")
    talk.run("C: a1 EXAMINE INBOX\nS: a1 OK")
    assert said(talk, "FETCH 1 (BODY[TEXT])") == ["* 1 FETCH (BODY[TEXT] {11}body text\\r\\n)"]
    assert said(talk, "FETCH 1 (FLAGS)") == ["* 1 FETCH (FLAGS ())"]


def test_mail_can_be_read_while_the_disk_is_full(talk, account, monkeypatch):
    fill(talk, "")

    async def refuse(operation):
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(account, "commit", refuse)
    assert said(talk, "FETCH 1 (BODY[TEXT])") == ["* 1 FETCH (BODY[TEXT] {11}body text\\r\\n)"]


# --- what others do meanwhile ---------------------------------------------------------------------


def test_expunged_messages_keep_their_numbers_during_fetch_and_make_it_no(talk):
    # RFC 3501 section 7.4.1, RFC 2180 section 4.1.2, RFC 5530 section 3
    fill(talk, "", "\\Deleted", "")
    talk.run(
        """
        C2: b1 SELECT INBOX
        S2: b1 OK
        C2: b2 EXPUNGE
        S2: b2 OK
        C: a1 FETCH 1:3 (UID)
        S: * 1 FETCH (UID 1)
        S: * 3 FETCH (UID 3)
        !S: * 2 ...
        S: a1 NO [EXPUNGEISSUED]
        C: a2 FETCH 3 (UID)
        S: * 3 FETCH (UID 3)
        S: a2 OK
        C: a3 UID FETCH 1:* (UID)
        S: * 2 EXPUNGE
        S>: * 1 FETCH (UID 1)
        S>: * 2 FETCH (UID 3)
        S: a3 OK
    """
    )


def test_an_answer_with_flags_tells_the_change_of_another_once(talk):
    fill(talk, "", "")
    talk.run(
        r"""
        C2: b1 SELECT INBOX
        S2: b1 OK
        C2: b2 STORE 1:2 +FLAGS (\Flagged)
        S2: b2 OK
        C: a1 FETCH 1 (FLAGS)
        S: * 2 FETCH (FLAGS (\Flagged))
        S>: * 1 FETCH (FLAGS (\Flagged))
        S: a1 OK
        C: a2 NOOP
        !S: * 1 FETCH ...
        S: a2 OK
    """
    )
    assert said(talk, "FETCH 1 (FLAGS)") == ["* 1 FETCH (FLAGS (\\Flagged))"]


def test_an_answer_that_lacks_the_mod_seq_does_not_replace_the_news(talk):
    # RFC 7162 section 3.2.4: the unsolicited response has UID and MODSEQ, the plain answer need not.
    fill(talk, "")
    talk.run(
        r"""
        C: a1 ENABLE CONDSTORE
        S: a1 OK
        C2: b1 SELECT INBOX
        S2: b1 OK
        C2: b2 STORE 1 +FLAGS (\Flagged)
        S2: b2 OK
        C: a2 FETCH 1 (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (3))
        S>: * 1 FETCH (FLAGS (\Flagged))
        S: a2 OK
    """
    )


def test_the_news_is_told_even_if_the_command_is_refused(talk):
    fill(talk, "")
    talk.run(
        r"""
        C2: b1 SELECT INBOX
        S2: b1 OK
        C2: b2 STORE 1 +FLAGS (\Flagged)
        S2: b2 OK
        C: a1 FETCH 2 (FLAGS)
        S: * 1 FETCH (FLAGS (\Flagged))
        S: a1 BAD
    """
    )


# --- octets that cannot be had --------------------------------------------------------------------


def test_a_message_that_cannot_be_read_does_not_take_the_others_with_it(talk, account, monkeypatch):
    fill(talk, "", "", "")
    read = account.read

    async def fail_second(email_id, offset=0, length=None):
        if email_id == 2:
            raise StorageFailed("The disk failed.")
        return await read(email_id, offset, length)

    monkeypatch.setattr(account, "read", fail_second)
    talk.run(
        r"""
        C: a1 FETCH 1:3 (UID BODY.PEEK[TEXT])
        S: * 1 FETCH (UID 1 BODY[TEXT] {11}body text\r\n)
        S: * 3 FETCH (UID 3 BODY[TEXT] {11}body text\r\n)
        !S: * 2 ...
        S: a1 NO [UNAVAILABLE]
        C: a2 NOOP
        S: a2 OK
    """
    )


LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 40_000


def test_a_large_message_comes_whole_and_in_part(talk):
    fill(talk, "\\Seen", message=LARGE)
    (line,) = said(talk, "FETCH 1 (BODY[] UID)")
    shown = LARGE.decode().replace("\r\n", "\\r\\n")
    assert line == f"* 1 FETCH (BODY[] {{{len(LARGE)}}}{shown} UID 1)"
    part = LARGE[100_001:400_001].decode().replace("\r", "\\r").replace("\n", "\\n")
    assert said(talk, "FETCH 1 (BODY[]<100001.300000>)") == [f"* 1 FETCH (BODY[]<100001> {{300000}}{part})"]


@pytest.mark.parametrize(("failing_from", "ends"), [(0, "a1 NO [UNAVAILABLE]"), (300_000, "<closed>")])
def test_a_failure_inside_a_large_message_never_leaves_half_an_answer(
    server, account, monkeypatch, failing_from, ends
):
    with Conversation(server) as talk:
        fill(talk, "\\Seen", message=LARGE)
        read = account.read

        async def fail_later(email_id, offset=0, length=None):
            if offset >= failing_from:
                raise StorageFailed("The disk failed.")
            return await read(email_id, offset, length)

        monkeypatch.setattr(account, "read", fail_later)
        peer = talk.peer(1)
        peer.send(b"a1 FETCH 1 (BODY.PEEK[])\r\n")
        if ends == "<closed>":
            with pytest.raises(AssertionError, match="closed inside"):
                peer.read_response()
        else:
            assert peer.read_response().startswith(ends)


def test_a_large_message_that_cannot_be_read_does_not_take_the_others_with_it(talk, account, monkeypatch):
    fill(talk, "\\Seen", "\\Seen", message=LARGE)
    read = account.read

    async def fail_first(email_id, offset=0, length=None):
        if email_id == 1:
            raise StorageFailed("The disk failed.")
        return await read(email_id, offset, length)

    monkeypatch.setattr(account, "read", fail_first)
    talk.run("C: a1 FETCH 1:2 (BODY.PEEK[])\nS: * 2 FETCH (BODY[] {720018}...\nS: a1 NO [UNAVAILABLE]")


def test_octets_that_are_missing_at_the_end_are_never_made_up(talk, account, monkeypatch):
    fill(talk, "\\Seen")
    read = account.read

    async def cut(email_id, offset=0, length=None):
        return (await read(email_id, offset, length))[:-1]

    monkeypatch.setattr(account, "read", cut)
    talk.run("C: a1 FETCH 1 (BODY.PEEK[])\n!S: * 1 FETCH ...\nS: a1 NO [UNAVAILABLE]\nC: a2 NOOP\nS: a2 OK")


def test_eight_bit_and_nul_octets_come_back_as_they_are(talk):
    octets = b"Subject: \xff\x00\r\n\r\n\x00\x80\xfe"
    fill(talk, "", message=b"Subject: x\r\n\r\ny")
    talk.run("C: a1 APPEND INBOX {{m}}\nS: a1 OK", m=octets.replace(b"\x00", b"\x01"))
    peer = talk.peer(1)
    peer.send(b"a2 FETCH 2 (BODY.PEEK[])\r\n")
    shown = octets.replace(b"\x00", b"\x01").decode("utf-8", "backslashreplace").replace("\r\n", "\\r\\n")
    while not (line := peer.read_response()).startswith("* 2 FETCH"):
        assert line.startswith("* ")
    assert line == f"* 2 FETCH (BODY[] {{{len(octets)}}}{shown})"
