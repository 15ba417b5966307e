"""How a sub-command reaches an IMAP server: the address, the password, and no plain text by accident."""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from modseq.cli.output import fail
from modseq.client import Client, connect
from modseq.client.options import parse_url
from modseq.limits import SECRET_LINE_BYTES_MAX

Command = TypeVar("Command", bound=Callable[..., Any])

PASSWORD_VARIABLE = "MODSEQ_PASSWORD"  # noqa: S105 -- the name of a variable


def remote_options(command: Command) -> Command:
    """Add the options that say how to log in to a server; they arrive as one `Login` with `login_from`."""
    options = (
        click.option(
            "--password-stdin",
            is_flag=True,
            help=f"Read the password from the first line of standard input. [else: ${PASSWORD_VARIABLE}, or asked]",
        ),
        click.option("--oauth", is_flag=True, help="The password is an OAuth 2.0 access token."),
        click.option("--starttls", is_flag=True, help="With imap://: begin TLS before anything else."),
        click.option("--insecure", is_flag=True, help="With imap://: no TLS at all, also to other machines."),
        click.option(
            "--ca",
            "ca_file",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Trust the certificate authorities of this PEM file instead of the system's.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Login:
    """
    Where to log in and how.

    Attributes:
        account: the address without a password, as the mirror keeps it.
        url: as the client library wants it.

    """

    account: str
    url: str
    user: str
    secret: str = field(repr=False)
    is_token: bool
    context: ssl.SSLContext | None

    async def connect(self) -> Client:
        """Connect and log in. Raises ClientError."""
        return await connect(
            self.url,
            user=self.user,
            password=None if self.is_token else self.secret,
            token=self.secret if self.is_token else None,
            context=self.context,
        )


def login_from(
    url: str, *, password_stdin: bool, oauth: bool, starttls: bool, insecure: bool, ca_file: Path | None
) -> Login:
    """
    Read the options of `remote_options`.

    Raises: click.UsageError for an address that cannot be used.
    """
    try:
        address = parse_url(url)
    except ValueError as error:
        raise click.UsageError(f"{url!r} is no address of a server: imaps://USER@HOST/ is wanted.") from error
    if address.password is not None:
        raise click.UsageError("A password in the address would be seen by others: leave it out.")
    if address.user is None:
        raise click.UsageError("The address names no user: imaps://USER@HOST/ is wanted.")
    scheme = url.partition("://")[0] if "://" in url else "imaps"
    if scheme == "imap+insecure":
        scheme, insecure = "imap", True
    if scheme == "imaps" and (starttls or insecure):
        raise click.UsageError("--starttls and --insecure go with imap://, not with imaps://.")
    if starttls and insecure:
        raise click.UsageError("--starttls and --insecure exclude each other.")
    if scheme == "imap" and not starttls and not insecure and not is_loopback(address.host):
        raise click.UsageError(
            "imap:// would send password and mail in the clear: use imaps://, or add --starttls or --insecure."
        )
    host = f"[{address.host}]" if ":" in address.host else address.host
    place = f"{host}:{address.port}"
    kind = "imaps" if scheme == "imaps" else "imap" if starttls else "imap+insecure"
    return Login(
        account=f"{scheme}://{address.user}@{place}/",
        url=f"{kind}://{place}/",
        user=address.user,
        secret=_secret(from_stdin=password_stdin, what="token" if oauth else "password"),
        is_token=oauth,
        context=ssl.create_default_context(cafile=ca_file) if ca_file else None,
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _secret(*, from_stdin: bool, what: str) -> str:
    """Return a password or token. Raises Failure for what cannot be one, and never shows any of it."""
    if from_stdin:
        line = sys.stdin.buffer.readline(SECRET_LINE_BYTES_MAX + 2)
        octets = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(octets) > SECRET_LINE_BYTES_MAX:
            fail(f"the {what} is longer than {SECRET_LINE_BYTES_MAX:,} octets")
        secret = octets.decode("utf-8", "surrogateescape")
    elif PASSWORD_VARIABLE in os.environ:
        secret = os.environ[PASSWORD_VARIABLE]
    elif sys.stdin.isatty():
        secret = click.prompt(what.capitalize(), hide_input=True, err=True)
    else:
        raise click.UsageError(f"No {what}: use --password-stdin, or set {PASSWORD_VARIABLE}.")
    if not secret:
        fail(f"the {what} is empty")
    if what == "token" and not (secret.isascii() and secret.isprintable() and " " not in secret):
        fail("the token has characters that no token has")
    if "\0" in secret:
        fail(f"the {what} has a NUL in it")
    if not secret.isascii() and any("\ud800" <= each <= "\udfff" for each in secret):
        fail(f"the {what} is no UTF-8")
    return secret
