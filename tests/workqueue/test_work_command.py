"""`modseq work` as people use it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from workqueue.test_queue import url_of

MODSEQ = (sys.executable, "-m", "modseq")


@pytest.fixture
def work(account, mailbox):
    def work(*words, url=None, **more):
        command = [*MODSEQ, "work", *words]
        command.insert(4 if words[0].startswith("-") else 5, url or url_of(account, mailbox))
        return subprocess.run(
            command,
            env=os.environ | {"MODSEQ_PASSWORD": account.password},
            capture_output=True,
            text=True,
            timeout=60,
            **more,
        )

    return work


@pytest.fixture
def fill(account, mailbox):
    with account.talk() as talk:
        talk.fill(6, mailbox)


def test_a_command_is_run_for_each_message(work, fill, tmp_path, mailbox):
    script = (
        f'cat > {tmp_path}/$MODSEQ_UID; test -z "$MODSEQ_PASSWORD" || exit 100; '
        f"echo $MODSEQ_MAILBOX $MODSEQ_ATTEMPT $MODSEQ_LAST_ATTEMPT >> {tmp_path}/all; "
        "test $MODSEQ_UID != 4 || exit 1"
    )
    options = ("--workers", "3", "--retries", "1", "--delay", "1s", "--dead", f"{mailbox}-dead", "--once")
    done = work("--run", script, *options)
    assert done.returncode == 0, done.stderr
    assert "5 done, 1 given up, 1 given back, 0 lost" in done.stderr
    assert all("X-Task" in (tmp_path / str(uid)).read_text() for uid in range(1, 7))
    lines = (tmp_path / "all").read_text().split("\n")
    assert sorted(lines) == ["", *[f"{mailbox} 1 0"] * 6, f"{mailbox} 2 1"]
    shown = work("status").stdout.split()
    assert shown[shown.index("done") + 1] == "5"
    assert work("claims").stdout == "Nothing is claimed.\n"
    assert work("requeue", "--dead", f"{mailbox}-dead").stdout == "1 message is work again.\n"
    assert work("requeue", "--done", "--uid", "1:2").stdout == "2 messages are work again.\n"
    shown = work("status").stdout.split()
    assert shown[shown.index("free") + 1] == "3"


def test_sigterm_lets_running_commands_finish_and_gives_the_rest_back(work, fill, account, mailbox, tmp_path):
    process = subprocess.Popen(
        [*MODSEQ, "work", url_of(account, mailbox), "--run", f"touch {tmp_path}/began; sleep 2"],
        env=os.environ | {"MODSEQ_PASSWORD": account.password},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "held" in work("claims", "--watch", "0.2").stdout
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert " done, 0 given up, " in said
    assert work("claims").stdout == "Nothing is claimed.\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--run", "true", "--lease", "soon"), 2, "is no duration"),
        (("--run", "true", "--lease", "1"), 2, "--lease"),
        (("--workers", "2"), 2, "Missing option '--run'"),
        (("requeue", "--done", "--dead", "x"), 2, "exclude"),
    ],
)
def test_wrong_usage(work, words, status, said):
    done = work(*words)
    assert done.returncode == status
    assert said in done.stderr


def test_what_the_server_refuses_is_one_sentence(work, account):
    done = work("--run", "true", url=url_of(account, "Nowhere"))
    assert done.returncode == 1
    assert done.stderr.startswith("modseq: ")
    assert "Nowhere" in done.stderr or "no such mailbox" in done.stderr
    assert done.stderr.count("\n") == 1
