"""Mailbox names in modified UTF-7. RFC 3501 section 5.1.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.wire.utf7 import decode_utf7, encode_utf7


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"INBOX", "INBOX"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"a&-b", "a&b"),
        (b"&-", "&"),
        (b"&-&-", "&&"),
        (b"&APw-&-", "ü&"),
        (b"&2D3cSQ-", "\U0001f449"),
        (b"&AAE-", "\x01"),
        (b"a-b", "a-b"),
    ],
)
def test_known_names(octets, text):
    assert decode_utf7(octets) == text
    assert encode_utf7(text) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"&APw",
        b"&Jjo!",
        b"&Jjo!-",
        b"&APx-",  # bits beyond the last character
        b"&AP-",
        b"&AGE-",  # "a" stands for itself
        b"&ACY-",  # so does "&", as &-
        b"&U,BTFw-&ZeVnLIqe-",  # superfluous shift
        b"&U/BTFw-",
        b"&2D0-",  # half of a pair
        b"\xc3\xa9",
        b"a\x00",
        b"a\tb",
        b"\x7f",
        b"&APw=-",
    ],
)
def test_names_that_are_none(octets):
    with pytest.raises(ValueError):
        decode_utf7(octets)


def test_a_lone_surrogate_cannot_be_written():
    with pytest.raises(ValueError):
        encode_utf7("\ud800")


@given(st.text())
def test_every_text_comes_back(text):
    octets = encode_utf7(text)
    assert octets.isascii()
    assert decode_utf7(octets) == text


@given(st.binary() | st.text(alphabet="&-,/ABCw09 z").map(str.encode))
def test_every_name_has_one_spelling(octets):
    try:
        text = decode_utf7(octets)
    except ValueError:
        return
    assert encode_utf7(text) == octets
