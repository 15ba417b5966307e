"""The command line as people and scripts use it: words, help, exit statuses, one sentence for an error."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from modseq.cli.main import main, program
from modseq.cli.user import command as user_command


def modseq(*arguments, stdin=None):
    return CliRunner().invoke(program, [str(each) for each in arguments], input=stdin)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    added = modseq("user", "add", "alice", "--data", folder, "--password-stdin", stdin="secret\n")
    assert (added.exit_code, added.stdout) == (0, "Added alice.\n")
    return folder


def every_command():
    def walk(command, path):
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from walk(command.get_command(context, name), (*path, name))

    return list(walk(program, ()))


@pytest.mark.parametrize(
    ("path", "command"),
    every_command(),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_and_option_says_what_it_does(path, command):
    assert command.help, path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (path, parameter.name)
    shown = modseq(*path, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Usage: ")


def test_the_words_that_others_rely_on():
    names = {" ".join(path) for path, _ in every_command()}
    assert names >= {
        "serve",
        "demo",
        "import",
        "export",
        *(f"user {word}" for word in ("add", "remove", "list", "passwd")),
        *(f"mailbox {word}" for word in ("list", "create", "delete", "rename")),
        *(f"admin {word}" for word in ("check", "compact", "stats")),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["user", "add", "alice"],
        ["user", "add", "--data", "x"],
        ["mailbox", "list", "--data", "x"],
        ["import", "--data", "x", "--user", "alice"],
        ["import", "--data", "x", "--user", "alice", "/does/not/exist"],
        ["export", "--data", "x", "--user", "alice"],
        ["export", "--data", "x", "--user", "alice", "--to", "y", "--format", "zip"],
        ["serve"],
        ["serve", "--data", "x", "--imap", "nonsense"],
        ["serve", "--data", "x", "--workers", "0"],
        ["serve", "--data", "x", "--imaps", "127.0.0.1:0"],
        ["serve", "--data", "x", "--config", "/does/not/exist"],
        ["demo", "--imap", "nonsense"],
        ["admin", "check"],
    ],
)
def test_wrong_usage_has_exit_status_2(arguments):
    ended = modseq(*arguments)
    assert ended.exit_code == 2
    assert "Error: " in ended.stderr
    assert ended.stdout == ""


def test_users(data):
    assert modseq("user", "add", "bob", "--data", data, "--password-stdin", stdin="pw\r\nmore").exit_code == 0
    assert modseq("user", "list", "--data", data).stdout == "alice\nbob\n"
    again = modseq("user", "add", "bob", "--data", data, "--password-stdin", stdin="pw\n")
    assert (again.exit_code, again.stderr) == (1, "modseq: There is a user bob already\n")
    assert modseq("user", "passwd", "bob", "--data", data, "--password-stdin", stdin="other\n").exit_code == 0
    assert modseq("user", "remove", "bob", "--data", data).exit_code == 0
    assert modseq("user", "list", "--data", data).stdout == "alice\n"
    gone = modseq("user", "remove", "bob", "--data", data)
    assert (gone.exit_code, gone.stderr) == (1, "modseq: There is no user bob\n")
    unknown = modseq("user", "passwd", "bob", "--data", data, "--password-stdin", stdin="x\n")
    assert (unknown.exit_code, unknown.stderr) == (1, "modseq: there is no user bob\n")


@pytest.mark.parametrize("name", ["", " alice", "a\nb", "x" * 300])
def test_a_name_that_nobody_can_have(tmp_path, name):
    ended = modseq("user", "add", name, "--data", tmp_path / "d", "--password-stdin", stdin="pw\n")
    assert ended.exit_code == 2
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(("password", "sentence"), [("\n", "empty"), ("", "empty"), ("x" * 5000, "at most")])
def test_a_password_that_nobody_can_have(tmp_path, password, sentence):
    ended = modseq("user", "add", "bob", "--data", tmp_path / "d", "--password-stdin", stdin=password)
    assert ended.exit_code == 1
    assert sentence in ended.stderr


def test_without_a_terminal_the_password_must_come_from_standard_input(tmp_path):
    ended = modseq("user", "add", "bob", "--data", tmp_path / "d", stdin="secret\n")
    assert ended.exit_code == 2
    assert "--password-stdin" in ended.stderr


def test_on_a_terminal_the_password_is_asked_for_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "modseq.cli.user.sys", type("Sys", (), {"stdin": type("Tty", (), {"isatty": lambda: True})})
    )
    asked = CliRunner().invoke(
        user_command, ["add", "bob", "--data", str(tmp_path / "d")], input="one\ntwo\nsame\nsame\n"
    )
    assert asked.exit_code == 0, asked.output
    assert "one" not in asked.output
    assert "do not match" in asked.output


def test_removing_is_asked_for_on_a_terminal(data, monkeypatch):
    monkeypatch.setattr(
        "modseq.cli.user.sys", type("Sys", (), {"stdin": type("Tty", (), {"isatty": lambda: True})})
    )
    assert modseq("user", "remove", "alice", "--data", data, stdin="n\n").exit_code == 1
    assert modseq("user", "list", "--data", data).stdout == "alice\n"
    assert modseq("user", "remove", "alice", "--data", data, "--yes").exit_code == 0


def test_mailboxes(data):
    def mailbox(*arguments):
        return modseq("mailbox", *arguments, "--data", data, "--user", "alice")

    assert mailbox("create", "Lists/python").stdout == "Created Lists/python.\n"
    assert mailbox("create", "Post", "--special-use", "sent").exit_code == 0
    assert mailbox("rename", "Lists", "Groups").exit_code == 0
    lines = mailbox("list").stdout.splitlines()
    assert lines[0].split() == [
        "MAILBOX",
        "USE",
        "MESSAGES",
        "UNSEEN",
        "OCTETS",
        "UIDVALIDITY",
        "UIDNEXT",
        "HIGHESTMODSEQ",
    ]
    names = [line.split()[0] for line in lines[1:]]
    assert {"INBOX", "Groups", "Groups/python", "Post", "Sent", "Trash"} <= set(names)
    assert mailbox("delete", "Groups/python").exit_code == 0
    missing = mailbox("delete", "Groups/python")
    assert (missing.exit_code, missing.stderr) == (1, "modseq: There is no such mailbox\n")
    assert mailbox("create", "INBOX").exit_code == 1
    assert mailbox("delete", "INBOX").stderr == "modseq: INBOX cannot be deleted\n"


def test_a_user_or_a_store_that_is_not_there(data, tmp_path):
    ended = modseq("mailbox", "list", "--data", data, "--user", "nobody")
    assert (ended.exit_code, ended.stderr) == (1, "modseq: There is no user nobody\n")
    ended = modseq("user", "list", "--data", tmp_path / "nowhere")
    assert ended.exit_code == 1
    assert "does not exist" in ended.stderr
    assert modseq("admin", "check", "--data", data, "--user", "nobody").exit_code == 1


def test_admin(data):
    checked = modseq("admin", "check", "--data", data)
    assert (checked.exit_code, checked.stdout) == (0, "alice: in order\n")
    heading, row = modseq("admin", "stats", "--data", data).stdout.splitlines()
    assert heading.split()[:3] == ["USER", "MAILBOXES", "MESSAGES"]
    assert row.split()[:3] == ["alice", "6", "0"]
    assert modseq("admin", "compact", "--data", data, "--all").stdout.endswith("Freed 0 octets.\n")


def test_admin_check_names_what_is_wrong(data, tmp_path):
    file = tmp_path / "x.eml"
    file.write_bytes(b"Subject: x\n\nhello\n" * 50)
    assert modseq("import", "--data", data, "--user", "alice", file).exit_code == 0
    segment = max(
        (path for path in data.rglob("*.seg") if "bodies" in path.parts), key=lambda path: path.stat().st_size
    )
    os.truncate(segment, segment.stat().st_size - 10)
    checked = modseq("admin", "check", "--data", data)
    assert checked.exit_code == 1
    assert "alice: " in checked.stdout
    assert "segments: " in checked.stdout or "bodies: " in checked.stdout
    assert "problems in 1 accounts" in checked.stderr


def test_a_damaged_account_is_named_and_the_others_are_checked(data):
    assert modseq("user", "add", "bob", "--data", data, "--password-stdin", stdin="pw\n").exit_code == 0
    database = next(data.glob("accounts/1/*.sqlite"))
    with database.open("r+b") as file:
        file.write(b"x" * 200)
    checked = modseq("admin", "check", "--data", data)
    assert checked.exit_code == 1
    assert "alice: 1 problems" in checked.stdout
    assert "damaged" in checked.stdout
    assert "bob: in order" in checked.stdout
    refused = modseq("admin", "stats", "--data", data)
    assert refused.exit_code == 1
    assert "alice: " in refused.stderr


def test_an_unexpected_error_is_one_sentence_and_no_traceback(data, monkeypatch, capsys):
    def broken(*arguments, **options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("modseq.cli.user.store_at", broken)
    with pytest.raises(SystemExit) as ended:
        main(["user", "list", "--data", str(data)])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("modseq: this should not have happened: ZeroDivisionError")
    assert "Traceback" not in said


def test_output_into_a_closed_pipe_is_no_traceback(data):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    script = f"{sys.executable} -m modseq.cli.main user list --data {data}"
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{script} | true"], capture_output=True, env=environment, check=False, timeout=30
    )
    assert b"Traceback" not in ended.stderr
