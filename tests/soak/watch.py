"""Measures the processes of a server from outside: memory, descriptors, threads; and how soon it answers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from soak.growth import Bound, grows, settled
from wire_client import Client
from wire_server import Running

BOUNDS = {
    "memory MB": Bound(4.0, 0.03),
    "descriptors": Bound(8),
    "threads": Bound(3),
    "log MB": Bound(32.0),
    "store MB": Bound(8.0),
    "noop ms": Bound(10.0, 1.0),
    "store ms": Bound(20.0, 1.0),
}
"""
What may rise over a run. Each connection to a database fills a cache of 2 MB, slowly; the write-ahead log's file
keeps the size of its longest moment, the store waits for the compaction that each round ends with; latency doubles and more when a neighbour works: only a steady rise counts.
"""


class Watch:
    """
    Samples of one server.

    Attributes:
        rows: name of what is measured, with its samples: `2 memory MB` of the second process.

    """

    def __init__(self, server: Running) -> None:
        self._server = server
        self.rows: dict[str, list[float]] = {}
        self.seconds: list[float] = []
        self._pids = [server.pid, *(server.worker_pids() if server.workers > 1 else [])]
        self._probe: Client | None = None
        self._begun = time.monotonic()

    def sample(self) -> None:
        """Take one sample of everything."""
        self.seconds.append(time.monotonic() - self._begun)
        for number, pid in enumerate(self._pids):
            name = "parent" if number == 0 and len(self._pids) > 1 else f"worker {max(1, number)}"
            self._add(f"{name} memory MB", _resident_megabytes(pid))
            self._add(f"{name} descriptors", len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208 -- no paths needed
            self._add(f"{name} threads", len(os.listdir(f"/proc/{pid}/task")))  # noqa: PTH208
        logs = sum(path.stat().st_size for path in self._server.data.rglob("*-wal"))
        self._add("log MB", logs / 1e6)
        self._add("store MB", sum(map(_octets, self._server.data.rglob("*"))) / 1e6 - logs / 1e6)
        self._ask()

    def _add(self, name: str, value: float) -> None:
        self.rows.setdefault(name, []).append(value)

    def _ask(self) -> None:
        """Measure commands of a session that does nothing else: the middle one of several."""
        if self._probe is None:
            self._probe = Client(self._server.address)
            self._probe.run("CREATE Probe")
            self._probe.run("APPEND Probe", literal=b"Subject: probe\r\n\r\n")
            self._probe.select("Probe")
        probe = self._probe
        noop = [_milliseconds(lambda: probe.run("NOOP")) for _ in range(3)]
        store = [
            _milliseconds(lambda mode=mode: probe.store([probe.model.known_uids[0]], mode, ["$P"]))
            for mode in "+-+"
        ]
        self._add("noop ms", statistics.median(noop))
        self._add("store ms", statistics.median(store))

    def close(self) -> None:
        if self._probe is not None:
            self._probe.close()

    # --- telling ---

    def growing(self) -> dict[str, bool | None]:
        """Return for each row whether it grows."""
        return {name: grows(values, _bound(name)) for name, values in self.rows.items()}

    def table(self) -> str:
        """Return all rows: at the beginning, behind the warm-up, in the end, the most, and the verdict."""
        lines = [f"{'':28}{'first':>9}{'settled':>9}{'last':>9}{'most':>9}  verdict"]
        for name, verdict in self.growing().items():
            values = self.rows[name]
            kept = settled(values)
            tenth = max(1, len(kept) // 10)
            shown = (values[0], _middle(kept[:tenth]), _middle(kept[-tenth:]), max(values))
            words = {True: "GROWS", False: "steady", None: "too short to tell"}[verdict]
            lines.append(f"{name:28}" + "".join(f"{value:9.1f}" for value in shown) + f"  {words}")
        return "\n".join(lines)


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def _bound(name: str) -> Bound:
    return next(bound for ending, bound in BOUNDS.items() if name.endswith(ending))


def _octets(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no Rss")


def _milliseconds(work) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000
