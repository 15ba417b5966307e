"""Edits made offline reach the server once, or are kept as conflicts: on this server and on Dovecot."""

import asyncio
import contextlib
import json
import re

import pytest

from mirror_net import NO_CONDSTORE, Proxy, both, mirrored, without
from mirror_support import mail
from modseq import limits
from modseq.client import Client
from modseq.client.errors import ClientError
from modseq.mirror.outbox import Outbox


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_LATE_COMMAND_SECONDS", 0.05)


@pytest.fixture
def proxy(place):
    with Proxy(place.address) as proxy:
        yield proxy


@pytest.fixture
def other(place):
    with place.other() as other:
        for n in range(1, 6):
            other.append("INBOX", mail(f"letter {n}"), "\\Seen" if n % 2 else "")
        other.do("create", "Archive")
        yield other


@pytest.fixture
def go(replica, proxy, place):
    """Synchronise through the proxy; afterwards the copy must equal a full fetch."""

    def run(**options):
        report = asyncio.run(place.sync(replica, proxy.address, **options))
        assert report.doubts == {}, report
        assert mirrored(replica) == place.account()
        assert replica.check() == []
        return report

    return run


@pytest.fixture
def outbox(replica):
    return Outbox(replica)


@pytest.fixture
def inbox(go, other, replica):
    go()
    return replica.mailbox("INBOX")


def flags(place, uid, mailbox="INBOX"):
    return place.account()[mailbox][uid][0]


def subjects(replica, name):
    row = replica.mailbox(name)
    return sorted(replica.summary(row.mailbox_id, uid).subject for uid in replica.known_uids(row.mailbox_id))


def test_every_kind_of_edit_arrives(go, place, replica, outbox, inbox):
    outbox.change_flags(inbox, 1, add=["\\Flagged", "$work"])
    outbox.change_flags(inbox, 3, remove=["\\Seen"])
    outbox.change_flags(inbox, 5, add=["\\Answered"], remove=["\\Seen"])
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    outbox.move(inbox, 2, "Archive")
    outbox.delete(inbox, 4)
    outbox.append("Archive", mail("draft"), ["\\Draft"], 1_700_000_000)
    report = go()
    assert outbox.edits() == []
    assert len(report.pushed.done) == 7
    assert [flags(place, uid) for uid in (1, 3, 5)] == ["$work \\Flagged \\Seen", "", "\\Answered"]
    assert sorted(mirrored(replica)["INBOX"]) == [1, 3, 5]
    archive = replica.mailbox("Archive")
    assert subjects(replica, "Archive") == ["draft", "letter 2"]
    found = {
        replica.summary(archive.mailbox_id, each.uid).subject: each
        for each in replica.messages(archive.mailbox_id)
    }
    assert (found["draft"].flags, found["draft"].received_at) == ("\\Draft", 1_700_000_000)
    assert found["letter 2"].flags == "\\Flagged"


def test_every_store_has_its_condition(go, proxy, outbox, inbox):
    outbox.change_flags(inbox, 1, add=["\\Flagged"])
    outbox.delete(inbox, 4)
    proxy.forget()
    go()
    stores = [line for line in proxy.said if b" STORE " in line]
    assert len(stores) == 2
    assert all(b"(UNCHANGEDSINCE " in line for line in stores)


def test_many_edits_share_round_trips(go, place, proxy, replica, outbox, other, monkeypatch):
    pipelines = []
    pipeline = Client.pipeline
    monkeypatch.setattr(Client, "pipeline", lambda self: pipelines.append(1) or pipeline(self))
    for n in range(60):
        other.append("INBOX", mail(f"more {n}"))
    go()
    inbox = replica.mailbox("INBOX")
    for uid in replica.known_uids(inbox.mailbox_id):
        outbox.change_flags(inbox, uid, add=["$all"])
    pipelines.clear()
    proxy.forget()
    go(verify=False)
    assert proxy.commands.count("UID STORE") == 65
    assert len(pipelines) == 2
    assert all("$all" in each for each, _ in place.account()["INBOX"].values())


# --- conflicts ---


def test_a_change_of_another_flag_is_no_conflict_and_is_kept(go, place, outbox, inbox, other):
    """On servers with one number a message the refusal is spurious: the edit is repeated on the newer state."""
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    other.store("INBOX", "2", "+FLAGS (\\Answered)")
    assert go().pushed.conflicts == []
    assert flags(place, 2) == "\\Answered \\Flagged"


def test_the_same_change_by_both_is_no_conflict(go, place, outbox, inbox, other):
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    other.store("INBOX", "2", "+FLAGS (\\Flagged)")
    report = go()
    assert report.pushed.conflicts == []
    assert report.pushed.done == ["INBOX 2: flags +\\Flagged (it was so already)"]


def test_one_of_two_flags_set_by_somebody_else(go, place, outbox, inbox, other):
    outbox.change_flags(inbox, 2, add=["\\Flagged", "$work"])
    other.store("INBOX", "2", "+FLAGS ($work)")
    assert go().pushed.conflicts == []
    assert flags(place, 2) == "$work \\Flagged"


def test_a_flag_that_somebody_changed_and_changed_back_is_a_conflict(
    go, place, replica, outbox, inbox, other
):
    edit = outbox.change_flags(inbox, 1, remove=["\\Seen"])
    other.store("INBOX", "1", "-FLAGS (\\Seen)")
    other.store("INBOX", "1", "+FLAGS (\\Seen)")
    report = go()
    (conflict,) = report.pushed.conflicts
    assert conflict.edit_id == edit.edit_id
    assert conflict.sides["reason"] == "somebody changed the same flags since"
    assert conflict.sides["mine"].startswith("flags -\\Seen (on \\Seen, mod-sequence ")
    assert conflict.sides["theirs"].startswith("\\Seen, mod-sequence ")
    assert flags(place, 1) == "\\Seen"
    # Nothing is pushed until somebody decides.
    go()
    assert flags(place, 1) == "\\Seen"
    outbox.insist(edit.edit_id)
    assert go().pushed.conflicts == []
    assert flags(place, 1) == ""


def test_set_and_remove_in_one_edit_is_one_act(go, place, outbox, inbox, other):
    outbox.change_flags(inbox, 1, add=["\\Flagged"], remove=["\\Seen"])
    other.store("INBOX", "1", "+FLAGS (\\Answered)")
    assert go().pushed.conflicts == []
    assert flags(place, 1) == "\\Answered \\Flagged"


def test_a_message_that_somebody_flagged_is_not_deleted(go, place, replica, outbox, inbox, other):
    outbox.delete(inbox, 2)
    other.store("INBOX", "2", "+FLAGS (\\Flagged)")
    (conflict,) = go().pushed.conflicts
    assert conflict.sides["reason"] == "somebody changed the message since"
    assert conflict.sides["theirs"].startswith("\\Flagged, mod-sequence ")
    assert flags(place, 2) == "\\Flagged"
    outbox.insist(conflict.edit_id)
    go()
    assert 2 not in mirrored(replica)["INBOX"]


def test_a_message_that_is_gone(go, outbox, inbox, other):
    outbox.change_flags(inbox, 1, add=["\\Flagged"])
    outbox.move(inbox, 2, "Archive")
    outbox.delete(inbox, 3)
    other.expunge("INBOX", "1:3")
    report = go()
    assert [(edit.uid, edit.sides["theirs"]) for edit in report.pushed.conflicts] == [
        (1, "gone"),
        (2, "gone"),
    ]
    assert report.pushed.done == ["INBOX 3: delete (it was gone already)"]


@pytest.mark.parametrize("tamper", [None, NO_CONDSTORE], ids=["numbers", "no numbers"])
def test_nothing_waits_behind_an_edit_of_a_message_that_is_gone(go, outbox, inbox, other, proxy, tamper):
    outbox.change_flags(inbox, 1, add=["\\Flagged"])
    outbox.change_flags(inbox, 1, add=["$later"])
    outbox.move(inbox, 1, "Archive")
    # A command whose answer was lost; what is not yet under way would make room for the deletion.
    outbox.begin(outbox.change_flags(inbox, 2, add=["\\Flagged"]))
    outbox.delete(inbox, 2)
    other.expunge("INBOX", "1:2")
    proxy.tamper = tamper
    report = go()
    assert {(edit.uid, edit.kind, edit.sides["theirs"]) for edit in report.pushed.conflicts} == {
        (1, "flags", "gone"),
        (1, "move", "gone"),
        (2, "flags", "gone"),
    }
    assert report.pushed.done == ["INBOX 2: delete (it was gone already)"]
    assert [edit.state for edit in outbox.edits()] == ["conflict"] * len(report.pushed.conflicts)
    assert report.pushed.notes == []


def test_a_target_that_is_gone(go, place, replica, outbox, inbox, other):
    outbox.move(inbox, 2, "Archive")
    outbox.append("Archive", mail("draft"))
    other.do("delete", "Archive")
    report = go()
    assert {edit.kind for edit in report.pushed.conflicts} == {"move", "append"}
    assert 2 in mirrored(replica)["INBOX"]
    # The target made again, both are pushed.
    other.do("create", "Archive")
    go()
    for edit in outbox.conflicts():
        outbox.insist(edit.edit_id)
    assert go().pushed.conflicts == []
    assert subjects(replica, "Archive") == ["draft", "letter 2"]


def test_a_move_waits_until_a_conflict_of_its_message_is_decided(go, replica, outbox, inbox, other):
    outbox.change_flags(inbox, 1, remove=["\\Seen"])
    outbox.move(inbox, 1, "Archive")
    other.store("INBOX", "1", "-FLAGS (\\Seen)")
    other.store("INBOX", "1", "+FLAGS (\\Seen)")
    report = go()
    assert any("waits for a decision" in note for note in report.pushed.notes)
    assert 1 in mirrored(replica)["INBOX"]
    outbox.drop(report.pushed.conflicts[0].edit_id)
    go()
    assert subjects(replica, "Archive") == ["letter 1"]


def test_edits_follow_a_mailbox_that_was_renamed(go, place, replica, outbox, inbox, other):
    if place.kind == "dovecot":
        pytest.skip("Dovecot 2.3 tells no MAILBOXID: the mailbox is another one to a client")
    outbox.move(inbox, 2, "Archive")
    other.do("rename", "Archive", "Old")
    go()
    assert subjects(replica, "Old") == ["letter 2"]


# --- servers that can less ---


def test_without_numbers_the_flags_are_compared_first(go, place, proxy, outbox, replica, other):
    proxy.tamper = NO_CONDSTORE
    go()
    inbox = replica.mailbox("INBOX")
    outbox.change_flags(inbox, 1, add=["\\Flagged"], remove=["\\Seen"])
    outbox.delete(inbox, 2)
    outbox.delete(inbox, 4)
    other.store("INBOX", "1", "+FLAGS (\\Answered)")
    other.store("INBOX", "4", "+FLAGS (\\Flagged)")
    proxy.forget()
    (conflict,) = go().pushed.conflicts
    assert not any(b"UNCHANGEDSINCE" in line for line in proxy.said)
    assert (conflict.uid, conflict.sides["theirs"]) == (4, "\\Flagged")
    assert flags(place, 1) == "\\Answered \\Flagged"
    assert sorted(mirrored(replica)["INBOX"]) == [1, 3, 4, 5]


def test_without_move_the_message_is_copied_and_removed(go, place, proxy, outbox, replica, other):
    proxy.tamper = without("MOVE")
    go()
    outbox.move(replica.mailbox("INBOX"), 2, "Archive")
    outbox.move(replica.mailbox("INBOX"), 3, "Archive")
    go()
    assert proxy.commands.count("UID COPY") == 1
    assert subjects(replica, "Archive") == ["letter 2", "letter 3"]
    assert sorted(mirrored(replica)["INBOX"]) == [1, 4, 5]


def test_without_uidplus_nobody_elses_message_is_expunged(go, place, proxy, outbox, replica, other):
    proxy.tamper = both(without("UIDPLUS", "MOVE"))
    go()
    inbox = replica.mailbox("INBOX")
    outbox.delete(inbox, 2)
    go()
    assert sorted(mirrored(replica)["INBOX"]) == [1, 3, 4, 5]
    other.store("INBOX", "5", "+FLAGS (\\Deleted)")
    go()
    outbox.delete(inbox, 4)
    outbox.move(inbox, 3, "Archive")
    report = go()
    assert sorted(mirrored(replica)["INBOX"]) == [1, 3, 4, 5]
    assert any("not expunged" in note for note in report.pushed.notes)
    assert any("originals of moved messages stay" in note for note in report.pushed.notes)
    assert subjects(replica, "Archive") == ["letter 3"]


def test_an_edit_that_the_server_refuses_is_kept(go, place, proxy, outbox, inbox):
    outbox.append("INBOX", mail("draft"))
    outbox.change_flags(inbox, 1, add=["\\Flagged"])
    proxy.tamper = lambda line: [
        re.sub(rb"^(m\d+) OK (?!\[CAPABILITY).*(APPEND|STORE|Stor|Store).*", rb"\1 NO [OVERQUOTA] full", line)
    ]
    asyncio.run(place.sync(outbox._replica, proxy.address))
    assert {edit.sides["theirs"] for edit in outbox.conflicts()} <= {"full"}
    assert outbox.conflicts()


# --- answers that are lost ---

EDITS = {
    "flags": lambda outbox, inbox: outbox.change_flags(inbox, 2, add=["\\Flagged"]),
    "both ways": lambda outbox, inbox: outbox.change_flags(inbox, 1, add=["\\Flagged"], remove=["\\Seen"]),
    "delete": lambda outbox, inbox: outbox.delete(inbox, 2),
    "move": lambda outbox, inbox: outbox.move(inbox, 2, "Archive"),
    "append": lambda outbox, _: outbox.append("Archive", mail("draft"), ["\\Draft"]),
    "append without Message-ID": lambda outbox, _: outbox.append("Archive", b"Subject: x\r\n\r\nhello\r\n"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_a_cut_between_command_and_answer_does_nothing_twice(go, place, proxy, replica, outbox, inbox, kind):
    """The proxy swallows the answer and closes: the server has done it, the client does not know."""
    for _ in range(2 if kind.startswith("append") else 1):
        EDITS[kind](outbox, inbox)
    for word in (rb"STORE|Store", rb"EXPUNGE|Expunge", rb"MOVE|Move", rb"APPEND|Append"):
        proxy.swallow = re.compile(
            rb"^m\d+ (OK|NO).*(" + word + rb")|^m\d+ OK \[(APPENDUID|COPYUID|MODIFIED)"
        )
        with contextlib.suppress(ClientError):
            asyncio.run(place.sync(replica, proxy.address))
    proxy.swallow = None
    go()
    assert outbox.edits() == []
    if kind.startswith("append"):
        assert len(mirrored(replica)["Archive"]) == 2
    elif kind == "move":
        assert subjects(replica, "Archive") == ["letter 2"]
        assert 2 not in mirrored(replica)["INBOX"]
    elif kind == "delete":
        assert 2 not in mirrored(replica)["INBOX"]
    else:
        assert "\\Flagged" in flags(place, 2 if kind == "flags" else 1)


@pytest.mark.parametrize("kind", ["move", "append"])
def test_a_command_that_never_arrived_is_sent_again(go, place, proxy, replica, outbox, inbox, kind):
    edit = EDITS[kind](outbox, inbox)
    message = replica.message(inbox.mailbox_id, 2)
    trace = {"message_id": "", "size": message.size, "received_at": message.received_at, "email_id": None}
    step = json.dumps(trace) if kind == "move" else ""
    archive = replica.mailbox("Archive")
    outbox.begin(edit, step=step, sent_validity=archive.uid_validity, sent_uid_next=archive.uid_next)
    go()
    assert outbox.edits() == []
    assert len(mirrored(replica)["Archive"]) == 1


def test_a_half_done_move_is_finished(go, place, proxy, replica, outbox, inbox, other):
    """Without MOVE the cut may come between COPY and the removal."""
    proxy.tamper = without("MOVE")
    outbox.move(inbox, 2, "Archive")
    proxy.swallow = re.compile(rb"^m\d+ OK \[COPYUID")
    with pytest.raises(ClientError):
        asyncio.run(place.sync(replica, proxy.address))
    proxy.swallow = None
    assert [edit.state for edit in outbox.edits()] == ["sent"]
    go()
    assert subjects(replica, "Archive") == ["letter 2"]
    assert 2 not in mirrored(replica)["INBOX"]


def test_of_two_equal_messages_each_needs_its_own_trace(go, replica, outbox, inbox, other):
    """One of them arrived; its copy must not be taken for the other's, whose original would be removed."""
    other.append("INBOX", mail("letter 2"))
    go()
    archive = replica.mailbox("Archive")
    other.uid("INBOX", "MOVE", "2", "Archive")
    for uid in (2, 6):
        message = replica.message(inbox.mailbox_id, uid)
        trace = {"message_id": "", "size": message.size, "received_at": message.received_at, "email_id": None}
        edit = outbox.move(inbox, uid, "Archive")
        outbox.begin(
            edit, step=json.dumps(trace), sent_validity=archive.uid_validity, sent_uid_next=archive.uid_next
        )
    go()
    assert outbox.edits() == []
    assert subjects(replica, "Archive") == ["letter 2", "letter 2"]


def test_a_message_that_vanished_with_the_answer_is_a_conflict(
    go, place, proxy, replica, outbox, inbox, other
):
    """Moved by us or not: it is neither here nor there, and that is told."""
    edit = outbox.move(inbox, 2, "Archive")
    archive = replica.mailbox("Archive")
    step = '{"message_id": "<none@example.org>", "size": 1, "received_at": 1, "email_id": null}'
    outbox.begin(edit, step=step, sent_validity=archive.uid_validity, sent_uid_next=archive.uid_next)
    other.expunge("INBOX", "2")
    (conflict,) = go().pushed.conflicts
    assert conflict.sides["reason"] == "the message is gone, and not in Archive"


def test_a_target_made_anew_hides_the_outcome(go, place, replica, outbox, inbox, other):
    edit = outbox.append("Archive", mail("draft"))
    outbox.begin(edit, sent_validity=replica.mailbox("Archive").uid_validity + 77, sent_uid_next=1)
    (conflict,) = go().pushed.conflicts
    assert "made anew" in conflict.sides["theirs"]


def test_an_edit_made_while_another_was_sent_follows_it(go, place, proxy, replica, outbox, inbox):
    outbox.begin(outbox.change_flags(inbox, 2, add=["\\Flagged"]))
    outbox.change_flags(inbox, 2, add=["$later"])
    assert go().pushed.conflicts == []
    assert flags(place, 2) == "$later \\Flagged"
