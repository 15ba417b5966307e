"""A running server and some letters for real clients."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients_support import PASSWORD, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    data, ready = tmp_path / "data", tmp_path / "ready.json"
    served = Served("127.0.0.1", 0, data)
    for user in ("ann", "ben"):
        served.modseq("user", "add", user, "--data", data, "--password-stdin", stdin=PASSWORD + "\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "modseq", "serve", "--data", str(data)),
            *("--imap", "127.0.0.1:0", "--allow-plaintext", "--ready-file", str(ready)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while not ready.exists():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server is not ready"
            time.sleep(0.05)
        listeners = json.loads(ready.read_text())["listeners"]
        served.port = next(each["port"] for each in listeners if each["protocol"] == "imap")
        yield served
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def mails() -> list[bytes]:
    return [
        b"From: ann@example.org\r\nTo: ben@example.org\r\nSubject: Letter %d\r\n"
        b"Date: Mon, 2 Nov 2026 10:%02d:00 +0100\r\nMessage-ID: <%d@example.org>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe %d\r\n" % (n, n, n, n)
        for n in range(1, 21)
    ]
