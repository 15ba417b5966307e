"""SEARCH and UID SEARCH as a client sees them. RFC 3501 section 6.4.4, 7.2.5; RFC 5032; RFC 8474; RFC 8514."""

import pytest

from modseq import clock
from modseq.core.errors import StorageFailed
from modseq.core.message import NewMessage
from modseq.core.operations import Append
from modseq.server.delivery import content_of


def message(subject="none", sender="someone@example.org", body="text", extra=b""):
    head = f"From: {sender}\r\nTo: bob@example.org\r\nSubject: {subject}\r\n".encode()
    return head + extra + b"\r\n" + body.encode() + b"\r\n"


def add(talk, octets, flags="", date=""):
    talk.run(f"C: f1 APPEND INBOX ({flags}) {date} {{{{m}}}}".replace("  ", " ") + "\nS: f1 OK", m=octets)


def select(talk):
    talk.run("C9: f2 SELECT INBOX\nS9: f2 OK\nC9: f3 UNSELECT\nS9: f3 OK\nC: f4 SELECT INBOX\nS: f4 OK")


def found(talk, keys, **given):
    talk.run(f"C: s1 SEARCH {keys}\nS: s1 OK", **given)
    (line,) = [line for line in talk.came if line.startswith("* SEARCH")]
    return [int(number) for number in line.split()[2:]]


@pytest.fixture
def account(server):
    return server.call(server.store.account("alice"))


@pytest.fixture
def mixed(talk):
    """Four messages that differ in everything that a search can ask for."""
    add(
        talk,
        message("Lunch", "smith@example.com", "Where shall we eat?"),
        "\\Seen",
        '" 1-Feb-1994 10:00:00 +0000"',
    )
    add(talk, message("Re: lunch", "Zoë <zoe@example.com>", "In the café"), "\\Flagged $Work")
    add(
        talk,
        message(
            "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", extra=b"Date: Tue, 1 Mar 2022 23:59:59 -0800\r\nX-Spam: no\r\n"
        ),
        "\\Seen \\Answered \\Deleted",
    )
    add(talk, message("large", body="x" * 5000), "\\Draft $work")
    select(talk)
    return talk


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ALL", [1, 2, 3, 4]),
        ("SEEN", [1, 3]),
        ("UNSEEN", [2, 4]),
        ("ANSWERED DELETED", [3]),
        ("UNDELETED UNANSWERED UNFLAGGED UNDRAFT", [1]),
        ("FLAGGED", [2]),
        ("DRAFT", [4]),
        ("KEYWORD $WORK", [2, 4]),  # keywords are the same whatever their case
        ("UNKEYWORD $Work", [1, 3]),
        ("KEYWORD $Nobody", []),
        ("UNKEYWORD $Nobody", [1, 2, 3, 4]),
        ("RECENT", []),
        ("OLD", [1, 2, 3, 4]),
        ("NEW", []),
        ("2:3", [2, 3]),
        ("4:*", [4]),
        ("UID 1,4", [1, 4]),
        ("7:9", []),  # beyond the last message: matches nothing
        ("LARGER 5000", [4]),
        ("SMALLER 5000 NOT SEEN", [2]),
        ("BEFORE 2-Feb-1994", [1]),
        ("ON 1-Feb-1994", [1]),
        ("SINCE 2-Feb-1994", [2, 3, 4]),
        ("SENTON 1-Mar-2022", [3]),
        ("SENTBEFORE 1-Mar-2022", []),
        ("NOT SENTSINCE 1-Jan-1970", [1, 2, 4]),
        ("FROM SMITH", [1]),
        ("FROM example.com", [1, 2]),
        ('FROM "no one"', []),
        ("TO bob", [1, 2, 3, 4]),
        ("CC bob", []),
        ("SUBJECT lunch", [1, 2]),
        ("HEADER X-Spam NO", [3]),
        ('HEADER X-Spam ""', [3]),
        ('HEADER Date ""', [3]),
        ("BODY eat", [1]),
        ("TEXT lunch", [1, 2]),
        ("BODY lunch", []),
        ("OR FROM smith OR KEYWORD $work BODY xxx", [1, 2, 4]),
        ("NOT (OR SEEN FLAGGED)", [4]),
        ("NOT BODY eat SEEN", [3]),
        ("THREADID Tany", []),
        ("NOT THREADID Tany", [1, 2, 3, 4]),
        ("SAVEDATESUPPORTED", [1, 2, 3, 4]),
        ("SAVEDSINCE 1-Jan-2020", [1, 2, 3, 4]),
        ("OLDER 100000", [1]),
        ("YOUNGER 100000 SEEN", [3]),
    ],
)
def test_keys(mixed, keys, expected):
    assert found(mixed, keys) == expected


@pytest.mark.parametrize(
    ("charset", "octets", "expected"),
    [
        ("UTF-8", "grüsse".encode(), [3]),  # ß folds to ss
        ("utf-8", "GRÜSSE".encode(), [3]),
        ("ISO-8859-1", "grüße".encode("iso-8859-1"), [3]),
        ("UTF-8", "CAFÉ".encode(), [2]),
        ("UTF-8", b"cafe", []),
        ("KOI8-R", "привет".encode("koi8-r"), []),
        ("US-ASCII", b"EAT", [1]),
    ],
)
def test_strings_in_charsets(mixed, charset, octets, expected):
    assert found(mixed, f"CHARSET {charset} TEXT {{{{what}}}}", what=octets) == expected


def test_an_unknown_charset_is_refused_with_those_that_are_known(mixed):
    mixed.run("C: a1 SEARCH CHARSET X-Unheard TEXT a\nS: a1 NO [BADCHARSET (US-ASCII UTF-8 ...")


def test_octets_that_the_charset_does_not_have_are_bad(mixed):
    mixed.run("C: a1 SEARCH CHARSET UTF-8 TEXT {{what}}\nS: a1 BAD", what=b"\xff\xfe")


def test_the_example_of_the_rfc(talk):
    # RFC 3501 section 6.4.4
    add(talk, message("a", "Smith <s@example.org>"), "\\Flagged")
    add(talk, message("b"), "\\Flagged")
    add(talk, message("c"), "\\Flagged", '"31-Jan-1994 00:00:00 +0000"')
    select(talk)
    talk.run(
        """
        C: A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"
        S: * SEARCH 2
        S: A282 OK
        C: A283 SEARCH TEXT "string not in mailbox"
        S: * SEARCH
        S: A283 OK
        C: A284 UID SEARCH UID 1:* FLAGGED
        S: * SEARCH 1 2 3
        S: A284 OK
    """
    )


def test_new_and_recent(talk):
    add(talk, message(), "\\Seen")
    add(talk, message())
    talk.run("C: f2 SELECT INBOX\nS: f2 OK")
    assert found(talk, "RECENT") == [1, 2]
    assert found(talk, "NEW") == [2]
    assert found(talk, "OLD") == []


def test_days_count_in_the_zone_of_the_internal_date(talk):
    add(talk, message(), date='" 1-Feb-1994 23:30:00 -0800"')
    select(talk)
    assert found(talk, "ON 1-Feb-1994") == [1]
    assert found(talk, "ON 2-Feb-1994") == []


def test_older_and_younger_meet_at_the_second(talk, monkeypatch):
    # RFC 5032 section 3: both include the target time.
    add(talk, message(), date='" 1-Feb-1994 00:00:00 +0000"')
    select(talk)
    moment = 760_060_800
    monkeypatch.setattr(clock, "now_seconds", lambda: moment + 10)
    assert found(talk, "OLDER 10") == found(talk, "YOUNGER 10") == [1]
    assert found(talk, "OLDER 11") == found(talk, "YOUNGER 9") == []


def test_emailid(talk):
    add(talk, message())
    add(talk, message())
    select(talk)
    talk.run("C: a1 FETCH 2 (EMAILID)\nS: * 2 FETCH (EMAILID ($id))\nS: a1 OK")
    assert found(talk, f"EMAILID {talk.captures['id']}") == [2]
    assert found(talk, "EMAILID M0") == []


# --- numbers, and what others do meanwhile --------------------------------------------------------


def test_what_is_expunged_but_not_told_is_not_returned_and_keeps_its_number(talk):
    for flags in ("", "\\Deleted", ""):
        add(talk, message(), flags)
    select(talk)
    talk.run(
        """
        C2: b1 SELECT INBOX
        S2: b1 OK
        C2: b2 EXPUNGE
        S2: b2 OK
        C: a1 SEARCH ALL
        S: * SEARCH 1 3
        !S: * 2 EXPUNGE
        S: a1 OK
        C: a2 UID SEARCH 2:3
        S: * SEARCH 3
        !S: * 2 EXPUNGE
        S: a2 OK
        C: a3 UID SEARCH ALL
        S: * 2 EXPUNGE
        S>: * SEARCH 1 3
        S: a3 OK
        C: a4 SEARCH 2
        S: * SEARCH 2
        S: a4 OK
    """
    )


def test_new_messages_are_counted_before_they_are_found(talk):
    add(talk, message())
    select(talk)
    talk.run("C2: b1 APPEND INBOX {{m}}\nS2: b1 OK", m=message())
    talk.run("C: a1 SEARCH ALL\nS: * 2 EXISTS\nS>: * SEARCH 1 2\nS: a1 OK")


def test_a_message_that_cannot_be_read_is_named_and_the_others_are_searched(mixed, account, monkeypatch):
    read = account.read

    async def fail_first(email_id, offset=0, length=None):
        if email_id == 1:
            raise StorageFailed("The disk failed.")
        return await read(email_id, offset, length)

    monkeypatch.setattr(account, "read", fail_first)
    mixed.run(
        """
        C: a1 SEARCH NOT BODY zzz
        S: * NO The messages with UIDs 1 ...
        S: * SEARCH 2 3 4
        S: a1 OK
        C: a2 SEARCH SEEN
        S: * SEARCH 1 3
        S: a2 OK
    """
    )


def test_a_search_over_several_blocks(server, talk, account):
    content = content_of(message())
    mailbox = account.listing().find("INBOX").mailbox_id
    many = [NewMessage(("\\Seen",) if at % 2 else (), at, 0, 0, content) for at in range(9_000)]
    server.call(account.commit(Append(mailbox, tuple(many))))
    talk.run(
        r"""
        C: a1 SELECT INBOX
        S: a1 OK
        C: a2 UID EXPUNGE 1
        S: a2 OK
        C: a3 STORE 1:10 +FLAGS (\Deleted)
        S: a3 OK
        C: a4 EXPUNGE
        S: a4 OK
        C: a5 SEARCH RETURN (COUNT MIN MAX) SEEN
        S: * ESEARCH (TAG "a5") MIN 2 MAX 8990 COUNT 4495
        S: a5 OK
        C: a6 UID SEARCH RETURN (MIN MAX) SEEN
        S: * ESEARCH (TAG "a6") UID MIN 12 MAX 9000
        S: a6 OK
        C: a7 UID SEARCH RETURN (ALL) OR UID 4095:4099 UID 8193
        S: * ESEARCH (TAG "a7") UID ALL 4095:4099,8193
        S: a7 OK
    """
    )
    assert found(talk, "ALL") == list(range(1, 8_991))
    assert found(talk, "UID 4090:8200 SINCE 1-Jan-1970 UNSEEN") == [
        uid - 10 for uid in range(4090, 8201) if uid % 2
    ]
