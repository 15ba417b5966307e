"""The copy: batches and watermarks in one transaction, bodies once, names, settings, versions."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from mirror_support import fill, gone, mail, mark, row, told
from modseq.core.numset import NumSet
from modseq.mirror import schema
from modseq.mirror.errors import BodyMissing, MirrorBusy, NoSuchMailbox, NotAMirror, OtherAccount
from modseq.mirror.records import (
    ChangeBatch,
    FlagsRow,
    edited_flags,
    join_flags,
    same_flags,
    split_flags,
)
from modseq.mirror.replica import Replica


def state(replica: Replica, name: str = "INBOX") -> dict[int, tuple[str, int]]:
    mailbox = replica.mailbox(name)
    return {each.uid: (each.flags, each.mod_seq) for each in replica.messages(mailbox.mailbox_id)}


def test_a_batch_brings_the_copy_to_its_watermark(replica):
    fill(replica, "INBOX", {1: (mail("a"), "\\Seen"), 2: (mail("b"), ""), 5: (mail("c"), "$x \\Flagged")})
    mailbox = replica.mailbox("inbox")
    assert state(replica) == {1: ("\\Seen", 1), 2: ("", 2), 5: ("$x \\Flagged", 5)}
    done = replica.apply(
        mailbox.mailbox_id,
        ChangeBatch(
            appeared=(row(6, mail("d"), "", 8),),
            changed=(FlagsRow(1, "", 7), FlagsRow(99, "\\Seen", 7)),
            vanished=NumSet([2, 3, 4]),
            watermark=mark(7, 8, 3),
        ),
    )
    assert dataclasses.astuple(done) == (1, 1, 1)
    assert state(replica) == {1: ("", 7), 5: ("$x \\Flagged", 5), 6: ("", 8)}
    after = replica.mailbox("INBOX")
    assert (after.uid_next, after.mod_seq, after.exists, after.is_complete) == (7, 8, 3, True)
    assert replica.known_uids(mailbox.mailbox_id) == NumSet([1, 5, 6])
    assert replica.mod_seq_max(mailbox.mailbox_id) == 8


def test_applying_twice_is_applying_once(replica):
    mailbox = fill(replica, "INBOX", {1: (mail("a"), ""), 2: (mail("b"), "")})
    batch = ChangeBatch(
        appeared=(row(3, mail("c"), "", 4),),
        changed=(FlagsRow(1, "\\Seen", 3),),
        vanished=NumSet([2]),
        watermark=mark(4, 4, 2),
    )
    replica.apply(mailbox.mailbox_id, batch)
    once = state(replica)
    assert dataclasses.astuple(replica.apply(mailbox.mailbox_id, batch)) == (0, 0, 0)
    assert state(replica) == once


def test_a_batch_that_fails_changes_nothing(replica):
    mailbox = fill(replica, "INBOX", {1: (mail("a"), "")})
    broken = dataclasses.replace(mark(9, 9, 1), exists=None)  # a column that may not be NULL
    with pytest.raises(apsw.ConstraintError):
        replica.apply(
            mailbox.mailbox_id,
            ChangeBatch(appeared=(row(2, mail("b")),), vanished=NumSet([1]), watermark=broken),
        )
    assert state(replica) == {1: ("", 1)}
    assert replica.mailbox("INBOX").mod_seq == 1


def test_a_process_killed_inside_a_batch_leaves_the_copy_of_before(tmp_path):
    """The watermark and the changes are on the disk together: after SIGKILL neither is there."""
    path = tmp_path / "m.sqlite"
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent.parent)]!r}
from pathlib import Path
from mirror_support import fill, mail, mark, row
from modseq.mirror.records import ChangeBatch
from modseq.mirror.replica import Replica
class Dying(Replica):
    def _move_watermark(self, mailbox_id, mark):
        super()._move_watermark(mailbox_id, mark)
        if mark.mod_seq == 9:
            os.kill(os.getpid(), signal.SIGKILL)
replica = Dying(Path({str(path)!r}), create=True)
mailbox = fill(replica, "INBOX", {{1: (mail("a"), "")}})
replica.apply(mailbox.mailbox_id, ChangeBatch(appeared=(row(2, mail("b")),), watermark=mark(9, 9, 2)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Replica(path) as replica:
        assert state(replica) == {1: ("", 1)}
        assert replica.mailbox("INBOX").mod_seq == 1
        assert replica.check() == []


def test_flags_without_a_number_keep_the_one_before(replica):
    mailbox = fill(replica, "INBOX", {3: (mail("a"), "")})
    told(replica, mailbox, 3, "\\Seen", 0)
    assert state(replica) == {3: ("\\Seen", 3)}


def test_a_reset_forgets_the_messages_and_keeps_the_bodies_that_return(replica):
    octets = mail("a")
    mailbox = fill(replica, "INBOX", {1: (octets, "")}, bodies=False)
    replica.apply(mailbox.mailbox_id, ChangeBatch(appeared=(row(1, octets, "", 1, "M1"),)))
    replica.keep_bodies(mailbox.mailbox_id, {1: octets})
    replica.apply(
        mailbox.mailbox_id,
        ChangeBatch(
            reset=True, appeared=(row(41, octets, "", 1, "M1"),), watermark=mark(42, 1, 1, uid_validity=8)
        ),
    )
    assert state(replica) == {41: ("", 1)}
    assert replica.content(replica.message(mailbox.mailbox_id, 41).content_id) == octets


def test_equal_bodies_are_kept_once_and_dropped_when_nobody_names_them(replica):
    octets = mail("a", "long " * 1000)
    one = fill(replica, "INBOX", {1: (octets, "")})
    two = fill(replica, "Archive", {1: (octets, "")})
    ids = {replica.message(each.mailbox_id, 1).content_id for each in (one, two)}
    assert len(ids) == 1
    assert replica.content(ids.pop()) == octets
    gone(replica, one, 1)
    assert replica.drop_unused_content() == 0
    gone(replica, two, 1)
    assert replica.drop_unused_content() == 1
    with pytest.raises(BodyMissing):
        replica.content(1)


def test_octets_that_do_not_compress_come_back_too(replica):
    octets = os.urandom(5000)
    assert replica.content(replica.keep_content(octets)) == octets


def test_mailboxes_swap_their_names_and_what_waits_for_them_follows(replica):
    from modseq.mirror.outbox import Outbox

    one = fill(replica, "One", {1: (mail("a"), "")})
    two = fill(replica, "Two", {})
    Outbox(replica).move(one, 1, "Two")
    replica.rename_mailboxes({one.mailbox_id: "Two", two.mailbox_id: "One"})
    assert {each.mailbox_id: each.name for each in replica.mailboxes()} == {
        one.mailbox_id: "Two",
        two.mailbox_id: "One",
    }
    assert [edit.target for edit in Outbox(replica).edits()] == ["One"]


def test_removing_a_mailbox_removes_its_messages(replica):
    mailbox = fill(replica, "Old", {1: (mail("a"), "")})
    replica.remove_mailbox(mailbox.mailbox_id)
    with pytest.raises(NoSuchMailbox):
        replica.mailbox("Old")
    assert replica.check() == []


def test_settings_are_kept_and_the_account_is_never_changed(replica, tmp_path):
    replica.configure(account="imaps://ann@host/", bodies="all", patterns=["INBOX", "Lists/*"])
    assert replica.configure().patterns == ("INBOX", "Lists/*")
    with pytest.raises(OtherAccount):
        replica.configure(account="imaps://ben@host/")
    assert replica.settings().account == "imaps://ann@host/"


def test_one_process_synchronises_at_a_time(replica):
    with (
        Replica(replica.path) as other,
        replica.synchronising(),
        pytest.raises(MirrorBusy),
        other.synchronising(),
    ):
        pass
    with Replica(replica.path) as other, other.synchronising():
        pass


def test_a_change_by_another_process_shows(replica):
    before = replica.data_version()
    with Replica(replica.path) as other:
        other.add_mailbox("INBOX", None, "/", "")
    assert replica.data_version() != before


def test_what_is_no_mirror_is_refused_and_left_alone(tmp_path):
    with pytest.raises(NotAMirror, match="there is no mirror"):
        Replica(tmp_path / "none.sqlite")
    text = tmp_path / "text.sqlite"
    text.write_bytes(b"this is no database, but it is long enough to be taken for one" * 20)
    with pytest.raises(NotAMirror):
        Replica(text, create=True)
    foreign = tmp_path / "foreign.sqlite"
    connection = apsw.Connection(str(foreign))
    connection.execute("CREATE TABLE mailbox(x)")
    connection.close()
    with pytest.raises(NotAMirror, match="another program"):
        Replica(foreign, create=True)
    newer = tmp_path / "newer.sqlite"
    Replica(newer, create=True).close()
    connection = apsw.Connection(str(newer))
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(NotAMirror, match="newer version"):
        Replica(newer)


def test_a_migration_runs_once_and_keeps_what_is_there(tmp_path, monkeypatch):
    path = tmp_path / "m.sqlite"
    with Replica(path, create=True) as replica:
        fill(replica, "INBOX", {1: (mail("a"), "")})
    runs = []

    def second(connection: apsw.Connection) -> None:
        runs.append(1)
        connection.execute("ALTER TABLE mirror ADD COLUMN colour TEXT")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, second))
    for _ in range(2):
        with Replica(path) as replica:
            assert state(replica) == {1: ("", 1)}
    assert runs == [1]


def test_the_check_finds_what_must_not_be(replica):
    mailbox = fill(replica, "INBOX", {1: (mail("a"), "")})
    for damage, sentence in (
        ("DELETE FROM summary", "a message without summary"),
        ("DELETE FROM content", "body is nowhere"),
        ("UPDATE mailbox SET exists_n = 5", "another number of messages"),
        ("UPDATE mailbox SET uid_next = 1", "at or above UIDNEXT"),
        ("UPDATE message SET mailbox_id = 77", "of no mailbox"),
    ):
        replica.execute("BEGIN")
        replica.execute(damage)
        assert any(sentence in each for each in replica.check()), damage
        replica.execute("ROLLBACK")
    assert mailbox.name == "INBOX"


def test_flags_are_sorted_without_recent_and_case_makes_no_difference():
    assert join_flags(["\\Seen", "$B", "\\recent", "$a", "\\SEEN"]).split() == ["$B", "$a", "\\Seen"]
    assert split_flags("") == frozenset()
    assert same_flags(["\\seen", "$A"], ["$a", "\\Seen", "\\Recent"])
    assert edited_flags(["\\Seen", "$A"], ["$B"], ["$a"]) == {"\\Seen", "$B"}
