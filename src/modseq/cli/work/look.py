"""`modseq work status` and `modseq work claims`: what stands in a queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from modseq.cli.output import say, table
from modseq.cli.remote import remote_options
from modseq.cli.work.support import mailbox_of, with_server
from modseq.client import Client
from modseq.workqueue.layout import CLAIMED, DONE, FAILED, TRIES, Phase, Standing, owner_text
from modseq.workqueue.performing import LOOKED_AT

_MEANINGS = {
    Phase.FREE: "free",
    Phase.OFFERED: "being claimed",
    Phase.HELD: "held",
    Phase.PARKED: "waiting",
    Phase.ENDING: "being cleared",
    Phase.ENDED: "ended",
}


async def _claims(client: Client) -> dict[int, Standing]:
    found = await client.search(f"KEYWORD {CLAIMED} UNDELETED")
    if not found.uids:
        return {}
    messages = (await client.fetch(found.uids, LOOKED_AT)).by_uid()
    return {uid: Standing.of(each.flags) for uid, each in sorted(messages.items()) if each.flags is not None}


@click.command("status")
@click.argument("url", metavar="imaps://USER@HOST/MAILBOX")
@remote_options
def status_command(*, url: str, **remote: Any) -> None:
    """
    Count the messages of the queue by where they stand.

    free: nobody has it. again: free, and tried before. held: somebody works at it. waiting: for its delay. done and
    given up: no more work.
    """
    mailbox = mailbox_of(url)

    async def work(client: Client) -> dict[str, int]:
        await client.select(mailbox, read_only=True)
        unclaimed = f"UNKEYWORD {CLAIMED} UNKEYWORD {DONE} UNKEYWORD {FAILED} UNDELETED"
        async with client.pipeline() as batch:
            free = batch.search(f"{unclaimed} UNKEYWORD {TRIES[0]}")
            again = batch.search(f"{unclaimed} KEYWORD {TRIES[0]}")
            done = batch.search(f"KEYWORD {DONE}")
            failed = batch.search(f"KEYWORD {FAILED}")
        phases = Counter(each.phase for each in (await _claims(client)).values())
        return {
            "free": len(free.result.uids) + phases[Phase.FREE],
            "again": len(again.result.uids),
            "held": phases[Phase.HELD] + phases[Phase.OFFERED],
            "waiting": phases[Phase.PARKED],
            "done": len(done.result.uids),
            "given up": len(failed.result.uids),
        }

    counts = with_server(url, remote, work)
    table([["STATE", "MESSAGES"], *counts.items()])


@click.command("claims")
@click.argument("url", metavar="imaps://USER@HOST/MAILBOX")
@click.option(
    "--watch",
    "seconds",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look twice, so far apart, and say whose heartbeat went on.",
)
@remote_options
def claims_command(*, url: str, seconds: float | None, **remote: Any) -> None:
    """
    List the messages that are claimed.

    OWNER is the same for all messages of one connection of a worker. SPAN is the lease of a message that is held, or
    the delay of one that waits. No times are stored: how old a claim is, only those know who watch it.
    """
    mailbox = mailbox_of(url)

    async def work(client: Client) -> tuple[dict[int, Standing], dict[int, Standing] | None]:
        await client.select(mailbox, read_only=True)
        first = await _claims(client)
        if seconds is None:
            return first, None
        await asyncio.sleep(seconds)
        await client.noop()
        return first, await _claims(client)

    first, second = with_server(url, remote, work)
    shown = second if second is not None else first
    if not shown:
        say("Nothing is claimed.")
        return
    rows: list[Sequence[object]] = [
        ["UID", "STATE", "OWNER", "ATTEMPT", "SPAN"] + ([] if second is None else ["SIGN"])
    ]
    for uid, each in shown.items():
        row: list[object] = [
            uid,
            _MEANINGS[each.phase],
            owner_text(each.owner) if each.owner else "-",
            each.tries,
            f"{each.span_seconds:.0f} s" if each.span else "-",
        ]
        if second is not None:
            row.append("new" if uid not in first else "silent" if first[uid] == each else "alive")
        rows.append(row)
    table(rows, numbers_from=3)
