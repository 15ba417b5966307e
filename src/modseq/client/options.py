"""How to connect: where, under which TLS, as whom, and how patiently."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from modseq.client.quirks import Quirks

TlsMode: TypeAlias = Literal["implicit", "starttls", "none"]
AuthMethod: TypeAlias = Literal["auto", "login", "plain", "oauthbearer", "xoauth2"]
PORTS: dict[TlsMode, int] = {"implicit": 993, "starttls": 143, "none": 143}


@dataclass(frozen=True, slots=True)
class Options:
    """
    All that `connect` takes.

    Attributes:
        tls: implicit (port 993), starttls (143, refuses to go on without), none (a loopback or a test).
        context: of TLS; None verifies the server against the system's authorities.
        user, password: for LOGIN or AUTHENTICATE PLAIN; `authorize_as` acts as somebody else (PLAIN).
        token: for OAUTHBEARER or XOAUTH2, instead of a password.
        auth: which of them; auto picks the best that the server offers.
        seconds: how long an answer may take, connecting too.
        idle_renew_seconds: how often IDLE is begun anew, which finds out half-open connections too.
        compress: COMPRESS=DEFLATE where the server offers it.
        enable: capabilities to ENABLE after login where offered.
        client_id: sent with ID where offered; None sends none.
        quirks: None detects them.

    """

    host: str
    port: int
    tls: TlsMode = "implicit"
    context: ssl.SSLContext | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    auth: AuthMethod = "auto"
    authorize_as: str | None = None
    seconds: float = 60.0
    idle_renew_seconds: float = 540.0
    compress: bool = False
    enable: tuple[str, ...] = ("QRESYNC", "CONDSTORE")
    client_id: Mapping[str, str] | None = field(default_factory=lambda: {"name": "modseq"})
    quirks: Quirks | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """What an imap: or imaps: URL says."""

    host: str
    port: int
    tls: TlsMode
    user: str | None
    password: str | None = field(repr=False)
    mailbox: str | None


def parse_url(url: str) -> Address:
    """
    Read `imaps://user@host:993/INBOX`, `imap://host` (STARTTLS) or `imap+insecure://host` (no TLS).

    A bare `host` or `host:port` is imaps. Raises ValueError for anything else.
    """
    split = urlsplit(url if "://" in url else f"imaps://{url}")
    modes: dict[str, TlsMode] = {"imaps": "implicit", "imap": "starttls", "imap+insecure": "none"}
    tls = modes.get(split.scheme)
    if tls is None or not split.hostname or split.query or split.fragment:
        raise ValueError("an address such as imaps://user@host/INBOX is wanted")
    return Address(
        split.hostname,
        split.port or PORTS[tls],
        tls,
        unquote(split.username) if split.username else None,
        unquote(split.password) if split.password else None,
        unquote(split.path.lstrip("/")) or None,
    )
