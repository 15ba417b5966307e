"""`modseq work requeue`: another chance for messages that were given up, or done."""

from __future__ import annotations

from typing import Any

import click

from modseq.cli.output import say
from modseq.cli.remote import remote_options
from modseq.cli.work.support import mailbox_of, with_server
from modseq.client import Client
from modseq.core.numset import NumSet
from modseq.wire.abnf import ParseError
from modseq.workqueue.layout import CLAIMED, DONE, FAILED, KEYWORDS


@click.command("requeue")
@click.argument("url", metavar="imaps://USER@HOST/MAILBOX")
@click.option(
    "--dead", metavar="MAILBOX", help="Bring messages back from this mailbox. [else: those marked $Failed]"
)
@click.option("--uid", "uids", metavar="SET", help="Only these messages, such as 7 or 3,5:9. [default: all]")
@click.option("--done", is_flag=True, help="Messages that are done, instead of those given up.")
@remote_options
def requeue_command(*, url: str, dead: str | None, uids: str | None, done: bool, **remote: Any) -> None:
    """
    Make messages work again: their attempts are counted from the first.

    Messages that a worker holds are left alone.
    """
    mailbox = mailbox_of(url)
    if done and dead:
        raise click.UsageError("--done and --dead exclude each other.")

    async def work(client: Client) -> int:
        await client.select(dead or mailbox)
        mark = DONE if done else FAILED
        # In the queue a claim beside the mark belongs to a worker that is about to clear it.
        criteria = f"KEYWORD {mark} UNDELETED" + ("" if dead else f" UNKEYWORD {CLAIMED}")
        found = (await client.search(criteria + (f" UID {uids}" if uids else ""))).uids
        if not found:
            return 0
        await client.store(found, remove=KEYWORDS, silent=True)
        if dead:
            await client.move(NumSet(found), mailbox)
        return len(found)

    try:
        count = with_server(url, remote, work)
    except (ValueError, ParseError) as error:
        raise click.UsageError(f"--uid: {uids!r} is no set of UIDs.") from error
    say(f"{count:,} message{'s are' if count != 1 else ' is'} work again.")
