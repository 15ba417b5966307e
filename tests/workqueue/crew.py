"""
A crew of worker processes on one queue, what befalls them, and the proof that each message had one worker at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from wire_client import Client
from workqueue.cutting import CuttingProxy

WORKER = Path(__file__).with_name("crew_worker.py")
OPEN = "UNKEYWORD $Done"


@dataclass
class Account:
    """Where the queue is, and whose."""

    address: tuple[str, int]
    user: str
    password: str

    def talk(self) -> Talk:
        return Talk(self)


class Talk:
    """A raw connection, logged in, with the queue selected."""

    def __init__(self, account: Account) -> None:
        self._socket = socket.create_connection(account.address, 20)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self.run(f'LOGIN {account.user} "{account.password}"')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._socket.close()

    def run(self, command: str) -> list[bytes]:
        self._socket.sendall(f"t {command}\r\n".encode())
        return self._reply(b"t ")

    def _reply(self, tag: bytes) -> list[bytes]:
        lines = []
        while not (line := self._file.readline()).startswith(tag):
            if not line:
                raise ConnectionError("closed")
            lines.append(line)
        assert line.startswith(tag + b"OK"), line
        return lines

    def search(self, criteria: str) -> list[int]:
        lines = self.run(f"UID SEARCH {criteria}")
        found = [line for line in lines if line.upper().startswith(b"* SEARCH")]
        return [int(word) for line in found for word in line.split()[2:] if word.isdigit()]

    def fill(self, count: int, mailbox: str = "INBOX") -> None:
        """Append so many small messages, many at a time."""
        for start in range(0, count, 50):
            numbers = range(start, min(start + 50, count))
            octets = b""
            for number in numbers:
                body = b"From: a@example.org\r\nSubject: task %d\r\nX-Task: %d\r\n\r\nDo it.\r\n" % (
                    number,
                    number,
                )
                octets += b"f%d APPEND %b {%d+}\r\n%b\r\n" % (number, mailbox.encode(), len(body), body)
            self._socket.sendall(octets)
            for number in numbers:
                self._reply(b"f%d " % number)


@dataclass
class Outcome:
    """What a crew came to."""

    seconds: float = 0.0
    kills: int = 0
    cuts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    restarts: int = 0
    begun: int = 0
    counts: Counter[str] = field(default_factory=Counter)


class Crew:
    """
    Worker processes.

    Args:
        place: a directory of the test.
        account: the queue.
        workers: processes.
        at_a_time: messages that each works at.
        queue: arguments of Queue.

    """

    def __init__(
        self,
        place: Path,
        account: Account,
        *,
        workers: int = 8,
        at_a_time: int = 2,
        lease: float = 3.0,
        work_seconds: float = 0.004,
        slow_part: float = 0.0,
        slow_seconds: float = 0.0,
        back_part: float = 0.01,
        seed: int = 1,
        **queue: object,
    ) -> None:
        self.account = account
        self.notes = place / "notes"
        self.picks = random.Random(seed)
        self.proxy: CuttingProxy | None = None
        self._errors = place / "errors"
        self._told = {
            "password": account.password,
            "notes": str(self.notes),
            "at_a_time": at_a_time,
            "work_seconds": work_seconds,
            "slow_part": slow_part,
            "slow_seconds": slow_seconds,
            "back_part": back_part,
            "seconds": 10,
            "queue": {"lease": lease, "retries": 9, "poll": 1.0, **queue},
        }
        self._workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._killed: dict[int, float] = {}
        self.outcome = Outcome()

    def start(self) -> None:
        for _ in range(self._workers):
            self._start_one()

    def _start_one(self) -> None:
        host, port = self.proxy.address if self.proxy is not None else self.account.address
        told = self._told | {"url": f"imap+insecure://{self.account.user}@{host}:{port}/INBOX"}
        with self._errors.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(told)], stderr=errors, stdout=errors
            )
        self._processes.append(process)

    def kill_one(self) -> None:
        """Kill a worker without warning, and start another."""
        process = self.picks.choice(self._processes)
        self._killed[process.pid] = time.monotonic()
        process.kill()
        process.wait(20)
        self._processes.remove(process)
        self.outcome.kills += 1
        self._start_one()

    def stop(self) -> None:
        """Ask all to finish and leave; they must."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            status = process.wait(40)
            # One that was started a moment ago may not listen to signals yet.
            is_new = f" {process.pid} ready " not in self.notes.read_text()
            assert status == 0 or (status == -signal.SIGTERM and is_new), (status, self.errors())
        self._processes.clear()

    def kill_all(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(20)
        self._processes.clear()

    def errors(self) -> str:
        return self._errors.read_text("utf-8", "replace")[-4000:]

    def notes_of(self, fetched: list[bytes]) -> list[str]:
        """Return what was noted of messages, and by which processes that are still there."""
        uids = {line.partition(b"UID ")[2].split()[0].decode() for line in fetched if b"UID " in line}
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        alive = [process.pid for process in self._processes]
        return [" ".join(line) for line in lines if line[3] in uids] + [
            f"alive: {alive}, now {time.monotonic()}"
        ]

    def work_seconds(self) -> float:
        """Return how long it took from the first message begun to the last acknowledged."""
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        moments = {
            what: [float(moment) for moment, _, each, _ in lines if each == what]
            for what in ("begin", "done")
        }
        return max(moments["done"]) - min(moments["begin"])

    # --- proof ---

    def check(self, count: int) -> Outcome:
        """Assert that every message was done and none was with two at the same time."""
        spans: dict[int, list[tuple[float, float, str]]] = defaultdict(list)
        begun: dict[tuple[str, str], float] = {}
        ended: set[str] = set()
        for line in self.notes.read_text().splitlines():
            moment, pid, what, uid = line.split()
            if what.startswith("tally:"):
                self.outcome.counts += Counter(
                    dict(
                        zip(
                            ("asked", "won", "refused", "doubled", "reconnects"),
                            map(int, what[6:].split(",")),
                            strict=True,
                        )
                    )
                )
            elif what == "ready":
                continue
            elif what == "begin":
                assert (pid, uid) not in begun, "one worker was given one message twice at a time"
                begun[pid, uid] = float(moment)
                self.outcome.begun += 1
            elif what in ("worked", "lost", "back"):
                spans[int(uid)].append((begun.pop((pid, uid)), float(moment), pid))
            self.outcome.counts[what.partition(":")[0]] += 1
            if what == "done":
                assert uid not in ended, f"UID {uid} was acknowledged twice"
                ended.add(uid)
        for (pid, uid), moment in begun.items():
            spans[int(uid)].append((moment, self._killed[int(pid)], pid))
        assert len(spans) == count, f"{count - len(spans)} messages were never begun"
        for uid, each in spans.items():
            each.sort()
            for (_, end, first), (start, _, second) in itertools.pairwise(each):
                assert start >= end, f"UID {uid} was with {first} until {end}, and with {second} from {start}"
        return self.outcome


def open_count(account: Account) -> int:
    with account.talk() as talk:
        talk.run("EXAMINE INBOX")
        return len(talk.search(OPEN))


def left(account: Account) -> list[bytes]:
    """Return what is still to be done, with its flags."""
    with account.talk() as talk:
        talk.run("EXAMINE INBOX")
        uids = talk.search(OPEN)
        return talk.run(f"UID FETCH {','.join(map(str, uids))} (FLAGS MODSEQ)") if uids else []


def run_crew(
    crew: Crew,
    count: int,
    *,
    kill_every: float | None = None,
    cut=None,
    restart=None,
    restart_every: float = 5.0,
    noise: bool = False,
    trouble_seconds: float = float("inf"),
    seconds_max: float = 90.0,
) -> Outcome:
    """
    Have a crew work a full mailbox off while things happen to it; prove what must hold.

    Args:
        trouble_seconds: how long workers are killed, connections cut and the server killed; what is left then
            is done in peace.
    """
    begun = time.monotonic()
    peace = begun + trouble_seconds
    until = begun + seconds_max
    next_kill = begun + (kill_every or 0)
    next_restart = begun + restart_every
    next_count = begun
    over = threading.Event()

    def in_time():
        return cut() if cut is not None and time.monotonic() < peace else None

    with contextlib.ExitStack() as stack:
        if cut is not None or restart is not None:
            crew.proxy = stack.enter_context(CuttingProxy(crew.account.address, in_time))
        if noise:
            thread = threading.Thread(target=_make_noise, args=(crew.account, count, over), daemon=True)
            thread.start()
            stack.callback(thread.join, 10)
        stack.callback(over.set)
        stack.callback(crew.kill_all)
        crew.start()
        while True:
            time.sleep(0.02)
            now = time.monotonic()
            assert now < until, (left(crew.account), crew.notes_of(left(crew.account)), crew.errors()[-1000:])
            if kill_every is not None and next_kill <= now < peace:
                crew.kill_one()
                next_kill = now + kill_every * (0.5 + crew.picks.random())
            if restart is not None and next_restart <= now < peace:
                crew.account.address = restart()
                crew.proxy.upstream = crew.account.address
                crew.outcome.restarts += 1
                next_restart = time.monotonic() + restart_every
            if now >= next_count:
                if open_count(crew.account) == 0:
                    break
                next_count = now + 0.1
        crew.outcome.seconds = time.monotonic() - begun
        if crew.proxy is not None:
            crew.proxy.cut = lambda: None
            crew.outcome.cuts = crew.proxy.cuts
        over.set()
        _wait_until_clear(crew.account, time.monotonic() + 20)
        crew.stop()
    return crew.check(count)


def _wait_until_clear(account: Account, until: float) -> None:
    """Wait until nothing of any claim is left, also of those who were killed."""
    while True:
        with account.talk() as talk:
            talk.run("EXAMINE INBOX")
            left = talk.search("KEYWORD $Claimed")
        if not left:
            return
        assert time.monotonic() < until, f"claims are left: {left[:20]}"
        time.sleep(0.2)


def _make_noise(account: Account, count: int, over: threading.Event) -> None:
    """Another program: reads, flags and marks messages as it likes."""
    picks = random.Random(7)
    while not over.is_set():
        try:
            with account.talk() as talk:
                talk.run("SELECT INBOX")
                while not over.is_set():
                    uid = picks.randint(1, count)
                    flag = picks.choice(["\\Seen", "\\Answered", "$Junk", "\\Draft"])
                    talk.run(f"UID STORE {uid} {picks.choice('+-')}FLAGS.SILENT ({flag})")
                    time.sleep(0.001)
        except (OSError, AssertionError):
            time.sleep(0.05)


__all__ = ["Account", "Client", "Crew", "Outcome", "run_crew"]
