"""What SEARCH returns and saves. RFC 4731 section 3; RFC 5182 section 2; RFC 7162 section 3.1.5, 3.1.6, 3.1.10."""

import pytest

from modseq.core.errors import StorageFailed

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def account(server):
    return server.call(server.store.account("alice"))


@pytest.fixture
def five(talk):
    """UIDs 1 to 5 with mod-sequences 2 to 6; 2, 3 and 5 are flagged, which gave 2 the number 7."""
    for flags in ("", "", "\\Flagged", "$Junk", "\\Flagged"):
        talk.run(f"C: f1 APPEND INBOX ({flags}) {{{{m}}}}\nS: f1 OK", m=MESSAGE)
    talk.run(
        r"""
        C: f2 SELECT INBOX
        S: f2 OK
        C: f3 STORE 2 +FLAGS (\Flagged)
        S: f3 OK
    """
    )
    return talk


# --- RFC 4731 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("SEARCH RETURN (MIN COUNT) FLAGGED", " MIN 2 COUNT 3"),
        ("SEARCH RETURN () FLAGGED", " ALL 2:3,5"),
        ("SEARCH RETURN (ALL) FLAGGED", " ALL 2:3,5"),
        ("UID SEARCH RETURN (MIN MAX) 1:4", " UID MIN 1 MAX 4"),
        ("UID SEARCH RETURN (MAX) FLAGGED", " UID MAX 5"),
        ("SEARCH RETURN (COUNT) DELETED", " COUNT 0"),
        ("SEARCH RETURN (MIN MAX ALL COUNT) DELETED", " COUNT 0"),
        ("SEARCH RETURN (MIN MAX) DELETED", ""),
        ("UID SEARCH RETURN (ALL) DELETED", " UID"),
        ("SEARCH RETURN (MIN MAX) 4", " MIN 4 MAX 4"),
        # RFC 4731 section 3.2: of the messages returned, and none where there is none.
        ("SEARCH RETURN (MIN) MODSEQ 3", " MIN 2 MODSEQ 7"),
        ("SEARCH RETURN (MAX) MODSEQ 3", " MAX 5 MODSEQ 6"),
        ("SEARCH RETURN (MIN MAX) MODSEQ 4", " MIN 2 MAX 5 MODSEQ 7"),
        ("SEARCH RETURN (MIN MAX) MODSEQ 4 3:5", " MIN 3 MAX 5 MODSEQ 6"),
        ("SEARCH RETURN (MAX COUNT) MODSEQ 3", " MAX 5 COUNT 4 MODSEQ 7"),
        ("SEARCH RETURN (COUNT) MODSEQ 8", " COUNT 0"),
        ("SEARCH RETURN (ALL) MODSEQ 8", ""),
        # RFC 7162 section 3.1.10, example 19
        ("SEARCH RETURN (ALL) MODSEQ 4", " ALL 2:5 MODSEQ 7"),
    ],
)
def test_results_in_the_extended_form(five, command, told):
    five.run(f'C: a1 {command}\nS: * ESEARCH (TAG "a1"){told}\nS: a1 OK')


# --- RFC 7162 section 3.1.5 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("MODSEQ 5", " 2 4 5 (MODSEQ 7)"),
        ("MODSEQ 0", " 1 2 3 4 5 (MODSEQ 7)"),
        ("MODSEQ 6", " 2 5 (MODSEQ 7)"),  # numbers at or above, not only above
        ("MODSEQ 8", ""),
        ("OR NOT MODSEQ 3 LARGER 50000", " 1 (MODSEQ 2)"),
        ("OR NOT MODSEQ 2 LARGER 50000", ""),  # example 16
        ("NOT FLAGGED", " 1 4"),
        (r'MODSEQ "/flags/\\Flagged" all 7', " 2 (MODSEQ 7)"),
        (r'MODSEQ "/flags/\\Flagged" shared 7', " 2 (MODSEQ 7)"),
        (r'MODSEQ "/flags/\\Flagged" priv 1', ""),
        # An untouched system flag has the number of the message's creation.
        (r'MODSEQ "/flags/\\Seen" all 3', " 2 3 4 5 (MODSEQ 7)"),
        (r'MODSEQ "/flags/\\Seen" all 7', ""),
        ('MODSEQ "/flags/$Junk" all 0', " 4 (MODSEQ 5)"),
        ('MODSEQ "/flags/$junk" all 5', " 4 (MODSEQ 5)"),
        ('MODSEQ "/flags/$junk" all 6', ""),
        ('MODSEQ "/flags/$Nobody" all 0', ""),
    ],
)
def test_modseq_key(five, keys, told):
    five.run(f"C: a1 SEARCH {keys}\nS: * SEARCH{told}\nS: a1 OK")


def test_a_removed_keyword_keeps_the_number_of_its_removal(five):
    five.run(
        r"""
        C: a1 STORE 4 -FLAGS ($Junk)
        S: a1 OK
        C: a2 STORE 4 +FLAGS (\Seen)
        S: a2 OK
        C: a3 SEARCH MODSEQ "/flags/$Junk" all 8
        S: * SEARCH 4 (MODSEQ 9)
        S: a3 OK
        C: a4 SEARCH MODSEQ "/flags/$Junk" all 9
        S: * SEARCH
        S: a4 OK
        C: a5 SEARCH MODSEQ "/flags/\\Seen" all 9
        S: * SEARCH 4 (MODSEQ 9)
        S: a5 OK
    """
    )


def test_the_modseq_key_enables_condstore(five):
    # RFC 7162 section 3.1
    five.run(
        r"""
        C: a1 SEARCH MODSEQ 100
        S: * OK [HIGHESTMODSEQ 7]
        S: a1 OK
        C: a2 STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Recent \Seen) MODSEQ (8))
        S: a2 OK
    """
    )


@pytest.mark.parametrize(
    "value", ["9223372036854775808", "-1", "x", '"/flags/\\\\Recent" all 5', '"/flags/" all 1']
)
def test_a_modseq_key_that_makes_no_sense_is_bad(five, value):
    five.run(f"C: a1 SEARCH MODSEQ {value}\nS: a1 BAD")


# --- RFC 5182 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        ("SAVE", "2:3,5"),
        ("SAVE MIN", "2"),
        ("SAVE MAX", "5"),
        ("MAX SAVE MIN", "2,5"),
        ("MAX SAVE MIN COUNT", "2:3,5"),
        ("ALL SAVE MIN", "2:3,5"),
        ("COUNT SAVE", "2:3,5"),
    ],
)
def test_what_dollar_holds_after_each_combination(five, options, saved):
    # RFC 5182 section 2.4, example 10
    five.run(
        f"""
        C: a1 SEARCH RETURN ({options}) FLAGGED
        S: a1 OK
        C: a2 UID SEARCH RETURN (ALL) $
        S: * ESEARCH (TAG "a2") UID ALL {saved}
        S: a2 OK
    """
    )


def test_save_alone_says_nothing(five):
    five.run("C: a1 SEARCH RETURN (SAVE) FLAGGED MODSEQ 1\n!S: * ESEARCH ...\n!S: * SEARCH ...\nS: a1 OK")


def test_dollar_in_keys_and_by_uid(five):
    # RFC 5182 section 2.2, examples 3 and 4
    five.run(
        """
        C: A300 UID SEARCH RETURN (SAVE) FLAGGED
        S: A300 OK
        C: A301 UID SEARCH UID $ SMALLER 4096
        S: * SEARCH 2 3 5
        S: A301 OK
        C: P283 SEARCH CHARSET UTF-8 (OR $ 1,3000:3021) TEXT body
        S: * SEARCH 1 2 3 5
        S: P283 OK
        C: P284 SEARCH NOT $
        S: * SEARCH 1 4
        S: P284 OK
    """
    )


def test_dollar_drops_what_is_expunged(five):
    # RFC 5182 section 2.1
    five.run(
        r"""
        C: a1 SEARCH RETURN (SAVE) ALL
        S: a1 OK
        C: a2 STORE 1:2 +FLAGS (\Deleted)
        S: a2 OK
        C: a3 EXPUNGE
        S: a3 OK
        C: a4 SEARCH $
        S: * SEARCH 1 2 3
        S: a4 OK
        C: a5 UID SEARCH $
        S: * SEARCH 3 4 5
        S: a5 OK
    """
    )


def test_which_failures_empty_dollar(five, account, monkeypatch):
    # RFC 5182 section 2.1: NO with SAVE does; BAD does not, nor does a search without SAVE.
    save = "C: a1 SEARCH RETURN (SAVE) FLAGGED\nS: a1 OK"
    kept = "C: a3 SEARCH $\nS: * SEARCH 2 3 5\nS: a3 OK"
    five.run(f"{save}\nC: a2 SEARCH CHARSET X-Unheard TEXT a\nS: a2 NO [BADCHARSET\n{kept}")
    five.run(f"C: a2 SEARCH RETURN (SAVE) MODSEQ x\nS: a2 BAD\n{kept}")
    five.run(f"C: a2 SEARCH SEEN\nS: a2 OK\n{kept}")
    bad = "C: a2 SEARCH RETURN (SAVE) CHARSET UTF-8 TEXT {{what}}\nS: a2 BAD"
    five.run(f"{bad}\n{kept}", what=b"\xff")
    empty = "C: a3 SEARCH $\nS: * SEARCH\nS: a3 OK"
    five.run(f"C: a2 SEARCH RETURN (SAVE) CHARSET X-Unheard TEXT a\nS: a2 NO [BADCHARSET\n{empty}")

    async def refuse(*_, **__):
        raise StorageFailed("The disk failed.")

    monkeypatch.setattr(account, "rows", refuse)
    five.run(f"{save}\nC: a2 SEARCH RETURN (SAVE) SINCE 1-Jan-1990\nS: a2 NO [UNAVAILABLE]\n{empty}")


def test_selecting_empties_dollar(five):
    five.run(
        """
        C: a1 SEARCH RETURN (SAVE) ALL
        S: a1 OK
        C: a2 SELECT INBOX
        S: a2 OK
        C: a3 SEARCH $
        S: * SEARCH
        S: a3 OK
    """
    )
