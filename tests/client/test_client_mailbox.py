"""Listing, counting, making mailboxes. RFC 3501 section 6.3, RFC 5258, RFC 5819."""

import pytest

from client.play import exchange, play, ways
from modseq.client import CommandRefused, NotSupported, ResponseTooLarge
from modseq.client.verbs import mailbox as family
from modseq.client.verbs.mailbox import (
    create,
    delete,
    list_mailboxes,
    namespace,
    rename,
    status,
    subscribe,
    unsubscribe,
)


@ways
def test_list_and_status_in_one_trip(way):
    x = exchange("LIST-EXTENDED", "LIST-STATUS", "CONDSTORE", "SPECIAL-USE")
    played = play(
        x,
        list_mailboxes(x, status=["messages", "HIGHESTMODSEQ"], subscribed=True),
        b'* LIST (\\Subscribed) "/" INBOX\r\n* STATUS INBOX (MESSAGES 3 HIGHESTMODSEQ 9)\r\n'
        b'* LIST (\\Subscribed \\NonExistent) "/" "Entw&APw-rfe"\r\n$T OK done\r\n',
        way=way,
    )
    assert played.lines == [
        'LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES HIGHESTMODSEQ))'
    ]
    inbox, drafts = played.result
    assert (inbox.status.messages, inbox.status.highest_mod_seq) == (3, 9)
    assert (drafts.name, drafts.status) == ("Entwürfe", None)


@ways
def test_counters_are_asked_for_together_where_list_cannot(way):
    x = exchange()
    played = play(
        x,
        list_mailboxes(x, "%", reference="a/", status=["MESSAGES", "HIGHESTMODSEQ"]),
        b'* LIST () "/" a\r\n* LIST (\\noselect) "/" b\r\n* LIST () "/" c\r\n$T OK done\r\n',
        b"* STATUS a (MESSAGES 3)\r\nm2 OK done\r\nm3 NO [NOPERM] may not\r\n",
        way=way,
    )
    assert played.lines == ['LIST a/ "%"', "STATUS a (MESSAGES)", "STATUS c (MESSAGES)"]
    assert [box.status and box.status.messages for box in played.result] == [3, None, None]


def test_subscriptions_of_an_old_server():
    x = exchange()
    played = play(
        x, list_mailboxes(x, subscribed=True), b"* LSUB () NIL a\r\n* LIST () NIL b\r\n$T OK done\r\n"
    )
    assert played.lines == ['LSUB "" "*"']
    assert [box.name for box in played.result] == ["a"]
    assert len(x.events) == 1
    with pytest.raises(NotSupported):
        play(x, list_mailboxes(x, special_use=True))


def test_a_list_is_bounded(monkeypatch):
    monkeypatch.setattr(family, "COLLECTED_LINES_MAX", 2)
    x = exchange()
    with pytest.raises(ResponseTooLarge):
        play(x, list_mailboxes(x), b"* LIST () NIL a\r\n* LIST () NIL b\r\n* LIST () NIL c\r\n")


@ways
def test_status(way):
    x = exchange("CONDSTORE")
    played = play(
        x,
        status(x, "Entwürfe"),
        b"* STATUS other (MESSAGES 1)\r\n* STATUS Entw&APw-rfe (MESSAGES 2 HIGHESTMODSEQ 5)\r\n$T OK done\r\n",
        way=way,
    )
    assert played.lines == ["STATUS Entw&APw-rfe (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"]
    assert (played.result.messages, played.result.highest_mod_seq) == (2, 5)
    assert [event.mailbox for event in x.events.take()] == ["other"]
    assert (
        play(x, status(x, "inbox", ["unseen"]), b"* STATUS INBOX (UNSEEN 4)\r\n$T OK done\r\n").result.unseen
        == 4
    )


def test_names_that_are_no_text_are_sent_as_they_stand():
    x = exchange()
    played = play(x, status(x, b"a&b", ["UNSEEN"]), b"* STATUS a&b (UNSEEN 4)\r\n$T OK done\r\n")
    assert played.lines == ["STATUS a&b (UNSEEN)"]
    assert played.result.unseen == 4


def test_names_under_utf8():
    x = exchange(enabled=("UTF8=ACCEPT",))
    played = play(
        x, status(x, "Entwürfe", ["UNSEEN"]), '* STATUS "Entwürfe" (UNSEEN 4)\r\n$T OK done\r\n'.encode()
    )
    assert played.sent == 'm1 STATUS "Entwürfe" (UNSEEN)\r\n'.encode()
    assert played.result.unseen == 4


def test_making_and_naming():
    x = exchange("CREATE-SPECIAL-USE", "NAMESPACE")
    done = b"$T OK done\r\n"
    assert play(x, create(x, "a b", special_use=["\\Sent"]), done).lines == ['CREATE "a b" (USE (\\Sent))']
    assert play(x, rename(x, "a", "b"), done).lines == ["RENAME a b"]
    assert play(x, delete(x, "a"), done).lines == ["DELETE a"]
    assert play(x, subscribe(x, "a"), done).lines == ["SUBSCRIBE a"]
    assert play(x, unsubscribe(x, "a"), done).lines == ["UNSUBSCRIBE a"]
    spaces = play(x, namespace(x), b'* NAMESPACE (("" "/")) NIL (("Shared/" "/"))\r\n' + done).result
    assert (spaces.personal, spaces.shared) == ((("", "/"),), (("Shared/", "/"),))
    with pytest.raises(CommandRefused):
        play(x, create(x, "a"), b"$T NO [ALREADYEXISTS] is there\r\n")
    with pytest.raises(NotSupported):
        play(exchange(), create(exchange(), "a", special_use=["\\Sent"]))
