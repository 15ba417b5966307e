"""`modseq mirror status`, `list`, `search` and `show`: reading the copy, without a connection."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import NoReturn

import click

from modseq.cli.mirror.support import chosen, file_argument, globs_option, message_row, mirror_at
from modseq.cli.output import fail, note, say, table
from modseq.mirror.outbox import Outbox
from modseq.mirror.search import Query, Search
from modseq.mirror.view import local_message, local_messages

_HEADING = ("MAILBOX", "UID", "DATE", "OCTETS", "FLAGS", "FROM", "SUBJECT")


@click.command("status")
@file_argument
@click.option("--check", is_flag=True, help="Read the whole file and look for defects.")
def status_command(file: Path, *, check: bool) -> None:
    """
    Show what a mirror holds: its mailboxes, how far they are, what is doubtful and what waits.

    A mailbox is `current` as of the last run, `partial` while its first copy is not done, or `doubtful` when
    what the server told could not be verified. Exit status 1 when something is doubtful or (with --check)
    defective.
    """
    with mirror_at(file) as replica:
        settings = replica.settings()
        rows = replica.mailboxes()
        say(f"account  {settings.account or 'none yet'}")
        when = dt.datetime.fromtimestamp(settings.synced_at, dt.UTC)
        say(f"current  {f'{when:%Y-%m-%d %H:%M:%S} UTC' if settings.synced_at else 'never'}")
        bodies = f"recent ({settings.recent_days} days)" if settings.bodies == "recent" else settings.bodies
        say(f"bodies   {bodies}")
        lines: list[tuple[object, ...]] = [
            ("MAILBOX", "STATE", "MESSAGES", "BODIES", "UIDVALIDITY", "MODSEQ")
        ]
        for row in rows:
            state = "doubtful" if row.doubt else "current" if row.is_complete else "partial"
            messages = list(replica.messages(row.mailbox_id))
            with_body = sum(message.content_id is not None for message in messages)
            lines.append((row.name, state, len(messages), with_body, row.uid_validity, row.mod_seq or "-"))
        table(lines, numbers_from=2)
        edits = Outbox(replica).edits()
        conflicts = sum(edit.state == "conflict" for edit in edits)
        say(f"outbox   {len(edits) - conflicts} waiting, {conflicts} in conflict")
        doubts = [f"{row.name} may not be right: {row.doubt}" for row in rows if row.doubt]
        defects = replica.check() if check else []
        if check and not defects:
            say("check    in order")
        _complain([*doubts, *defects])


def _complain(sentences: list[str]) -> None:
    if sentences:
        for sentence in sentences[:-1]:
            note(f"modseq: {sentence}")
        fail(sentences[-1])


@click.command("list")
@file_argument
@click.argument("mailbox", default="INBOX")
def list_command(file: Path, mailbox: str) -> None:
    """
    List the messages of MAILBOX (INBOX if none is named) with the edits that wait.

    A star behind the UID marks a message with edits; `new` is one that is to be appended. A message that was
    moved here offline is listed with the UID that it has where it still is.
    """
    with mirror_at(file) as replica:
        row = replica.mailbox(mailbox)
        table([_HEADING, *map(message_row, local_messages(replica, row))], numbers_from=99)


def _day(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(value).toordinal() - dt.date(1970, 1, 1).toordinal()
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no date such as 2026-02-01") from error


def _header(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [each.partition(":") for each in value]
    if any(not name.strip() or not colon for name, colon, _text in pairs):
        raise click.BadParameter("NAME:TEXT is wanted")
    return tuple((name.strip(), text.strip()) for name, _colon, text in pairs)


@click.command("search")
@file_argument
@click.argument("text", nargs=-1)
@globs_option
@click.option("--subject", multiple=True, metavar="TEXT", help="In the subject.")
@click.option("--from", "sender", multiple=True, metavar="TEXT", help="In the sender.")
@click.option("--to", "recipient", multiple=True, metavar="TEXT", help="In To, Cc or Bcc.")
@click.option("--body", multiple=True, metavar="TEXT", help="In the text of the body.")
@click.option("--header", "headers", multiple=True, callback=_header, metavar="NAME:TEXT", help="In a field.")
@click.option("--flag", "with_flags", multiple=True, metavar="FLAG", help="With this flag.")
@click.option("--no-flag", "without_flags", multiple=True, metavar="FLAG", help="Without this flag.")
@click.option("--since", callback=_day, metavar="DATE", help="Received on this day or later, 2026-02-01.")
@click.option("--before", callback=_day, metavar="DATE", help="Received before this day.")
@click.option("--larger", type=click.IntRange(min=0), metavar="OCTETS", help="Larger than this.")
@click.option("--smaller", type=click.IntRange(min=0), metavar="OCTETS", help="Smaller than this.")
def search_command(
    *,
    file: Path,
    text: tuple[str, ...],
    globs: tuple[str, ...],
    subject: tuple[str, ...],
    sender: tuple[str, ...],
    recipient: tuple[str, ...],
    body: tuple[str, ...],
    headers: tuple[tuple[str, str], ...],
    with_flags: tuple[str, ...],
    without_flags: tuple[str, ...],
    since: int | None,
    before: int | None,
    larger: int | None,
    smaller: int | None,
) -> None:
    """
    Find messages in the copy: each TEXT must stand somewhere in the message, each option must hold.

    Texts are substrings of what a reader sees: headers and text are decoded, case makes no difference. Exit
    status 1 when nothing was found.
    """
    query = Query(
        text=text,
        body=body,
        subject=subject,
        sender=sender,
        recipient=recipient,
        headers=headers,
        with_flags=with_flags,
        without_flags=without_flags,
        since=since,
        before=before,
        larger=larger,
        smaller=smaller,
    )
    with mirror_at(file) as replica:
        search = Search(replica, chosen(replica, globs), query)
        found = list(map(message_row, search))
        if search.bodies_missing:
            note(
                f"{search.bodies_missing} messages have no body in the mirror: only their headers were searched"
            )
        if not found:
            fail("nothing was found")
        table([_HEADING, *found], numbers_from=99)


@click.command("show")
@file_argument
@click.argument("mailbox")
@click.argument("uid", type=click.IntRange(min=1))
def show_command(file: Path, mailbox: str, uid: int) -> None:
    """Write the message UID of MAILBOX to standard output, octet by octet."""
    with mirror_at(file) as replica:
        row = replica.mailbox(mailbox)
        message = local_message(replica, row, uid)
        if message is None:
            _no_message(row.name, uid)
        sys.stdout.buffer.write(replica.content(message.content_id))
        sys.stdout.buffer.flush()


def _no_message(mailbox: str, uid: int) -> NoReturn:
    fail(f"{mailbox} has no message {uid}")
