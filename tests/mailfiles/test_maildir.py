"""Maildir: octets, flags, keywords and times come back."""

import mailbox
import os

import pytest

import mailgen
from modseq.mailfiles import maildir
from modseq.mailfiles.maildir import (
    MaildirWriter,
    is_maildir,
    read_maildir,
    read_message_file,
    subfolders,
)
from modseq.mailfiles.message import StoredMessage


def make(path, files):
    for folder in ("tmp", "new", "cur"):
        (path / folder).mkdir(parents=True)
    for name, octets in files.items():
        (path / name).write_bytes(octets)
    return path


def test_flags_stand_in_the_name(tmp_path):
    make(
        tmp_path / "box",
        {
            "cur/1.a:2,RS": b"a",
            "cur/2.b;2,DFT": b"b",
            "cur/3.c!2,P": b"c",
            "cur/4.d:2,": b"d",
            "cur/5.e": b"e",
            "new/6.f:2,S": b"f",
            "cur/7.g:2,XaS": b"g",
            "cur/.hidden": b"no",
        },
    )
    found = [(message.data, message.flags) for message in read_maildir(tmp_path / "box")]
    assert found == [
        (b"a", ("\\Answered", "\\Seen")),
        (b"b", ("\\Draft", "\\Flagged", "\\Deleted")),
        (b"c", ("$Forwarded",)),
        (b"d", ()),
        (b"e", ()),
        (b"f", ()),
        (b"g", ("\\Seen",)),
    ]


def test_keywords_of_dovecot(tmp_path):
    box = make(tmp_path / "box", {"cur/1.a:2,Sabc": b"a"})
    (box / "dovecot-keywords").write_text("0 Work\n2 $Later\n1 bad(name\nnonsense\n77 far\n")
    (message,) = read_maildir(box)
    assert message.flags == ("\\Seen", "Work", "$Later")


def test_messages_come_in_the_order_of_their_delivery(tmp_path):
    box = make(
        tmp_path / "box", {"cur/999.a:2,S": b"1", "new/1000.b": b"2", "cur/1001.c:2,": b"3", "cur/x": b"0"}
    )
    assert [message.data for message in read_maildir(box)] == [b"0", b"1", b"2", b"3"]


def test_the_time_of_the_file_is_the_internal_date(tmp_path):
    box = make(tmp_path / "box", {"cur/1.a:2,": b"Date: Mon, 1 Jan 2024 00:00:00 +0000\n\nx\n"})
    os.utime(box / "cur/1.a:2,", (5, 1_600_000_000))
    (message,) = read_maildir(box)
    assert (message.received_at, message.zone) == (1_600_000_000, None)
    assert message.data == b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nx\r\n"


def test_a_message_renamed_meanwhile_is_left_out(tmp_path):
    box = make(tmp_path / "box", {"cur/1.a:2,": b"a", "cur/2.b:2,": b"b"})
    reading = read_maildir(box)
    assert next(reading).data == b"a"
    (box / "cur/2.b:2,").rename(box / "cur/2.b:2,S")
    assert list(reading) == []


def test_a_message_too_large_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(maildir, "APPEND_LITERAL_BYTES_MAX", 3)
    box = make(tmp_path / "box", {"cur/1.a:2,": b"abcd", "cur/2.b:2,": b"abc"})
    assert [message.data for message in read_maildir(box)] == [None, b"abc"]
    assert read_message_file(box / "cur/1.a:2,").data is None


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        (b"Delivery-date: Mon, 01 Jan 2024 01:00:00 +0100\n", (1_704_067_200, 60)),
        (
            b"Received: from x\n by y; Mon, 1 Jan 2024 00:00:00 +0000\nDate: Sun, 31 Dec 2000 00:00:00 +0000\n",
            (1_704_067_200, 0),
        ),
        (b"Received: nonsense\nDate: Mon, 1 Jan 2024 00:00:00 -0000\n", (1_704_067_200, 0)),
        (b"Date: Mon, 99 Foo 2024 00:00:00\n", (1_500_000_000, None)),
        (b"Subject: x\n", (1_500_000_000, None)),
    ],
)
def test_the_date_of_a_single_file(tmp_path, header, moment):
    file = tmp_path / "x.eml"
    file.write_bytes(header + b"\nbody\n")
    os.utime(file, (1, 1_500_000_000))
    message = read_message_file(file)
    assert (message.received_at, message.zone) == moment


def test_folders_inside_a_maildir(tmp_path):
    box = make(tmp_path / "box", {})
    make(box / ".Sent", {})
    make(box / ".Lists.python", {})
    (box / ".notmail").mkdir()
    assert is_maildir(box)
    assert subfolders(box) == [".Lists.python", ".Sent"]


def test_generated_mail_is_read_as_it_was(tmp_path):
    generated = mailgen.write_maildir(tmp_path / "box", mailgen.messages(200, seed=4))
    found = list(read_maildir(tmp_path / "box"))
    assert [message.data for message in found] == [item.data for item in generated]
    assert [message.received_at for message in found] == [item.received_at for item in generated]
    assert [set(message.flags) for message in found] == [set(item.flags) for item in generated]


def test_what_is_written_is_read_back(tmp_path):
    writer = MaildirWriter(tmp_path / "out")
    generated = list(mailgen.messages(200, seed=6))
    for number, item in enumerate(generated, 1):
        writer.write(StoredMessage(number, item.data, item.flags, item.received_at))
    writer.close()
    found = list(read_maildir(tmp_path / "out"))
    assert [(message.data, message.received_at) for message in found] == [
        (item.data, item.received_at) for item in generated
    ]
    assert [set(message.flags) for message in found] == [set(item.flags) for item in generated]
    assert list((tmp_path / "out" / "tmp").iterdir()) == []


def test_the_standard_library_reads_what_is_written(tmp_path):
    writer = MaildirWriter(tmp_path / "out")
    writer.write(StoredMessage(1, b"a: b\r\n\r\nx\r\n", ("\\Seen", "\\Flagged"), 1_600_000_000))
    writer.close()
    box = mailbox.Maildir(tmp_path / "out", create=False)
    ((key, message),) = box.items()
    assert message.get_flags() == "FS"
    assert box.get_bytes(key) == b"a: b\n\nx\n"


def test_with_crlf_the_octets_of_the_mailbox_are_kept(tmp_path):
    writer = MaildirWriter(tmp_path / "out", crlf=True)
    writer.write(StoredMessage(1, b"a: b\r\n\r\nx\r\n", (), 0))
    writer.close()
    (file,) = (tmp_path / "out" / "cur").iterdir()
    assert file.read_bytes() == b"a: b\r\n\r\nx\r\n"


def test_keywords_beyond_the_letters_are_named(tmp_path):
    writer = MaildirWriter(tmp_path / "out")
    names = tuple(f"k{number:02}" for number in range(28))
    writer.write(StoredMessage(1, b"x", names, 0))
    writer.close()
    assert writer.keywords_lost == {"k26", "k27"}
    (message,) = read_maildir(tmp_path / "out")
    assert message.flags == names[:26]
