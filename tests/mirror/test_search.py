"""Search in the copy: substrings in what was decoded, with pending edits laid over it."""

import base64

import pytest

from mirror_support import fill, mail
from modseq.mirror.outbox import Outbox
from modseq.mirror.search import Query, Search

DAY = 1_793_606_400 // 86_400


@pytest.fixture
def boxes(replica):
    html = base64.b64encode("<p>Überraschung im Büro</p>".encode()).decode()
    encoded = (
        b"From: =?utf-8?q?J=C3=BCrgen?= <j@gross.example>\r\nTo: Ann <ann@example.org>\r\nCc: Zoe <zoe@x.example>\r\n"
        b"Subject: =?iso-8859-1?q?Gr=F6=DFe?=\r\nList-Id: <dev.example.org>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + html.encode()
        + b"\r\n"
    )
    fill(replica, "INBOX", {1: (mail("Invoice 7", "Pay soon"), "\\Seen"), 2: (encoded, "$work")})
    fill(replica, "Bare", {5: (mail("Invoice 8", "Pay now"), "")}, bodies=False)
    return replica


def found(replica, **query):
    search = Search(replica, replica.mailboxes(), Query(**query))
    return [(each.mailbox, each.uid) for each in search], search.bodies_missing


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        ({}, [1, 2, 5]),
        ({"subject": ("INVOICE",)}, [1, 5]),
        ({"subject": ("voice", "8")}, [5]),
        ({"subject": ("GRÖSSE",)}, [2]),
        ({"sender": ("jürgen",)}, [2]),
        ({"recipient": ("zoe@",)}, [2]),
        ({"recipient": ("cc:",)}, []),
        ({"body": ("überraschung",)}, [2]),
        ({"body": ("invoice",)}, []),
        ({"text": ("invoice",)}, [1, 5]),
        ({"text": ("pay",)}, [1]),
        ({"text": ("BÜRO",)}, [2]),
        ({"headers": (("list-id", "DEV.example"),)}, [2]),
        ({"headers": (("List-Id", ""),)}, [2]),
        ({"headers": (("List-Id", "no"),)}, []),
        ({"with_flags": ("\\seen",)}, [1]),
        ({"without_flags": ("\\Seen", "$WORK")}, [5]),
        ({"since": DAY, "before": DAY + 1}, [1, 2, 5]),
        ({"before": DAY}, []),
        ({"since": DAY + 1}, []),
        ({"larger": len(mail("Invoice 7", "Pay soon"))}, [2]),
        ({"smaller": 10}, []),
    ],
)
def test_keys(boxes, query, uids):
    assert [uid for _, uid in found(boxes, **query)[0]] == uids


def test_bodies_that_are_not_there_are_counted(boxes):
    assert found(boxes, text=("pay",)) == ([("INBOX", 1)], 1)
    assert found(boxes, subject=("8",)) == ([("Bare", 5)], 0)


def test_edits_that_wait_count(boxes):
    outbox = Outbox(boxes)
    outbox.change_flags(boxes.mailbox("INBOX"), 2, add=["\\Flagged"])
    outbox.move(boxes.mailbox("INBOX"), 2, "Bare")
    outbox.append("Bare", mail("Draft of an invoice"), ["\\Draft"])
    assert found(boxes, with_flags=("\\Flagged",))[0] == [("Bare", 2)]
    assert found(boxes, subject=("draft",))[0] == [("Bare", 0)]
