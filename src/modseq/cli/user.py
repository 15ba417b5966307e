"""`modseq user`: who has mail here, and with which password."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modseq.cli.mailstore import data_option, store_at
from modseq.cli.output import fail, run, say
from modseq.limits import PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX
from modseq.server.auth import hash_password
from modseq.server.provision import furnish

_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group("user")
def command() -> None:
    """
    Add, remove and list users, and change their passwords.

    All of it works while the server runs.
    """


@command.command("add")
@click.argument("name")
@data_option
@_password_stdin
def add(name: str, data: Path, password_stdin: bool) -> None:
    """
    Add the user NAME with the usual mailboxes.

    Mail for the addresses NAME, NAME+mailbox and either of them with any domain is delivered to this user.
    The data directory is made if it does not exist.
    """
    _check_name(name)
    password = _password(from_stdin=password_stdin)

    async def work() -> None:
        async with store_at(data, create=True) as store:
            await store.directory.add(name, hash_password(password))
            await furnish(await store.account(name))

    run(work)
    say(f"Added {name}.")


@command.command("remove")
@click.argument("name")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, data: Path, yes: bool) -> None:
    """
    Remove the user NAME and all mail of that user.

    On a terminal you are asked first.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove {name} and all mail of {name}?", abort=True, err=True)

    async def work() -> None:
        async with store_at(data) as store:
            await store.directory.remove(name)

    run(work)
    say(f"Removed {name}.")


@command.command("list")
@data_option
def list_users(data: Path) -> None:
    """List the names of all users, one a line."""

    async def work() -> list[str]:
        async with store_at(data) as store:
            return await store.directory.names()

    for name in run(work):
        say(name)


@command.command("passwd")
@click.argument("name")
@data_option
@_password_stdin
def passwd(name: str, data: Path, password_stdin: bool) -> None:
    """
    Change the password of the user NAME.

    Sessions that are open stay open.
    """

    async def exists() -> bool:
        async with store_at(data) as store:
            return await store.directory.password_hash(name) is not None

    if not run(exists):
        fail(f"there is no user {name}")
    password = _password(from_stdin=password_stdin)

    async def work() -> None:
        async with store_at(data) as store:
            await store.directory.set_password_hash(name, hash_password(password))

    run(work)
    say(f"Changed the password of {name}.")


def _check_name(name: str) -> None:
    if not name or len(name.encode("utf-8", "replace")) > USER_NAME_BYTES_MAX or not name.isprintable():
        raise click.UsageError(
            f"a user's name has 1 to {USER_NAME_BYTES_MAX} octets and no control characters"
        )
    if name != name.strip():
        raise click.UsageError("a user's name does not begin or end with a space")


def _password(*, from_stdin: bool) -> bytes:
    """Return the password that the person chose; asks twice on a terminal."""
    if from_stdin:
        line = sys.stdin.buffer.readline(PASSWORD_BYTES_MAX + 2)
        password = line.removesuffix(b"\n").removesuffix(b"\r")
    elif sys.stdin.isatty():
        entered: str = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
        password = entered.encode()
    else:
        raise click.UsageError("standard input is no terminal: use --password-stdin")
    if not password:
        fail("the password is empty")
    if len(password) > PASSWORD_BYTES_MAX:
        fail(f"a password has at most {PASSWORD_BYTES_MAX} octets")
    return password
