"""`serve` as a process: ready file, workers, restart, stop."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.talk import CLOSED, Conversation

PROGRAM = """
import sys
from modseq.server.auth import PasswordCost, hash_password
from modseq.server.settings import Settings, SettingsError
from modseq.server.supervisor import serve
from modseq.storage.memory import MemoryStore
import msgspec

async def open_store(settings):
    store = MemoryStore()
    await store.directory.add("alice", hash_password(b"secret", settings.password_cost))
    return store

try:
    sys.exit(serve(msgspec.json.decode(sys.argv[1], type=Settings), open_store))
except SettingsError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


class Process:
    """A running `serve`."""

    def __init__(self, folder, **settings):
        self.ready_file = Path(folder) / "ready.json"
        chosen = {
            "data": str(folder),
            "imap": ["127.0.0.1:0"],
            "allow_plaintext": True,
            "ready_file": str(self.ready_file),
            "password_passes": 1,
            "password_memory_kib": 8,
            "password_lanes": 1,
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(chosen)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self):
        deadline = time.monotonic() + 20
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.facts = json.loads(self.ready_file.read_text())
        return self

    def connect(self):
        listener = self.facts["listeners"][0]
        return socket.create_connection((listener["host"], listener["port"]), 10)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def start(tmp_path):
    with contextlib.ExitStack() as stack:

        def begin(**settings):
            running = Process(tmp_path, **settings)
            stack.callback(running.process.communicate)
            stack.callback(running.process.kill)
            return running

        yield begin


def _worker_of(talk, number):
    talk.captures.clear()
    peer = talk.peer(number)
    peer.send(b"i ID NIL\r\n")
    line = peer.read_response()
    assert peer.read_response().startswith("i OK")
    return line.split('"worker" ')[1].rstrip(")").strip('"')


def test_one_process_serves_and_stops(start, tmp_path):
    running = start(lmtp=[f"unix:{tmp_path}/lmtp.sock"]).wait_ready()
    listeners = running.facts["listeners"]
    assert [each["protocol"] for each in listeners] == ["imap", "lmtp"]
    assert listeners[0]["port"] > 0
    assert listeners[1]["path"] == f"{tmp_path}/lmtp.sock"
    with Conversation(running) as talk:
        talk.run("""
            C: a IDLE
            S: +
        """)
        status, out, _ = running.stop()
        assert talk.peer().read_response() == "* BYE The server stops"
        assert talk.peer().read_response() == CLOSED
    assert status == 0
    assert out.splitlines() == [f"imap 127.0.0.1:{listeners[0]['port']}", f"lmtp unix:{tmp_path}/lmtp.sock"]
    assert not running.ready_file.exists()
    assert not Path(f"{tmp_path}/lmtp.sock").exists()


def test_an_address_in_use_is_one_sentence(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = start(imap=[f"127.0.0.1:{taken.getsockname()[1]}"])
        _, err = running.process.communicate(timeout=20)
    assert running.process.returncode == 2
    assert err.startswith("cannot listen on 127.0.0.1:")
    assert len(err.splitlines()) == 1


def test_workers_share_the_port_and_ctrl_c_stops_them(start):
    running = start(workers=2).wait_ready()
    with Conversation(running) as talk:
        seen = {}
        for number in range(1, 60):
            seen.setdefault(_worker_of(talk, number), number)
            if len(seen) == 2:
                break
        assert set(seen) == {"1", "2"}
        status, _, err = running.stop(signal.SIGINT)
        for number in seen.values():
            assert talk.peer(number).read_response().startswith("* BYE")
    assert status == 0, err


def test_a_worker_that_dies_is_started_again(start):
    running = start(workers=2).wait_ready()
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while True:
        now = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        if len(now) == 2 and children[0] not in now:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    seen = set()
    while len(seen) < 2:
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError, AssertionError), Conversation(running) as talk:
            seen.add(_worker_of(talk, 1))
    status, _, err = running.stop()
    assert status == 0
    assert "died (SIGKILL)" in err


def test_workers_end_when_their_parent_is_killed(start):
    running = start(workers=2).wait_ready()
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    running.process.kill()
    running.process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_that_cannot_start_end_the_server(start):
    running = start(workers=2, password_memory_kib=1)
    running.process.communicate(timeout=20)
    assert running.process.returncode != 0


def test_log_lines_are_json_when_asked(start):
    running = start(log_format="json").wait_ready()
    with Conversation(running, login=False) as talk:
        talk.run("""
            C: a LOGIN alice hunter2
            S: a NO
        """)
    _, _, err = running.stop()
    lines = [json.loads(line) for line in err.splitlines()]
    (refused,) = [line for line in lines if line["text"] == "login refused"]
    assert refused["user"] == "alice"
    assert refused["address"] == "127.0.0.1"
    assert "hunter2" not in err
