"""`modseq mirror imaps://...` and `modseq mirror push`: the sub-commands that talk to a server."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
from pathlib import Path
from typing import Any

import click

from modseq import clock
from modseq.cli.mailstore import progress_option
from modseq.cli.mirror.edit import say_conflict
from modseq.cli.mirror.support import Bars, file_argument, globs_option, mirror_at, named_uids, run
from modseq.cli.output import Failure, fail, note, say
from modseq.cli.remote import Login, login_from, remote_options
from modseq.core.numset import NumSet
from modseq.mirror.bodies import fetch_on_demand
from modseq.mirror.replica import Bodies, Replica
from modseq.mirror.sync import Report, synchronise
from modseq.mirror.watch import Watch


@click.command("sync")
@click.argument("url", metavar="imaps://USER@HOST/")
@click.option(
    "--to",
    "file",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The mirror: made if it is not there, else brought up to date.",
)
@click.option(
    "--bodies",
    type=click.Choice(("none", "recent", "all")),
    help="Which bodies to keep. [default: as before; none for a new mirror]",
)
@click.option(
    "--recent-days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="How old a message may be for --bodies recent. [default: as before; 30 for a new mirror]",
)
@globs_option
@click.option("--watch", is_flag=True, help="Stay connected and current, by NOTIFY or IDLE, until Ctrl-C.")
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --watch: look at mailboxes of which the server does not tell so often. [default: 60]",
)
@click.option("--no-push", is_flag=True, help="Leave offline edits in the outbox.")
@click.option("--no-verify", is_flag=True, help="Do not ask by SEARCH whether what was told is right.")
@remote_options
@progress_option
def sync_command(
    *,
    url: str,
    file: Path,
    bodies: Bodies | None,
    recent_days: int | None,
    globs: tuple[str, ...],
    watch: bool,
    poll: float | None,
    no_push: bool,
    no_verify: bool,
    progress_wanted: bool | None,
    **remote: Any,
) -> None:
    """
    Copy an account into FILE, or bring the copy up to date.

    Can be stopped at any moment, also with kill -9: the next run goes on from there. The mailboxes and bodies
    that are wanted are kept in the file: later runs need not name them. Offline edits are pushed first.

    Exit status 1 when the copy of a mailbox could not be verified, when an edit met a conflict, or when the
    connection broke.
    """
    if poll is not None and not watch:
        raise click.UsageError("--poll goes with --watch.")
    login = login_from(url, **remote)
    with mirror_at(file, create=True) as replica:
        replica.configure(
            account=login.account, bodies=bodies, recent_days=recent_days, patterns=globs or None
        )
        _talk(
            replica,
            login,
            watch=watch,
            poll=poll,
            push=not no_push,
            verify=not no_verify,
            bars=progress_wanted,
        )


@click.command("push")
@file_argument
@click.option("--no-verify", is_flag=True, help="Do not ask by SEARCH whether what was told is right.")
@remote_options
@progress_option
def push_command(*, file: Path, no_verify: bool, progress_wanted: bool | None, **remote: Any) -> None:
    """
    Push the edits that wait in FILE to its account, and bring the copy up to date.

    An edit is made only if the message is still as it was when it was edited; otherwise it becomes a conflict
    (exit status 1), which `modseq mirror conflicts` shows and `modseq mirror resolve` decides.
    """
    with mirror_at(file) as replica:
        login = login_from(_account(replica), **remote)
        _talk(replica, login, watch=False, poll=None, push=True, verify=not no_verify, bars=progress_wanted)


@click.command("fetch")
@file_argument
@click.argument("mailbox")
@click.argument("uids")
@remote_options
@progress_option
def fetch_command(
    *, file: Path, mailbox: str, uids: str, progress_wanted: bool | None, **remote: Any
) -> None:
    """Fetch the bodies of the messages UIDS (`7`, `3,5:9`) of MAILBOX that are not in FILE yet."""
    with mirror_at(file) as replica:
        row = replica.mailbox(mailbox)
        wanted = NumSet(named_uids(replica, row, uids))
        login = login_from(_account(replica), **remote)
        bars = Bars(wanted=progress_wanted)

        async def work() -> list[str]:
            async with await login.connect() as client:
                return await fetch_on_demand(replica, client, row, wanted, bars)

        with replica.synchronising():
            before = len(replica.without_body(row.mailbox_id))
            try:
                notes = run(work)
            finally:
                bars.close()
        for text in notes:
            note(f"{row.name}: {text}")
        count = before - len(replica.without_body(row.mailbox_id))
        say(f"Fetched {count:,} {'body' if count == 1 else 'bodies'}.")


def _account(replica: Replica) -> str:
    account = replica.settings().account
    if not account:
        fail("the mirror has no account yet: run modseq mirror imaps://USER@HOST/ first")
    return account


def _talk(
    replica: Replica,
    login: Login,
    *,
    watch: bool,
    poll: float | None,
    push: bool,
    verify: bool,
    bars: bool | None,
) -> None:
    shown = Bars(wanted=bars)

    async def once() -> Report:
        async with await login.connect() as client:
            return await synchronise(replica, client, verify=verify, push=push, progress=shown)

    try:
        if watch:
            run(
                lambda: _until_stopped(
                    Watch(
                        replica,
                        login.connect,
                        lambda report: _said(replica, report, watched=True),
                        _lost,
                        poll_seconds=poll,
                        verify=verify,
                        push=push,
                        progress=shown,
                    )
                )
            )
            return
        report = run(once)
    finally:
        shown.close()
    _said(replica, report, watched=False)
    _end(report)


async def _until_stopped(watch: Watch) -> None:
    """Watch until SIGINT or SIGTERM: the connection is closed in order."""
    task = asyncio.ensure_future(watch.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _lost(error: Exception, pause: float) -> None:
    note(f"modseq: {str(error).rstrip('.')}; trying again in {pause:g} s")


def _said(replica: Replica, report: Report, *, watched: bool) -> None:
    """Print what a run did; while watching only what happened."""
    when = ""
    if watched:
        when = f"{dt.datetime.fromtimestamp(clock.now_seconds(), dt.UTC):%H:%M:%S} "
    for before, after in report.listing.renamed:
        say(f"{when}{before} is now {after}")
    for name in report.listing.removed:
        say(f"{when}{name} is gone")
    for words in report.pushed.done:
        say(f"{when}pushed: {words}")
    for edit in report.pushed.conflicts:
        say_conflict(replica, edit)
    for outcome in report.outcomes:
        applied = outcome.applied
        if applied.appeared or applied.changed or applied.vanished:
            say(
                f"{when}{outcome.name}: {applied.appeared:,} new, {applied.changed:,} changed, "
                f"{applied.vanished:,} gone"
            )
        for text in outcome.notes:
            note(f"{outcome.name}: {text}")
        if outcome.doubt:
            note(f"modseq: {outcome.name} may not be right: {outcome.doubt}")
    for text in [*report.pushed.notes, *report.notes]:
        note(text)
    if not watched:
        count = len(report.listing.wanted)
        say(
            f"{count} {'mailbox' if count == 1 else 'mailboxes'}, {report.unchanged} unchanged, "
            f"{sum(row.exists for row in replica.mailboxes()):,} messages."
        )


def _end(report: Report) -> None:
    """Leave with exit status 1 where something is not as it should be."""
    problems = []
    if report.doubts:
        problems.append(f"the copy may not be right: {', '.join(sorted(report.doubts))}; run it again")
    if count := len(report.pushed.conflicts):
        problems.append(
            f"{count} {'edit' if count == 1 else 'edits'} met a conflict: see modseq mirror conflicts"
        )
    if problems:
        raise Failure("; ".join(problems))
