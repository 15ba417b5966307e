"""
Messages a second of the work queue, on modseq and on Dovecot: worker processes empty a full mailbox.

    .venv/bin/python bench/work.py --messages 5000 --workers 8 --runs 3

Nothing is killed or cut here. A wasted attempt is a claim that was sent and not won, or a message begun twice.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from dovecot_server import DOVECOT_PASSWORD, dovecot
from wire_client import PASSWORD, USER
from wire_server import Running
from workqueue.crew import Account, Crew, run_crew


def measure(server: str, messages: int, workers: int, at_a_time: int):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        path.chmod(0o755)
        manager = Running(path) if server == "modseq" else dovecot(path)
        with manager as running:
            account = (
                Account(running.address, USER, PASSWORD)
                if server == "modseq"
                else Account((running.host, running.port), "ann", DOVECOT_PASSWORD)
            )
            with account.talk() as talk:
                talk.fill(messages)
            crew = Crew(path, account, workers=workers, at_a_time=at_a_time, lease=60, work_seconds=0, back_part=0)
            outcome = run_crew(crew, messages, seconds_max=900)
            return outcome, crew.work_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--at-a-time", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--server", choices=("modseq", "dovecot"), action="append")
    told = parser.parse_args()
    for server in told.server or ("modseq", "dovecot"):
        rates, wasted, doubled = [], [], []
        for _ in range(told.runs):
            outcome, seconds = measure(server, told.messages, told.workers, told.at_a_time)
            rates.append(told.messages / seconds)
            wasted.append(outcome.counts["asked"] - outcome.counts["won"] + outcome.begun - told.messages)
            doubled.append(outcome.counts["doubled"])
        print(
            f"{server}: {statistics.median(rates):,.0f} messages/s ({min(rates):,.0f} to {max(rates):,.0f}), "
            f"wasted attempts {statistics.median(wasted):,.0f}, won by two for a moment {max(doubled)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
