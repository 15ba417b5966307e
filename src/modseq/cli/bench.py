"""`modseq bench`: how fast is it, here, beside another server?"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from functools import partial
from pathlib import Path

import click

from modseq import clock
from modseq.bench import peers as servers
from modseq.bench.connection import BenchFailed
from modseq.bench.ground import Sizes
from modseq.bench.peers import Peer, Start
from modseq.bench.report import Row, as_json, grounds, machine, measure, table
from modseq.bench.workloads import workloads
from modseq.cli.output import fail, progress, run, say

_MESSAGES_MAX = 4_000_000


def _names() -> list[str]:
    return sorted({each.name for each in workloads((1000, 1000, 1000))})


@click.command("bench")
@click.option(
    "--peer",
    "peers",
    metavar="dovecot|HOST:PORT",
    multiple=True,
    help="Measure this server too, in turn with modseq: Dovecot, if it is installed, started with a"
    " configuration of its own; or one that runs, with a user bench whose password is bench.",
)
@click.option("--only", metavar="NAME", multiple=True, help=f"Only these workloads: {', '.join(_names())}.")
@click.option(
    "--runs", metavar="N", type=click.IntRange(1), default=5, show_default=True, help="Counted runs."
)
@click.option(
    "--seconds",
    metavar="S",
    type=click.FloatRange(0.01),
    default=2.0,
    show_default=True,
    help="Length of a run that counts operations.",
)
@click.option(
    "--messages",
    metavar="SMALL,MEDIUM,LARGE",
    default="1000,100000,1000000",
    show_default=True,
    help="Messages of the three mailboxes.",
)
@click.option(
    "--workers", metavar="N", type=click.IntRange(1), default=1, help="Processes of modseq. [default: 1]"
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="A folder on the disk to measure; a temporary one is made in it.",
)
@click.option(
    "--dovecot-format",
    type=click.Choice(("mdbox", "sdbox", "maildir")),
    default="mdbox",
    show_default=True,
    help="How Dovecot stores mail.",
)
@click.option(
    "--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write all figures here."
)
def command(  # noqa: PLR0917 -- click's way to give options
    peers: tuple[str, ...],
    only: tuple[str, ...],
    runs: int,
    seconds: float,
    messages: str,
    workers: int,
    data: Path | None,
    dovecot_format: str,
    json_file: Path | None,
) -> None:
    """
    Measure modseq, and other servers beside it, as their clients see them.

    Each server starts on an empty store and keeps what it acknowledges: sync is on. Workloads run on all
    servers in turn; the table gives medians with the lowest and highest, and the ratio run by run. The whole
    takes a quarter of an hour with the mailboxes of the default sizes.
    """
    sizes = _sizes(messages, seconds)
    chosen = [
        each for each in workloads((sizes.small, sizes.medium, sizes.large)) if not only or each.name in only
    ]
    for name in only:
        if name not in _names():
            raise click.UsageError(f"There is no workload {name}; there are {', '.join(_names())}.")
    with tempfile.TemporaryDirectory(dir=data, prefix="modseq-bench-") as folder:
        Path(folder).chmod(0o755)
        starts = _starts(Path(folder), peers, workers, dovecot_format)

        async def work() -> tuple[list[Row], list[Peer]]:
            async with grounds(starts, sizes) as places:
                steps = len(chosen) * (runs + 1)
                with progress(steps, "run", wanted=None) as bar:

                    def advance(title: str) -> None:
                        bar.set_description(title[:40])
                        bar.update(1)

                    rows = await measure(places, chosen, runs, advance)
                return rows, [place.peer for place in places]

        try:
            rows, measured = run(work)
        except BenchFailed as error:
            fail(str(error))
    when = dt.datetime.fromtimestamp(clock.now_seconds(), dt.UTC).date().isoformat()
    say(f"{when}, {machine()}")
    for peer in measured:
        say(f"{peer.name}: {peer.version}")
    say()
    for line in table(rows, measured):
        say(line)
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(rows, measured, when), indent=1) + "\n")


def _sizes(messages: str, seconds: float) -> Sizes:
    counts = [each.strip() for each in messages.split(",")]
    if len(counts) != 3 or not all(each.isdigit() and 20 <= int(each) <= _MESSAGES_MAX for each in counts):
        raise click.UsageError(
            f"--messages wants three numbers from 20 to {_MESSAGES_MAX:,}, as 1000,100000,1000000."
        )
    return Sizes(seconds, *map(int, counts))


def _starts(
    folder: Path, peers: tuple[str, ...], workers: int, dovecot_format: str
) -> list[tuple[Path, Start]]:
    """Return how to start each server, and in which folder."""
    own = folder / "modseq"
    starts: list[tuple[Path, Start]] = [(own, lambda: servers.modseq(own, workers))]
    for number, peer in enumerate(dict.fromkeys(peers)):
        place = folder / f"peer{number}"
        if peer == "dovecot":
            starts.append((place, partial(servers.dovecot, place, dovecot_format)))
        elif ":" in peer:
            starts.append((place, partial(servers.elsewhere, peer)))
        else:
            raise click.UsageError(f"--peer wants dovecot or HOST:PORT, not {peer}.")
    return starts
