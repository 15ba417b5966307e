"""SEARCH with and without ESEARCH. RFC 3501 section 6.4.4, RFC 4731."""

import pytest

from client.play import exchange, play, ways
from modseq.client import NotSupported
from modseq.client.verbs.search import search
from modseq.wire.values import SearchAnd, SearchFlag, SearchModSeq, SearchText


@ways
def test_extended(way):
    x = exchange("ESEARCH", "SEARCHRES")
    played = play(
        x,
        search(x, "UNSEEN MODSEQ 5", returns=["all", "count", "min", "max", "save"]),
        b'* ESEARCH (TAG "m1") UID MIN 2 MAX 9 COUNT 3 ALL 2,8:9 MODSEQ 77\r\n$T OK done\r\n',
        way=way,
    )
    assert played.lines == ["UID SEARCH RETURN (MIN MAX ALL COUNT SAVE) UNSEEN MODSEQ 5"]
    found = played.result
    assert (list(found.uids), found.minimum, found.maximum, found.count, found.mod_seq) == (
        [2, 8, 9],
        2,
        9,
        3,
        77,
    )


@ways
def test_plain_answers_the_same_questions(way):
    x = exchange()
    verb = search(x, "ALL", returns=["ALL", "COUNT", "MIN", "MAX"])
    found = play(x, verb, b"* SEARCH 9 2 8 (MODSEQ 77)\r\n* SEARCH\r\n$T OK done\r\n", way=way).result
    assert (list(found.uids), found.minimum, found.maximum, found.count) == ([2, 8, 9], 2, 9, 3)
    found = play(x, search(x, "ALL", returns=["COUNT"]), b"* SEARCH 9\r\n$T OK done\r\n", way=way).result
    assert (list(found.uids), found.count) == ([], 1)
    with pytest.raises(NotSupported):
        play(x, search(x, returns=["SAVE"]))


@pytest.mark.parametrize(
    ("criteria", "sent"),
    [
        ('SUBJECT "grün"', "UID SEARCH CHARSET UTF-8 SUBJECT {5}\r\ngrün\r\n"),
        ('OR FROM "a b" NOT SEEN', 'UID SEARCH OR FROM "a b" NOT SEEN\r\n'),
        ("X-GM-RAW has:attachment", "UID SEARCH X-GM-RAW has:attachment\r\n"),
        (SearchAnd((SearchFlag("\\Seen", present=False), SearchModSeq(9))), "UID SEARCH UNSEEN MODSEQ 9\r\n"),
        (SearchText("FROM", "ü".encode()), "UID SEARCH CHARSET UTF-8 FROM {2}\r\nü\r\n"),
    ],
)
def test_criteria(criteria, sent):
    x = exchange()
    replies = [b"+ go\r\n"] if "{" in sent else []
    played = play(x, search(x, criteria), *replies, b"* SEARCH\r\n$T OK done\r\n")
    assert played.sent.split(b" ", 1)[1].decode() == sent


@pytest.mark.parametrize("criteria", ["", "X-KEY grün", "ALL\r\nx LOGOUT", "RETURN (COUNT) ALL"])
def test_what_cannot_be_sent(criteria):
    with pytest.raises(ValueError):
        play(exchange(), search(exchange(), criteria))


def test_what_is_returned_must_be_known():
    for returns in ([], ["PARTIAL"]):
        with pytest.raises(ValueError):
            play(exchange(), search(exchange(), returns=returns))
