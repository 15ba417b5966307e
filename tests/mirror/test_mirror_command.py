"""`modseq mirror` as people use it."""

import contextlib
import signal
import ssl
import subprocess
import sys
import time

import pytest
import trustme
from click.testing import CliRunner

from mirror_net import PASSWORD, USER, Other, account, mirrored
from mirror_support import fill, mail
from modseq.cli.main import program
from modseq.cli.mirror.support import uids_from
from modseq.cli.remote import is_loopback
from modseq.core.numset import NumSet
from modseq.mailfiles.source import find_source
from modseq.mirror.outbox import Outbox
from modseq.mirror.replica import Replica
from server.serving import serving
from workqueue.cutting import Cut, CuttingProxy
from workqueue.kinds import REPLY

MODSEQ = [sys.executable, "-m", "modseq", "mirror"]


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        with Other(server.address) as other:
            for n in range(1, 6):
                other.append("INBOX", mail(f"letter {n}", f"body number {n}"), "\\Seen" if n % 2 else "$work")
            other.do("create", "Lists/python")
            other.append("Lists/python", mail("a patch"))
        yield server


@pytest.fixture
def url(server):
    return f"imap://{USER}@{server.address[0]}:{server.address[1]}/"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "m.sqlite"


def mirror(*words, stdin="", status=0, environment=None):
    """Run a sub-command inside this process: a process for each would cost a second of imports."""
    ended = CliRunner().invoke(
        program,
        ["mirror", *map(str, words)],
        input=stdin,
        env={"MODSEQ_PASSWORD": None, **(environment or {})},
    )
    assert ended.exit_code == status, (ended.output, ended.exception)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def test_it_runs_as_a_process(tmp_path):
    command = [*MODSEQ, "status", str(tmp_path / "none.sqlite")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr == f"modseq: there is no mirror at {tmp_path / 'none.sqlite'}\n"
    shown = subprocess.run([*MODSEQ, "--help"], capture_output=True, text=True, timeout=60).stdout
    assert "imaps://ann@mail.example/ --to mail.sqlite" in shown


def test_copy_look_edit_and_push(server, url, file, tmp_path):
    done = mirror(url, "--to", file, "--bodies", "all", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert "INBOX: 5 new, 0 changed, 0 gone\n" in done.stdout
    assert done.stdout.endswith("3 mailboxes, 0 unchanged, 6 messages.\n")
    with Replica(file) as replica:
        assert mirrored(replica) == account(server.address)
        fill(replica, "Elsewhere", {})
    secret = {"MODSEQ_PASSWORD": PASSWORD}
    mirror("flag", file, "INBOX", "1,2", "--add", "\\Flagged", "--remove", "$work")
    mirror("move", file, "inbox", 3, "Lists/python")
    mirror("delete", file, "INBOX", 4)
    mirror("append", file, "INBOX", "-", "--flag", "\\Draft", stdin="Subject: mine\n\nhello\n")
    assert "5 waiting, 0 in conflict" in mirror("status", file, "--check").stdout
    assert mirror("undo", file, 1).stdout == "Forgot edit 1: flags +\\Flagged.\n"
    # Somebody flags the message that was deleted here.
    with Other(server.address) as other:
        other.store("INBOX", "4", "+FLAGS (\\Flagged)")
    done = mirror("push", file, status=1, environment=secret)
    assert "pushed: INBOX 2: flags +\\Flagged -$work\n" in done.stdout
    assert "1 edit met a conflict" in done.stderr
    done = mirror("conflicts", file, status=1)
    assert (
        "INBOX 4 (letter 4): somebody changed the message since\n    mine    delete (with $work"
        in done.stdout
    )
    assert "    theirs  $work \\Flagged, mod-sequence " in done.stdout
    number = done.stdout.split()[1].rstrip(":")
    assert mirror("resolve", file, number, status=2).stderr.endswith("Say --mine or --theirs.\n")
    mirror("resolve", file, number, "--mine")
    mirror("push", file, environment=secret)
    assert mirror("conflicts", file).stdout == "No conflicts.\n"
    with Replica(file) as replica:
        assert mirrored(replica) == account(server.address)
        assert sorted(mirrored(replica)["INBOX"]) == [1, 2, 5, 6]
    assert "mine" in mirror("list", file).stdout
    found = mirror("search", file, "body number", "--flag", "\\Flagged", "--since", "2026-11-01").stdout
    assert [line.split()[1] for line in found.splitlines()[1:]] == ["2"]
    assert mirror("search", file, "nowhere", status=1).stderr == "modseq: nothing was found\n"
    assert mirror("show", file, "INBOX", 6).stdout == "Subject: mine\n\nhello\n"
    done = mirror("export", file, "--to", tmp_path / "out")
    assert done.stdout == f"Exported 6 messages of 3 mailboxes to {tmp_path / 'out'}.\n"
    assert len(list(find_source(tmp_path / "out").messages())) == 4
    assert len(list(find_source(tmp_path / "out" / ".Lists.python").messages())) == 2
    done = mirror("export", file, "--to", tmp_path / "lists.mbox", "--mailbox", "Lists/*")
    assert len(list(find_source(tmp_path / "lists.mbox").messages())) == 2
    assert "exists already" in mirror("export", file, "--to", tmp_path / "out", status=1).stderr
    mirror("export", file, "--to", tmp_path / "boxes", "--format", "mbox")
    assert sorted(each.name for each in (tmp_path / "boxes").iterdir()) == [
        "INBOX.mbox",
        "Lists.mbox",
        "Lists.python.mbox",
    ]


def test_only_some_mailboxes_and_no_bodies(url, file, tmp_path):
    secret = {"MODSEQ_PASSWORD": PASSWORD}
    mirror("sync", url, "--to", file, "--mailbox", "Lists/*", environment=secret)
    with Replica(file) as replica:
        assert [row.name for row in replica.mailboxes()] == ["Lists/python"]
    done = mirror("export", file, "--to", tmp_path / "x.mbox", status=1)
    assert "have no body in the mirror" in done.stderr
    mirror("export", file, "--to", tmp_path / "x.mbox", "--skip-missing")
    assert "only their headers were searched" in mirror("search", file, "patch").stderr
    assert mirror("show", file, "Lists/python", 1, status=1).stderr.startswith(
        "modseq: the mirror does not have"
    )
    # One body on demand.
    assert mirror("fetch", file, "Lists/python", 1, environment=secret).stdout == "Fetched 1 body.\n"
    assert "Subject: a patch" in mirror("show", file, "Lists/python", 1).stdout
    assert mirror("fetch", file, "Lists/python", 1, environment=secret).stdout == "Fetched 0 bodies.\n"
    with Replica(file) as replica:
        replica.execute("UPDATE mailbox SET uid_validity = 1")
        replica.execute("UPDATE message SET content_id = NULL")
    assert "was made anew" in mirror("fetch", file, "Lists/python", 1, environment=secret, status=1).stderr
    # What was wanted is kept in the file.
    mirror(url, "--to", file, environment=secret)
    with Replica(file) as replica:
        assert [row.name for row in replica.mailboxes()] == ["Lists/python"]


def test_wrong_usage_is_one_clear_sentence(file, url, tmp_path):
    for words, sentence in (
        (("imap://ann@mail.example/", "--to", file), "in the clear"),
        (("imaps://ann@mail.example/", "--to", file, "--insecure"), "go with imap://"),
        (("imaps://mail.example/", "--to", file), "names no user"),
        (("imaps://ann:secret@mail.example/", "--to", file), "would be seen by others"),
        (("gopher://ann@mail.example/", "--to", file), "is no address"),
        ((url, "--to", file, "--poll", "3"), "--poll goes with --watch"),
        ((url, "--to", file), "No password"),
        ((url,), "Missing option '--to'"),
        (("nonsense",), "No such command"),
        (("search", file, "--since", "yesterday"), "is no date"),
        (("search", file, "--header", "x"), "NAME:TEXT is wanted"),
        (("flag", file, "INBOX", "1"), "Nothing to do"),
    ):
        assert sentence in mirror(*words, status=2).stderr
    for words, sentence in (
        (("status", file), "there is no mirror at"),
        (("push", file), "there is no mirror at"),
        ((url, "--to", file, "--password-stdin"), "the password is empty"),
    ):
        assert sentence in mirror(*words, status=1).stderr
    wrong = mirror(url, "--to", file, "--password-stdin", stdin="wrong\n", status=1).stderr
    assert wrong.startswith("modseq: the server refuses the login: ")
    assert wrong.count("\n") == 1
    done = mirror(
        "imaps://ann@127.0.0.1:1/", "--to", tmp_path / "o", "--password-stdin", stdin="x\n", status=1
    )
    assert done.stderr.count("\n") == 1
    other = mirror("imap://ben@127.0.0.1:1/", "--to", file, "--password-stdin", stdin="x\n", status=1).stderr
    assert "is the mirror of imap://alice@" in other


def test_a_connection_that_is_cut_says_what_to_do(server, file):
    cuts = iter([Cut(REPLY, octets=2_000)])
    with CuttingProxy(server.address, cut=lambda: next(cuts, None)) as proxy:
        words = (f"imap://{USER}@127.0.0.1:{proxy.address[1]}/", "--to", file, "--password-stdin")
        cut = mirror(*words, stdin=f"{PASSWORD}\n", status=1).stderr
        assert "; run the command again, it goes on from where it was\n" in cut
        assert cut.count("\n") == 1
        assert "6 messages" in mirror(*words, stdin=f"{PASSWORD}\n").stdout


def test_an_empty_mirror_has_nothing_to_show(file, tmp_path):
    with Replica(file, create=True):
        pass
    assert "account  none yet" in mirror("status", file).stdout
    assert mirror("outbox", file).stdout == "Nothing waits.\n"
    assert "no account yet" in mirror("push", file, status=1).stderr
    assert "no mailbox yet" in mirror("export", file, "--to", tmp_path / "x", status=1).stderr
    assert "no mailbox 'INBOX'" in mirror("list", file, status=1).stderr


def test_a_doubtful_copy_is_told(file):
    with Replica(file, create=True) as replica:
        box = fill(replica, "INBOX", {1: (mail("a"), "")})
        replica.doubt(box.mailbox_id, "the server counts 3 messages and tells of 2")
    done = mirror("status", file, status=1)
    assert "INBOX    doubtful" in done.stdout
    assert done.stderr == "modseq: INBOX may not be right: the server counts 3 messages and tells of 2\n"


@contextlib.contextmanager
def watching(*words):
    process = subprocess.Popen(
        [*MODSEQ, *map(str, words), "--watch", "--password-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        yield process
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Traceback" not in err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_until(condition):
    until = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_watching_stays_current_and_pushes_what_others_edit(tmp_path):
    file = tmp_path / "m.sqlite"
    with serving() as server, Other(server.address) as other:
        other.append("INBOX", mail("first"))
        other.do("create", "Quiet")
        url = f"imap://{USER}@{server.address[0]}:{server.address[1]}/"
        with watching(url, "--to", file, "--poll", "2"):
            wait_until(file.exists)
            with Replica(file, create=True) as replica:
                same = lambda: mirrored(replica) == account(server.address)
                wait_until(lambda: replica.settings().synced_at)
                other.append("INBOX", mail("second"))
                wait_until(same)
                other.store("INBOX", "1", "+FLAGS (\\Flagged)")
                wait_until(same)
                other.append("Quiet", mail("found by the poll"))
                wait_until(same)
                Outbox(replica).change_flags(replica.mailbox("INBOX"), 2, add=["$mine"])
                wait_until(lambda: account(server.address)["INBOX"][2][0] == "$mine")
                wait_until(same)


def test_tls_is_verified(file, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    secret = {"MODSEQ_PASSWORD": PASSWORD}
    with serving(tls=context) as server:
        secure = f"imaps://{USER}@127.0.0.1:{server.secure_address[1]}/"
        plain = f"imap://{USER}@127.0.0.1:{server.address[1]}/"
        mirror(secure, "--to", file, "--ca", tmp_path / "ca.pem", environment=secret)
        mirror("push", file, "--ca", tmp_path / "ca.pem", environment=secret)
        assert "certificate" in mirror(secure, "--to", file, environment=secret, status=1).stderr.lower()
        other = tmp_path / "other.sqlite"
        mirror(plain, "--to", other, "--starttls", "--ca", tmp_path / "ca.pem", environment=secret)
        assert (
            "certificate"
            in mirror(plain, "--to", other, "--starttls", environment=secret, status=1).stderr.lower()
        )


def test_sets_that_people_write():
    import click

    assert uids_from("7") == NumSet([7])
    assert uids_from("3,9:5") == NumSet([3, 5, 6, 7, 8, 9])
    for text in ("", "x", "0", "1:", ",", "1:*", "4294967296", "-1"):
        with pytest.raises(click.BadParameter):
            uids_from(text)


def test_what_counts_as_this_machine():
    assert all(map(is_loopback, ("localhost", "127.0.0.9", "::1", "LOCALHOST.")))
    assert not any(
        map(is_loopback, ("mail.example", "10.0.0.1", "localhost.evil.example", "127.0.0.1.example"))
    )
