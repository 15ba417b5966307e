"""
Let clients of several kinds use a server for as long as asked, and watch whether anything of it grows.

    python -m soak.run --seconds 600 [--workers 2] [--every 2] [--real-bounds]

Prints a table of memory, descriptors, threads and latency; exit status 1 if something grows steadily, or if
a client was told something wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from soak.clients import KINDS
from soak.watch import Watch
from wire_client import Client
from wire_load import Crowd, Journal
from wire_server import Running

EXPUNGES_KEPT_MAX = 2_000
"""What a mailbox remembers of expunged messages grows with good reason, unless the operator bounds it."""

ROUND_SECONDS = 60.0
"""After so long the clients are replaced by others: they remember all that they were told."""


@dataclass
class Report:
    """
    How a soak ended.

    Attributes:
        growing: what grows.
        rounds: how often the clients were replaced.

    """

    table: str
    growing: list[str]
    samples: int
    rounds: int
    stop_status: int
    log: str


def soak(
    place: Path,
    seconds: float,
    *,
    workers: int = 2,
    every: float = 2.0,
    real_bounds: bool = False,
    server: Running | None = None,
) -> Report:
    """
    Run a soak; raises what a client found wrong.

    Args:
        real_bounds: with the bounds of production. The changes that a process keeps in memory then take
            some ten thousand commands to reach theirs, and memory grows for so long with good reason.
        server: one of your own, not started.

    """
    if server is None:
        server = Running(place, workers=workers, small=not real_bounds, expunges_kept_max=EXPUNGES_KEPT_MAX)
    with server as running:
        with Client(running.address) as client:
            client.run("CREATE Other")
        watch = Watch(running)
        end = time.monotonic() + seconds
        rounds = 0
        try:
            while time.monotonic() < end:
                rounds += 1
                _round(running, watch, rounds, min(end, time.monotonic() + ROUND_SECONDS), every)
        finally:
            watch.close()
        growing = [name for name, verdict in watch.growing().items() if verdict]
        status = running.stop()
        running.admin("check")
        return Report(watch.table(), growing, len(watch.seconds), rounds, status, running.log())


def _round(server: Running, watch: Watch, number: int, until: float, every: float) -> None:
    journal = Journal()
    crowd = Crowd()
    for name, (count, kind) in KINDS.items():
        for each in range(count):
            picks = random.Random(f"{name} {each} {number}")
            crowd.add(lambda is_over, kind=kind, picks=picks: kind(server, journal, picks, is_over))
    crowd.start()
    try:
        while time.monotonic() < until and not crowd.failures:
            watch.sample()
            time.sleep(every)
    finally:
        crowd.end()
    # What was expunged gives its room back, as an operator has it done at night.
    server.admin("compact", "--all")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soak.run", description="Use a server and watch it.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two samples")
    parser.add_argument("--real-bounds", action="store_true", help="of production; caches then fill for long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        report = soak(
            Path(place),
            options.seconds,
            workers=options.workers,
            every=options.every,
            real_bounds=options.real_bounds,
        )
    print(report.table)
    print(f"{options.seconds:.0f} s, {report.samples} samples, clients replaced {report.rounds - 1} times.")
    if "Traceback" in report.log:
        print(report.log, file=sys.stderr)
    for name in report.growing:
        print(f"{name} grows steadily", file=sys.stderr)
    return 1 if report.growing or report.stop_status or "Traceback" in report.log else 0


if __name__ == "__main__":
    sys.exit(main())
