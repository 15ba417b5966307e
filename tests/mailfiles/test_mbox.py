"""mbox: whatever was written comes back octet by octet."""

import contextlib
import io
import mailbox
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mailgen
from modseq.mailfiles import mbox
from modseq.mailfiles.mbox import NotAnMbox, asctime, is_separator, read_mbox, write_message
from modseq.mailfiles.message import StoredMessage, to_file, to_mailbox

BEGIN = b"From a@example.org Mon Jan  1 00:00:00 2024\n"
MOMENT = 1_704_067_200


def read(octets: bytes):
    return list(read_mbox(io.BytesIO(octets), "test"))


def written(*messages: bytes, crlf: bool = False) -> bytes:
    out = io.BytesIO()
    for number, data in enumerate(messages, 1):
        write_message(out, StoredMessage(number, data, (), MOMENT), crlf=crlf)
    return out.getvalue()


def test_an_empty_file_holds_no_message():
    assert read(b"") == []


def test_messages_dates_and_places():
    first, second = read(
        BEGIN + b"Subject: x\n\none\n\n" + BEGIN.replace(b"1 00", b"2 00") + b"Subject: y\n\ntwo\n\n"
    )
    assert first.data == b"Subject: x\r\n\r\none\r\n"
    assert (first.received_at, first.zone, first.where) == (MOMENT, 0, "test, message 1")
    assert second.data == b"Subject: y\r\n\r\ntwo\r\n"
    assert second.received_at == MOMENT + 86_400


def test_the_octets_read_add_up_to_the_file():
    octets = BEGIN + b"a: b\n\none\n\n" + BEGIN + b"Content-Length: 4\n\ntwo\n\n" + BEGIN + b"c: d\n\n"
    assert sum(message.bytes_read for message in read(octets)) == len(octets)


@pytest.mark.parametrize(
    "line",
    [
        b"From a@b Thu Jan  1 00:00:00 1970\n",
        b"From a@b Thu Jan 1 00:00:00 1970\r\n",
        b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\n",
        b"From a@b  Thu Jan  1 00:00 1970\n",
        b"From a@b Thu Jan  1 00:00:00 PST 1970\n",
        b"From a@b Thu Jan  1 00:00:00 1970 +0100\n",
        b"From a@b Thu Jan  1 00:00:00 +0100 1970 remote from host\n",
        b'From "a b"@c Thu Jan  1 00:00:00 1970\n',
        b"From ???@??? Thu Jan 01 00:00:00 1970\n",
        b"From - Thu Jan 01 00:00:00 1970\n",
        b"From - \n",
        b"From -\r\n",
    ],
)
def test_separators(line):
    assert is_separator(line)


@pytest.mark.parametrize(
    "line",
    [
        b"From \n",
        b"From the beginning it was clear\n",
        b"From Monday to Friday\n",
        b"From: a@b Thu Jan  1 00:00:00 1970\n",
        b"From -5 to 5\n",
        b">From a@b Thu Jan  1 00:00:00 1970\n",
    ],
)
def test_no_separators(line):
    assert not is_separator(line)


@pytest.mark.parametrize(
    ("date", "moment", "zone"),
    [
        (b"Mon Jan  1 00:00:00 2024", MOMENT, 0),
        (b"Mon Jan  1 01:00:00 2024 +0100", MOMENT, 60),
        (b"Sun Dec 31 19:00:00 -0500 2023", MOMENT, -300),
        (b"Mon Jan  1 00:00 2024", MOMENT, 0),
    ],
)
def test_dates_of_separators(date, moment, zone):
    (message,) = read(b"From a " + date + b"\na: b\n\n\n")
    assert (message.received_at, message.zone) == (moment, zone)


def test_a_separator_without_a_date_leaves_it_to_the_header():
    (message,) = read(b"From - \nDate: Mon, 1 Jan 2024 02:00:00 +0200\n\nx\n")
    assert (message.received_at, message.zone) == (MOMENT, 120)
    (message,) = read(b"From - \nSubject: x\n\nx\n")
    assert (message.received_at, message.zone) == (None, None)


def test_an_impossible_date_is_no_date():
    (message,) = read(b"From a Mon Feb 31 00:00:00 2024\na: b\n\n\n")
    assert message.received_at is None


def test_something_else_is_no_mbox():
    with pytest.raises(NotAnMbox):
        read(b"Subject: x\n\nhello\n")


def test_quoting_is_taken_back_once():
    (message,) = read(BEGIN + b"a: b\n\n>From x\n>>From y\n> From z\n >From w\nx >From v\n\n")
    assert message.data == b"a: b\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n >From w\r\nx >From v\r\n"


def test_an_unquoted_line_that_is_no_separator_stays_in_its_message():
    (message,) = read(BEGIN + b"a: b\n\ntext\n\nFrom here on\n\n")
    assert message.data == b"a: b\r\n\r\ntext\r\n\r\nFrom here on\r\n"


def test_messages_without_an_empty_line_between_them():
    first, second = read(BEGIN + b"a: b\n\none\n" + BEGIN + b"c: d\n\ntwo")
    assert (first.data, second.data) == (b"a: b\r\n\r\none\r\n", b"c: d\r\n\r\ntwo")


def test_a_right_content_length_counts_and_nothing_is_unquoted():
    body = b">From x\n" + BEGIN + b"end\n"
    octets = BEGIN + b"Content-Length: %d\n\n%s\n" % (len(body), body) + BEGIN + b"c: d\n\ntwo\n\n"
    first, second = read(octets)
    assert first.data.split(b"\r\n\r\n", 1)[1] == to_mailbox(body)
    assert second.data == b"c: d\r\n\r\ntwo\r\n"


@pytest.mark.parametrize("count", [b"3", b"0", b"100000", b"-1", b"x", b"99999999999999999999"])
def test_a_wrong_content_length_is_ignored(count):
    first, second = read(
        BEGIN + b"Content-Length: " + count + b"\n\n>From x\n\n" + BEGIN + b"c: d\n\ntwo\n\n"
    )
    assert first.data.endswith(b"\r\n\r\nFrom x\r\n")
    assert second.data == b"c: d\r\n\r\ntwo\r\n"


def test_line_ends_of_windows_stay():
    octets = (BEGIN + b"a: b\n\none\n\n" + BEGIN + b"c: d\n\ntwo\n\n").replace(b"\n", b"\r\n")
    assert [message.data for message in read(octets)] == [b"a: b\r\n\r\none\r\n", b"c: d\r\n\r\ntwo\r\n"]


def test_flags_in_the_header():
    (message,) = read(BEGIN + b"Status: RO\nX-Status: AF\nX-Keywords: Work (bad $Later\n\nx\n\n")
    assert message.flags == ("\\Seen", "\\Answered", "\\Flagged", "Work", "$Later")


def test_a_message_too_large_is_named_and_the_next_one_read(monkeypatch):
    monkeypatch.setattr(mbox, "APPEND_LITERAL_BYTES_MAX", 100)
    big = b"a: b\n\n" + b"x" * 200 + b"\n\n"
    counted = b"Content-Length: 201\n\n" + b"y" * 200 + b"\n\n"
    found = read(BEGIN + big + BEGIN + counted + BEGIN + b"c: d\n\nsmall\n\n")
    assert [message.data for message in found] == [None, None, b"c: d\r\n\r\nsmall\r\n"]


def test_a_separator_inside_an_overlong_line_is_none(monkeypatch):
    monkeypatch.setattr(mbox, "MBOX_READ_BYTES", 64)
    (message,) = read(BEGIN + b"a: b\n\n" + b"x" * (64 - 0) + BEGIN + b"\n")
    assert message.data == b"a: b\r\n\r\n" + b"x" * 64 + BEGIN[:-1] + b"\r\n"


def test_the_sender_of_a_separator_is_the_return_path():
    assert written(b"Return-Path: <bob@example.org>\r\n\r\nx\r\n").startswith(
        b"From bob@example.org Mon Jan  1 "
    )
    assert written(b"Return-Path: <>\r\n\r\nx\r\n").startswith(b"From MAILER-DAEMON Mon Jan  1 ")
    assert written(b"Return-Path: <a b>\r\n\r\nx\r\n").startswith(b"From MAILER-DAEMON Mon Jan  1 ")


def test_asctime():
    assert asctime(0) == b"Thu Jan  1 00:00:00 1970"
    assert asctime(1_709_208_000) == b"Thu Feb 29 12:00:00 2024"


def test_a_message_without_its_last_line_end_gets_one():
    (message,) = read(written(b"a: b\r\n\r\nend"))
    assert message.data == b"a: b\r\n\r\nend\r\n"


def test_with_crlf_the_octets_of_the_mailbox_are_kept():
    data = b"a: b\r\n\r\nFrom x\r\nend\r\n"
    octets = written(data, crlf=True)
    assert b"\r\n>From x\r\nend\r\n\r\n" in octets
    assert [message.data for message in read(octets)] == [data]


def test_generated_mail_comes_back_and_gives_the_same_file(tmp_path):
    file = tmp_path / "in.mbox"
    generated = mailgen.write_mbox(file, mailgen.messages(300, seed=3))
    with file.open("rb") as stream:
        found = list(read_mbox(stream, "in"))
    assert [message.received_at for message in found] == [item.received_at for item in generated]
    for message, item in zip(found, generated, strict=True):
        assert message.data in (item.data, item.data + b"\r\n")
    out = io.BytesIO()
    for number, message in enumerate(found, 1):
        write_message(out, StoredMessage(number, message.data, (), message.received_at))
    # Separators name the return path, which the generator's do not.
    senderless = b"".join(
        b"From MAILER-DAEMON " + b" ".join(line.split(b" ")[2:]) if is_separator(line) else line
        for line in out.getvalue().splitlines(keepends=True)
    )
    assert senderless == file.read_bytes()


def test_other_programs_read_what_is_written(tmp_path):
    file = tmp_path / "out.mbox"
    generated = [item.data for item in mailgen.messages(50, seed=5)]
    file.write_bytes(written(*generated))
    with contextlib.closing(mailbox.mbox(file, create=False)) as box:
        assert len(box) == 50
        for key, data in enumerate(generated):
            # The standard library does not undo the quoting.
            found = re.sub(rb"(?m)^>(?=>*From )", b"", box.get_bytes(key))
            assert found in (to_file(data), to_file(data) + b"\n")


content = st.lists(
    st.sampled_from(
        [b"From ", b">", b"\r\n", b"\n", b"\r", b"x", b"From a Mon Jan  1 00:00:00 2024", b"\xff", b":"]
    ),
    max_size=30,
).map(b"".join)


@given(st.lists(content, min_size=1, max_size=4))
def test_any_messages_come_back_from_a_file(bodies):
    messages = [b"a: b\r\n\r\n" + body + b"\r\n" for body in bodies]
    back = [message.data for message in read(written(*messages))]
    assert back == messages


@given(st.binary(max_size=200))
def test_line_ends_of_files_survive_the_mailbox(octets):
    kept = to_mailbox(octets)
    if kept is octets and b"\r\n" in octets:
        return  # The file has the line ends of a mailbox already.
    assert to_file(kept) == octets


@given(st.binary(max_size=300))
def test_no_file_raises_anything_but_that_it_is_no_mbox(octets):
    read(BEGIN + octets)
    with contextlib.suppress(NotAnMbox):
        read(octets)
