"""What the sub-commands of `modseq work` share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from modseq.cli.output import Failure, run
from modseq.cli.remote import login_from
from modseq.client import Client
from modseq.client.errors import ClientError
from modseq.client.options import parse_url

Answer = TypeVar("Answer")


def mailbox_of(url: str) -> str:
    """Return the mailbox that an address names, INBOX where it names none."""
    try:
        return parse_url(url).mailbox or "INBOX"
    except ValueError as error:
        raise click.UsageError(f"{url!r} is no address: imaps://USER@HOST/MAILBOX is wanted.") from error


def with_server(url: str, remote: dict[str, Any], work: Callable[[Client], Awaitable[Answer]]) -> Answer:
    """Connect, do something, and leave. Raises Failure for what the server refuses."""
    login = login_from(url, **remote)

    async def talk() -> Answer:
        try:
            client = await login.connect()
            async with client:
                return await work(client)
        except ClientError as error:
            raise Failure(str(error)) from error

    return run(talk)
