"""Import and export: what went in comes out, octet by octet, flag by flag."""

import asyncio
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import mailgen
from modseq import limits
from modseq.cli import import_mail
from modseq.cli.mailstore import account_at
from modseq.cli.main import program
from modseq.mailfiles import mbox

CORPUS = Path(os.environ.get("MODSEQ_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


def modseq(*arguments, stdin=None):
    return CliRunner().invoke(program, [str(each) for each in arguments], input=stdin)


class Mail:
    """One user's mail on the command line."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        assert (
            modseq("user", "add", "alice", "--data", self.data, "--password-stdin", stdin="pw\n").exit_code
            == 0
        )

    def imports(self, *files, mailbox="INBOX", options=(), status=0):
        ended = modseq(
            "import", "--data", self.data, "--user", "alice", "--mailbox", mailbox, *options, *files
        )
        assert ended.exit_code == status, ended.output
        return ended

    def exports(self, target, *options, mailbox="INBOX", status=0):
        ended = modseq(
            "export", "--data", self.data, "--user", "alice", "--mailbox", mailbox, "--to", target, *options
        )
        assert ended.exit_code == status, ended.output
        return ended

    def stored(self, mailbox="INBOX"):
        """Return octets, flags, internal date and zone of each message."""

        async def work():
            async with account_at(self.data, "alice") as account:
                meta = account.listing().find(mailbox)
                state = await account.mailbox(meta.mailbox_id)
                found = []
                for row in await account.rows(meta.mailbox_id, list(state.index), ready=False):
                    flags = state.flag_table.names(state.message(row.uid).flags)
                    data = await account.read(row.email_id)
                    found.append((data, set(flags), row.received_at, row.received_zone))
                return found

        return asyncio.run(work())

    def check(self):
        assert modseq("admin", "check", "--data", self.data).stdout == "alice: in order\n"


@pytest.fixture
def mail(tmp_path):
    return Mail(tmp_path)


def without_senders(octets: bytes) -> bytes:
    return re.sub(rb"(?m)^From \S+ (?=\w{3} \w{3} [ \d]\d \d\d:)", b"From X ", octets)


def test_an_mbox_comes_back_octet_by_octet(mail, tmp_path):
    file = tmp_path / "in.mbox"
    generated = mailgen.write_mbox(file, mailgen.messages(500, seed=11))
    ended = mail.imports(file)
    assert re.match(r"Imported 500 messages \([\d.]+ MB\) into INBOX of alice in [\d.]+ s\.\n", ended.stdout)
    stored = mail.stored()
    assert [moment for _, _, moment, _ in stored] == [item.received_at for item in generated]
    for (data, _, _, _), item in zip(stored, generated, strict=True):
        assert data in (item.data, item.data + b"\r\n")
    mail.exports(tmp_path / "out.mbox")
    assert without_senders((tmp_path / "out.mbox").read_bytes()) == without_senders(file.read_bytes())
    mail.check()


def test_a_maildir_comes_back_with_flags_keywords_and_dates(mail, tmp_path):
    generated = mailgen.write_maildir(tmp_path / "in", mailgen.messages(300, seed=12))
    mail.imports(tmp_path / "in", mailbox="Old/2022")
    stored = mail.stored("Old/2022")
    assert [(data, flags, moment) for data, flags, moment, _ in stored] == [
        (item.data, set(item.flags), item.received_at) for item in generated
    ]
    mail.exports(tmp_path / "out", mailbox="Old/2022")
    again = Mail(tmp_path / "again")
    again.imports(tmp_path / "out")
    assert again.stored() == stored


def test_single_files_of_any_kind(mail, tmp_path):
    octets = [
        b"Subject: one\n\nFrom here\n>From there\n",
        b"Subject: two\r\n\r\nwith CR LF\r\n",
        b"Subject: three\n\nno line end",
        b"Subject: four\n\nNUL \0 and \xff\xfe\n",
        b"no header at all",
        b"\n\nbody only\n",
        b"Subject: mixed\n\none\r\ntwo\n\rthree\r\r\n",
    ]
    files = []
    for number, each in enumerate(octets):
        files.append(tmp_path / f"{number}.eml")
        files[-1].write_bytes(each)
    mail.imports(*files)
    mail.exports(tmp_path / "out")
    written = sorted((tmp_path / "out" / "cur").iterdir())
    assert [file.read_bytes() for file in written] == [
        each if b"two" not in each[:14] else each.replace(b"\r\n", b"\n") for each in octets
    ]
    mail.exports(tmp_path / "crlf", "--crlf")
    written = sorted((tmp_path / "crlf" / "cur").iterdir())
    assert written[1].read_bytes() == octets[1]


def test_several_sources_at_once_in_their_order(mail, tmp_path):
    mailgen.write_mbox(tmp_path / "a.mbox", mailgen.messages(3, seed=1))
    mailgen.write_maildir(tmp_path / "b", mailgen.messages(4, seed=2))
    (tmp_path / "c.eml").write_bytes(b"Subject: last\n\n")
    (tmp_path / "d.mbox").write_bytes(b"")
    ended = mail.imports(tmp_path / "a.mbox", tmp_path / "b", tmp_path / "c.eml", tmp_path / "d.mbox")
    assert ended.stdout.startswith("Imported 8 messages")
    assert mail.stored()[-1][0] == b"Subject: last\r\n\r\n"


def test_batches_take_one_number_each(mail, tmp_path):
    mailgen.write_mbox(tmp_path / "a.mbox", mailgen.messages(2 * limits.IMPORT_BATCH_MESSAGES_MAX + 1))
    mail.imports(tmp_path / "a.mbox")
    row = next(
        line
        for line in modseq("mailbox", "list", "--data", mail.data, "--user", "alice").stdout.splitlines()
        if line.startswith("INBOX")
    )
    assert row.split()[-1] == "4"


def test_an_import_that_was_stopped_goes_on(mail, tmp_path, monkeypatch):
    file = tmp_path / "a.mbox"
    mailgen.write_mbox(file, mailgen.messages(200, seed=13))
    intake = import_mail.intake
    seen = []

    async def stop_at_150(*arguments):
        seen.append(arguments)
        if len(seen) == 150:
            raise KeyboardInterrupt
        return await intake(*arguments)

    monkeypatch.setattr(import_mail, "intake", stop_at_150)
    stopped = mail.imports(file, status=1)
    assert "to go on there, add: --skip 128" in stopped.stderr
    assert len(mail.stored()) == 128
    monkeypatch.setattr(import_mail, "intake", intake)
    mail.imports(file, options=["--skip", "128"])
    whole = Mail(tmp_path / "whole")
    whole.imports(file)
    assert mail.stored() == whole.stored()


def test_a_message_too_large_is_left_out_and_named(mail, tmp_path, monkeypatch):
    monkeypatch.setattr(mbox, "APPEND_LITERAL_BYTES_MAX", 2_000)
    begin = b"From a Mon Jan  1 00:00:00 2024\n"
    file = tmp_path / "a.mbox"
    file.write_bytes(
        begin + b"a: b\n\none\n\n" + begin + b"a: b\n\n" + b"x" * 3_000 + b"\n\n" + begin + b"a: b\n\ntwo\n\n"
    )
    ended = mail.imports(file, status=1)
    assert f"{file}, message 2 is left out" in ended.stderr
    assert "1 messages were left out" in ended.stderr
    assert [data for data, _, _, _ in mail.stored()] == [b"a: b\r\n\r\none\r\n", b"a: b\r\n\r\ntwo\r\n"]


def test_too_many_keywords_do_not_stop_an_import(mail, tmp_path):
    begin = b"From a Mon Jan  1 00:00:00 2024\n"
    names = b" ".join(b"k%03d" % number for number in range(limits.KEYWORDS_PER_MAILBOX_MAX + 1))
    file = tmp_path / "a.mbox"
    file.write_bytes(begin + b"Status: R\nX-Keywords: " + names + b"\n\none\n\n")
    ended = mail.imports(file)
    assert "without their keywords" in ended.stderr
    assert mail.stored()[0][1] == {"\\Seen"}


@pytest.mark.parametrize("kind", ["empty directory", "no mail", "a folder of files"])
def test_a_directory_that_is_no_maildir(mail, tmp_path, kind):
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind == "a folder of files":
        (folder / "x.eml").write_bytes(b"a: b\n\n")
    ended = mail.imports(folder, status=1)
    assert "is a directory, but no Maildir" in ended.stderr


def test_folders_inside_a_maildir_are_named(mail, tmp_path):
    mailgen.write_maildir(tmp_path / "box", mailgen.messages(1))
    mailgen.write_maildir(tmp_path / "box" / ".Sent", mailgen.messages(2))
    assert "1 folders inside are not imported: .Sent" in mail.imports(tmp_path / "box").stderr
    mail.imports(tmp_path / "box" / ".Sent", mailbox="Sent")
    assert len(mail.stored("Sent")) == 2


def test_a_mailbox_that_is_missing_is_created_for_an_import_and_not_for_an_export(mail, tmp_path):
    (tmp_path / "x.eml").write_bytes(b"a: b\n\n")
    assert "Created the mailbox New/Box." in mail.imports(tmp_path / "x.eml", mailbox="New/Box").stderr
    ended = mail.exports(tmp_path / "out", mailbox="Nowhere", status=1)
    assert ended.stderr == "modseq: there is no mailbox 'Nowhere'\n"
    assert not (tmp_path / "out").exists()


def test_an_export_writes_over_nothing(mail, tmp_path):
    (tmp_path / "out.mbox").write_bytes(b"precious")
    assert "exists already" in mail.exports(tmp_path / "out.mbox", status=1).stderr
    assert (tmp_path / "out.mbox").read_bytes() == b"precious"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_bytes(b"precious")
    assert "exists already" in mail.exports(tmp_path / "out", status=1).stderr
    (tmp_path / "out" / "file").unlink()
    mail.exports(tmp_path / "out")


def test_an_empty_mailbox_gives_an_empty_file(mail, tmp_path):
    assert (
        mail.exports(tmp_path / "out.mbox").stdout
        == f"Exported 0 messages of INBOX to {tmp_path / 'out.mbox'}.\n"
    )
    assert (tmp_path / "out.mbox").read_bytes() == b""
    mail.exports(tmp_path / "as-mbox", "--format", "mbox")
    assert (tmp_path / "as-mbox").is_file()


def test_a_target_that_cannot_be_written_is_one_sentence(mail, tmp_path):
    ended = mail.exports(tmp_path / "no" / "such" / "out.mbox", status=1)
    assert ended.stderr.endswith("No such file or directory\n")
    assert ended.stderr.startswith("modseq: ")


def test_the_progress_bar_is_shown_when_asked_for(mail, tmp_path):
    mailgen.write_mbox(tmp_path / "a.mbox", mailgen.messages(5))
    assert "100%" in mail.imports(tmp_path / "a.mbox", options=["--progress"]).stderr
    assert "%" not in mail.imports(tmp_path / "a.mbox").stderr
    assert "100%" in mail.exports(tmp_path / "o.mbox", "--progress").stderr


@pytest.mark.skipif(not (CORPUS / "messages").is_dir(), reason="no corpus here")
def test_every_message_of_the_corpus_comes_back(mail, tmp_path):
    files = sorted((CORPUS / "messages").iterdir())
    mail.imports(*files)
    mail.exports(tmp_path / "out")
    written = sorted((tmp_path / "out" / "cur").iterdir())
    for file, back in zip(files, written, strict=True):
        octets = file.read_bytes()
        if mbox.is_separator(octets.split(b"\n")[0] + b"\n"):
            # Saved with the separator of an mbox, and so read as one.
            octets = octets.split(b"\n", 1)[1].removesuffix(b"\n")
        assert back.read_bytes() == octets, file.name
    mail.exports(tmp_path / "out.mbox")
    again = Mail(tmp_path / "again")
    again.imports(tmp_path / "out.mbox")
    for (data, _, moment, _), (back, _, moment_back, _) in zip(mail.stored(), again.stored(), strict=True):
        assert back in (data, data + b"\r\n")
        assert moment_back == moment
    mail.check()


@pytest.mark.skipif(not (CORPUS / "mbox").is_dir(), reason="no corpus here")
def test_every_mbox_of_the_corpus_comes_back(mail, tmp_path):
    for number, file in enumerate(sorted((CORPUS / "mbox").iterdir())):
        mail.imports(file, mailbox=f"box{number}")
        stored = mail.stored(f"box{number}")
        assert len(stored) == len(re.findall(rb"(?m)^From ", file.read_bytes()))
        mail.exports(tmp_path / f"{number}.mbox", mailbox=f"box{number}")
        mail.imports(tmp_path / f"{number}.mbox", mailbox=f"back{number}")
        for (data, _, moment, _), (back, _, moment_back, _) in zip(
            stored, mail.stored(f"back{number}"), strict=True
        ):
            # One written by a program that counts may end without a line end.
            assert back in (data, data + b"\r\n")
            assert moment_back == moment
