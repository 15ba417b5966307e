"""The copy written out, and read back by the reader of `modseq import`."""

import dataclasses

import pytest

from mirror_support import fill, mail
from modseq.mailfiles.source import find_source
from modseq.mirror.errors import InvalidEdit
from modseq.mirror.export import export_maildir, export_mbox, maildir_folders, mbox_files
from modseq.mirror.outbox import Outbox
from modseq.mirror.records import MailboxRow


def read(path):
    return [(each.data, each.flags, each.received_at) for each in find_source(path).messages()]


@pytest.fixture
def inbox(replica):
    mails = {
        n: (mail(f"letter {n}", "From here\r\n>From there"), "\\Seen $x" if n % 2 else "")
        for n in range(1, 6)
    }
    return fill(replica, "INBOX", mails)


def test_an_mbox_gives_the_octets_and_dates_back(replica, inbox, tmp_path):
    counted = []
    done = export_mbox(replica, inbox, tmp_path / "a.mbox", crlf=False, step=counted.append)
    assert (done.written, done.missing, sum(counted)) == (5, 0, 5)
    back = read(tmp_path / "a.mbox")
    assert [each[0] for each in back] == [
        mail(f"letter {n}", "From here\r\n>From there") for n in range(1, 6)
    ]
    assert [each[2] for each in back] == [each.received_at for each in replica.messages(inbox.mailbox_id)]
    assert not (tmp_path / "a.mbox.partial").exists()


def test_a_maildir_keeps_flags_and_keywords_and_edits_that_wait(replica, inbox, tmp_path):
    outbox = Outbox(replica)
    outbox.change_flags(inbox, 2, add=["\\Flagged"])
    outbox.delete(inbox, 3)
    outbox.append("INBOX", mail("new"), ["\\Draft"], 1_700_000_000)
    done = export_maildir(replica, inbox, tmp_path / "dir", crlf=False, step=lambda _: None)
    assert (done.written, done.missing, done.keywords_lost) == (5, 0, frozenset())
    back = read(tmp_path / "dir")
    assert [set(each[1]) for each in back] == [
        {"\\Seen", "$x"},
        {"\\Flagged"},
        set(),
        {"\\Seen", "$x"},
        {"\\Draft"},
    ]
    assert back[-1][0] == mail("new")


def test_messages_without_a_body_are_counted(replica, tmp_path):
    bare = fill(replica, "Bare", {1: (mail("a"), ""), 2: (mail("b"), "")}, bodies=False)
    replica.keep_bodies(bare.mailbox_id, {2: mail("b"), 99: mail("nobody's")})
    done = export_mbox(replica, bare, tmp_path / "a.mbox", crlf=True, step=lambda _: None)
    assert (done.written, done.missing) == (1, 1)
    assert replica.drop_unused_content() == 0


def test_an_export_that_fails_leaves_no_file(replica, inbox, tmp_path):
    def step(_: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        export_mbox(replica, inbox, tmp_path / "a.mbox", crlf=False, step=step)
    assert list(tmp_path.glob("a.mbox*")) == []


def test_every_mailbox_has_a_place_of_its_own():
    rows = [
        MailboxRow(n, name, delimiter="/")
        for n, name in enumerate(["INBOX", "Lists/py.thon", "Größe", "../up"])
    ]
    assert maildir_folders(rows) == {
        "INBOX": ".",
        "Lists/py.thon": ".Lists.py_thon",
        "Größe": ".Gr&APYA3w-e",
        "../up": ".__.up",
    }
    assert mbox_files(rows)["Lists/py.thon"] == "Lists.py_thon.mbox"
    assert mbox_files(rows)["../up"] == "__.up.mbox"
    with pytest.raises(InvalidEdit, match="one place"):
        mbox_files([*rows, dataclasses.replace(rows[1], name="Lists/py_thon")])
