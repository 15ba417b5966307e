"""Edits made offline: what is kept, joined, undone and shown."""

import pytest

from mirror_support import fill, gone, mail, told
from modseq.core.numset import NumSet
from modseq.mirror.errors import InvalidEdit, NoSuchEdit, NoSuchMailbox, NoSuchMessage
from modseq.mirror.outbox import Outbox, agrees
from modseq.mirror.records import ChangeBatch
from modseq.mirror.replica import Replica
from modseq.mirror.view import local_message, local_messages


@pytest.fixture
def inbox(replica):
    fill(replica, "Archive", {1: (mail("old"), "\\Seen")})
    fill(replica, "Lists", {})
    return fill(replica, "INBOX", {n: (mail(f"letter {n}"), "\\Seen" if n == 1 else "") for n in (1, 2, 3)})


@pytest.fixture
def outbox(replica):
    return Outbox(replica)


def shown(replica, name="INBOX"):
    return [
        (each.uid, " ".join(sorted(each.flags))) for each in local_messages(replica, replica.mailbox(name))
    ]


def told_edits(outbox):
    return [
        (edit.kind, edit.uid, edit.describe(), edit.base_mod_seq, edit.base_flags) for edit in outbox.edits()
    ]


def test_flags_are_laid_over_and_the_copy_stays_what_the_server_has(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["\\Flagged", "$work"])
    assert shown(replica) == [(1, "\\Seen"), (2, "$work \\Flagged"), (3, "")]
    assert replica.message(inbox.mailbox_id, 2).flags == ""
    assert told_edits(outbox) == [("flags", 2, "flags +$work +\\Flagged", 2, "")]


def test_further_edits_of_flags_are_joined_on_the_first_base(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    told(replica, inbox, 2, "$theirs", 9)
    outbox.change_flags(inbox, 2, add=["\\Seen"])
    assert told_edits(outbox) == [("flags", 2, "flags +\\Flagged +\\Seen", 2, "")]
    assert shown(replica)[1] == (2, "$theirs \\Flagged \\Seen")


def test_an_edit_that_is_undone_is_gone(replica, outbox, inbox):
    outbox.change_flags(inbox, 1, remove=["\\SEEN"])
    assert shown(replica)[0] == (1, "")
    assert outbox.change_flags(inbox, 1, add=["\\seen"]) is None
    assert outbox.edits() == []
    assert outbox.change_flags(inbox, 1, add=["\\Seen"]) is None
    assert outbox.change_flags(inbox, 1, remove=["$never"]) is None
    assert outbox.edits() == []


def test_a_move_is_shown_where_it_goes_and_can_be_taken_back(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["\\Seen"])
    outbox.move(inbox, 2, "archive".capitalize())
    assert shown(replica) == [(1, "\\Seen"), (3, "")]
    assert shown(replica, "Archive") == [(1, "\\Seen"), (2, "\\Seen")]
    outbox.move(inbox, 2, "Lists")
    assert shown(replica, "Archive") == [(1, "\\Seen")]
    assert shown(replica, "Lists") == [(2, "\\Seen")]
    assert local_message(replica, inbox, 2).mailbox == "Lists"
    assert outbox.move(inbox, 2, "inbox") is None
    assert shown(replica) == [(1, "\\Seen"), (2, "\\Seen"), (3, "")]


def test_flags_of_a_message_that_was_moved_follow_it(replica, outbox, inbox):
    outbox.move(inbox, 3, "Lists")
    outbox.change_flags(inbox, 3, add=["$x"])
    assert shown(replica, "Lists") == [(3, "$x")]


def test_a_delete_replaces_what_waited_and_keeps_the_state_that_was_seen_first(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    outbox.move(inbox, 2, "Lists")
    told(replica, inbox, 2, "\\Answered", 9)
    outbox.delete(inbox, 2)
    assert told_edits(outbox) == [("delete", 2, "delete", 2, "")]
    assert shown(replica) == [(1, "\\Seen"), (3, "")]
    assert shown(replica, "Lists") == []
    for edit in (outbox.delete, lambda box, uid: outbox.change_flags(box, uid, ["$x"])):
        with pytest.raises(NoSuchMessage):
            edit(inbox, 2)


def test_an_append_is_shown_without_a_uid_and_keeps_its_octets(replica, outbox, inbox):
    octets = mail("draft", "Größe")
    edit = outbox.append("Lists", octets, ["\\Draft"], 1_700_000_000)
    (message,) = local_messages(replica, replica.mailbox("Lists"))
    assert (message.uid, message.summary.subject, message.size) == (0, "draft", len(octets))
    assert message.flags == {"\\Draft"}
    assert replica.drop_unused_content() == 0
    assert replica.content(edit.content_id) == octets


def test_what_makes_no_sense_is_refused(replica, outbox, inbox):
    with pytest.raises(InvalidEdit, match=r"\\Recent"):
        outbox.change_flags(inbox, 1, add=["\\Recent"])
    with pytest.raises(InvalidEdit, match="no flag"):
        outbox.change_flags(inbox, 1, add=["two words"])
    with pytest.raises(InvalidEdit, match="set and removed"):
        outbox.change_flags(inbox, 1, add=["$a"], remove=["$A"])
    with pytest.raises(InvalidEdit, match="too many"):
        outbox.change_flags(inbox, 1, add=[f"$k{n}" for n in range(600)])
    with pytest.raises(InvalidEdit, match="0 octets"):
        outbox.append("INBOX", b"")
    with pytest.raises(NoSuchMailbox):
        outbox.move(inbox, 1, "Nowhere")
    with pytest.raises(NoSuchMailbox):
        outbox.append("Nowhere", b"x")
    with pytest.raises(NoSuchMessage):
        outbox.change_flags(inbox, 99, add=["$a"])
    with pytest.raises(NoSuchEdit):
        outbox.drop(7)
    assert outbox.edits() == []


def test_what_was_sent_is_not_joined_nor_dropped(replica, outbox, inbox):
    sent = outbox.begin(outbox.change_flags(inbox, 2, add=["\\Flagged"]))
    with pytest.raises(InvalidEdit, match="push first"):
        outbox.drop(sent.edit_id)
    later = outbox.change_flags(inbox, 2, remove=["\\Flagged"])
    assert (later.base_flags, later.remove_flags) == ("\\Flagged", "\\Flagged")
    assert shown(replica)[1] == (2, "")
    outbox.begin(outbox.move(inbox, 3, "Lists"))
    with pytest.raises(InvalidEdit, match="on its way"):
        outbox.change_flags(inbox, 3, add=["$x"])


def test_a_conflict_keeps_both_sides_and_is_shown_as_the_server_has_it(replica, outbox, inbox):
    edit = outbox.begin(outbox.change_flags(inbox, 2, add=["\\Flagged"]))
    told(replica, inbox, 2, "\\Answered", 9)
    outbox.conflict(edit, "somebody changed it", "flags \\Answered, mod-sequence 9")
    assert shown(replica)[1] == (2, "\\Answered")
    (kept,) = outbox.conflicts()
    assert kept.sides["mine"] == "flags +\\Flagged (on no flags, mod-sequence 2)"
    assert kept.sides["theirs"] == "flags \\Answered, mod-sequence 9"
    assert (kept.sides["mailbox"], kept.sides["subject"]) == ("INBOX", "letter 2")
    again = outbox.insist(kept.edit_id)
    assert (again.state, again.base_mod_seq, again.base_flags) == ("waiting", 9, "\\Answered")
    assert shown(replica)[1] == (2, "\\Answered \\Flagged")
    with pytest.raises(InvalidEdit, match="no conflict"):
        outbox.insist(again.edit_id)
    outbox.drop(again.edit_id)
    assert shown(replica)[1] == (2, "\\Answered")


@pytest.mark.parametrize("kind", ["move", "delete", "append"])
def test_insisting_makes_every_kind_wait_again(replica, outbox, inbox, kind):
    edit = {
        "move": lambda: outbox.move(inbox, 2, "Lists"),
        "delete": lambda: outbox.delete(inbox, 2),
        "append": lambda: outbox.append("Lists", mail("new")),
    }[kind]()
    outbox.conflict(outbox.begin(edit), "reason", "theirs")
    again = outbox.insist(edit.edit_id)
    assert (again.kind, again.state, again.content_id) == (kind, "waiting", edit.content_id)


def test_nobody_can_insist_on_a_message_that_is_gone(replica, outbox, inbox):
    edits = [outbox.change_flags(inbox, uid, add=["$x"]) for uid in (2, 3)]
    for edit in edits:
        outbox.conflict(edit, "gone", "gone")
    gone(replica, inbox, 2)
    with pytest.raises(InvalidEdit, match="gone from the server"):
        outbox.insist(edits[0].edit_id)
    replica.remove_mailbox(inbox.mailbox_id)
    with pytest.raises(InvalidEdit, match="gone or was made anew"):
        outbox.insist(edits[1].edit_id)
    assert {edit.sides["mailbox"] for edit in outbox.conflicts()} == {"INBOX"}
    # Said once more after the mailbox is gone, the conflict still names what it was about.
    assert outbox.conflict(outbox.conflicts()[0], "still", "gone").sides["subject"] == "letter 2"


def test_edits_are_there_when_the_file_is_opened_again(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    outbox.begin(outbox.append("INBOX", mail("new")), step="x", sent_validity=7, sent_uid_next=4)
    with Replica(replica.path) as other:
        assert Outbox(other).edits() == outbox.edits()


def test_numbers_of_edits_are_never_used_again(replica, outbox, inbox):
    first = outbox.change_flags(inbox, 1, add=["$a"])
    outbox.drop(first.edit_id)
    assert outbox.change_flags(inbox, 1, add=["$a"]).edit_id > first.edit_id


def test_edits_of_a_message_that_vanished_stay_for_the_push_to_judge(replica, outbox, inbox):
    outbox.change_flags(inbox, 2, add=["$a"])
    outbox.move(inbox, 3, "Lists")
    replica.apply(inbox.mailbox_id, ChangeBatch(vanished=NumSet([2, 3])))
    assert shown(replica) == [(1, "\\Seen")]
    assert shown(replica, "Lists") == []
    assert len(outbox.edits()) == 2
    replica.execute("UPDATE mailbox SET exists_n = exists_n - 2 WHERE name = 'INBOX'")


def test_whether_a_message_has_what_an_edit_wants(replica, outbox, inbox):
    edit = outbox.change_flags(inbox, 1, add=["\\Flagged"], remove=["\\Seen"])
    assert agrees(edit, ["\\Flagged", "$else"])
    assert not agrees(edit, ["\\Seen", "\\Flagged"])


def test_what_the_message_has_already_is_left_out(replica, outbox, inbox):
    edit = outbox.change_flags(inbox, 1, add=["\\Flagged", "$x"], remove=["\\Seen"])
    narrowed = outbox.narrow(outbox.begin(edit), ["$X"])
    assert (narrowed.add_flags, narrowed.remove_flags, narrowed.state) == ("\\Flagged", "", "waiting")
    assert narrowed.base_mod_seq == edit.base_mod_seq
