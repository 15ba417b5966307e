"""
A server in processes of its own, for tests that kill it or need several workers.

    with Running(tmp_path, workers=2) as server:
        server.address, server.lmtp_address
        server.kill()                  SIGKILL to every process at once
        server.start()                 again, on the same data
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from modseq.server.auth import PasswordCost, hash_password
from modseq.storage.sqlite.store import SqliteStore
from wire_client import PASSWORD, USER, Client, Gone, Ledger

START_SECONDS_MAX = 30.0
_MODSEQ = (sys.executable, "-m", "modseq")
_MODSEQ_SMALL = (
    sys.executable,
    "-c",
    """
from modseq import limits
from modseq.core import uidindex

uidindex.BLOCK_BITS, uidindex.BLOCK_UIDS = 4, 16
limits.LOG_ROWS_FOLD_MIN = 6
limits.LOG_ROWS_KEPT_MIN = 10
limits.LOG_CHANGES_IN_MEMORY_MAX = 20
limits.PALETTE_MASKS_UNUSED_MAX = 8
limits.FOLD_CHUNKS_PER_COMMIT = 2
limits.EXPUNGES_PER_BLOCK_MAX = 8
limits.WAL_PAGES_CHECKPOINT_MIN = 60
limits.SEGMENT_BYTES_MAX = 200_000
limits.HUGE_OPERATION_MESSAGES_MIN = 4
limits.ROWS_PER_COMMIT_MAX = 3

from modseq.cli.main import main

main()
""",
)
"""The program with bounds so low that little work crosses all of them: logs are folded, segments filled."""
_CHEAP = {"password_passes": 1, "password_memory_kib": 8, "password_lanes": 1}


class Running:
    """
    A server on a data directory with the user ann.

    Args:
        place: a directory of the test.
        small: with bounds so low that housekeeping never ends.
        settings: of the configuration file, beside the data directory and the addresses.

    """

    def __init__(self, place: Path, *, workers: int = 1, small: bool = False, **settings: object) -> None:
        self.data = place / "data"
        self._program = _MODSEQ_SMALL if small else _MODSEQ
        self._ready = place / "ready.json"
        self._config = place / "modseq.toml"
        self._log = place / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._compaction: subprocess.Popen[bytes] | None = None
        chosen = {
            "data": str(self.data),
            "imap": ["127.0.0.1:0"],
            "lmtp": ["127.0.0.1:0"],
            "ready_file": str(self._ready),
            "allow_plaintext": True,
            "workers": workers,
            **_CHEAP,
            **settings,
        }
        self._config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()))
        self.workers = workers
        self.address = self.lmtp_address = ("", 0)
        asyncio.run(self._add_user())

    async def _add_user(self) -> None:
        async with SqliteStore(self.data) as store:
            await store.directory.add(USER, hash_password(PASSWORD.encode(), PasswordCost(1, 8, 1)))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process that was started: the worker, or the parent of all workers."""
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """Return the processes that serve where there are several."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in children.split()]

    def start(self) -> None:
        """Start and wait until it serves."""
        self._ready.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._program, "serve", "--config", str(self._config)],
                stdout=log,
                stderr=log,
                # A group of its own, so that one signal reaches all its processes at the same moment.
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS_MAX
        while not self._ready.exists():
            assert self._process.poll() is None, f"the server ended: {self.log()}"
            assert time.monotonic() < until, f"the server is not ready: {self.log()}"
            time.sleep(0.01)
        for listener in json.loads(self._ready.read_text())["listeners"]:
            address = (listener["host"], listener["port"])
            if listener["protocol"] == "imap":
                self.address = address
            else:
                self.lmtp_address = address

    def kill(self) -> None:
        """Kill every process of the server, without warning."""
        if self._compaction is not None:
            self._compaction.kill()
            self._compaction.wait(20)
            self._compaction = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def stop(self) -> int:
        """Stop the server as an operator would; return its exit status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(30)
        self._process = None
        return status

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def client_of_worker(self, worker: str, *, mode: str = "qresync", ledger: Ledger | None = None) -> Client:
        """Return a session that this worker serves, connecting until the kernel picks it."""
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            with contextlib.suppress(Gone), contextlib.ExitStack() as unless_chosen:
                client = unless_chosen.enter_context(Client(self.address, mode=mode, ledger=ledger))
                if client.worker() == worker:
                    unless_chosen.pop_all()
                    return client
        raise AssertionError(f"worker {worker} is never met")

    def admin(self, *words: str) -> str:
        """Run `modseq admin`, which must find everything in order; return what it says."""
        command = [*self._program, "admin", *words, "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_compaction(self) -> None:
        """Begin to compact the store in a process that `kill` kills with the server's."""
        command = [*self._program, "admin", "compact", "--all", "--data", str(self.data)]
        with self._log.open("ab") as log:
            self._compaction = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
