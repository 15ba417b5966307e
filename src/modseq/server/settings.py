"""The settings of a server: from a TOML file, overridden by the command line.

Each field carries its own description; the reference page is generated from them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from modseq import limits
from modseq.server.addresses import Address, read_address
from modseq.server.auth import PasswordCost


class SettingsError(Exception):
    """The settings cannot be used; the text is one sentence for the person who wrote them."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set."""

    data: Annotated[str, Meta(description="The directory that holds all mail. Required.")] = ""
    imap: Annotated[
        tuple[str, ...],
        Meta(description="Addresses on which IMAP is spoken, with STARTTLS where there is a certificate."),
    ] = ()
    imaps: Annotated[
        tuple[str, ...],
        Meta(description="Addresses on which IMAP is spoken under TLS from the first octet."),
    ] = ()
    lmtp: Annotated[
        tuple[str, ...],
        Meta(description="Addresses, or `unix:PATH`, on which mail is delivered by LMTP."),
    ] = ()
    host_name: Annotated[
        str, Meta(description="This server's name in LMTP and in Received fields; by default the machine's.")
    ] = ""
    tls_cert: Annotated[
        str, Meta(description="File with the certificate and its chain, in PEM. Needs `tls_key`.")
    ] = ""
    tls_key: Annotated[str, Meta(description="File with the certificate's private key, in PEM.")] = ""
    allow_plaintext: Annotated[
        bool | Literal["loopback"],
        Meta(
            description="Whether passwords may cross a connection without TLS: `false`, `true`, or "
            '`"loopback"` for clients on the same machine only.'
        ),
    ] = False
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=limits.WORKERS_MAX,
            description="Processes that serve the same addresses; each uses one core.",
        ),
    ] = 1
    wakeups: Annotated[
        bool,
        Meta(
            description="Processes tell each other at once when mail moved. Without it they find out at "
            "their next command or within a second; nothing else changes."
        ),
    ] = True
    sync: Annotated[
        Literal["full", "off"],
        Meta(
            description='`"full"`: what is confirmed survives a power cut. `"off"`: nothing is synced; after a '
            "power cut confirmed changes may be missing and their numbers be given again, so that clients "
            "miss changes for ever. For imports that can be repeated, and for tests."
        ),
    ] = "full"
    compress_bodies: Annotated[
        bool, Meta(description="Squeeze message bodies by zstd where that makes them smaller.")
    ] = False
    expunges_kept_max: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="How many expunged UIDs of a mailbox are remembered; unset for all. Clients that come "
            "back from before are told everything that is missing, which costs more.",
        ),
    ] = None
    expunges_kept_seconds_max: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="How long expunged UIDs are remembered; unset for ever."),
    ] = None
    ready_file: Annotated[
        str, Meta(description="A file into which the real addresses are written, as JSON, once they serve.")
    ] = ""
    uvloop: Annotated[
        bool, Meta(description="Use uvloop, if it is installed, in place of asyncio's own event loop.")
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least weighty message logged.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        Meta(description="Lines for people, or one JSON object a line. Both go to standard error."),
    ] = "text"
    idle_seconds_max: Annotated[
        float,
        Meta(ge=1800, description="Silence of a logged-in client before it is cut: 30 minutes at least."),
    ] = limits.IDLE_SECONDS_MAX
    idle_before_login_seconds_max: Annotated[
        float, Meta(gt=0, description="Silence of a client that has not logged in before it is cut.")
    ] = limits.IDLE_BEFORE_LOGIN_SECONDS_MAX
    before_login_seconds_max: Annotated[
        float, Meta(gt=0, description="Time a client has to log in, however busy it is meanwhile.")
    ] = limits.BEFORE_LOGIN_SECONDS_MAX
    idle_poll_seconds: Annotated[
        float,
        Meta(gt=0, description="How often IDLE looks for changes that no wake-up announced."),
    ] = limits.IDLE_POLL_SECONDS
    connections_before_login_max: Annotated[
        int, Meta(ge=1, description="Connections of one process that have not logged in.")
    ] = limits.CONNECTIONS_BEFORE_LOGIN_MAX
    connections_per_address_max: Annotated[
        int,
        Meta(
            ge=1,
            description="Connections of one client address (of IPv6: of one network of 64 bits) to one process.",
        ),
    ] = limits.CONNECTIONS_PER_ADDRESS_MAX
    connections_per_user_max: Annotated[
        int, Meta(ge=1, description="Sessions of one user in one process.")
    ] = limits.CONNECTIONS_PER_USER_MAX
    login_delay_seconds: Annotated[
        float,
        Meta(ge=0, description="Wait after the second failed login; doubled by each further one."),
    ] = limits.LOGIN_DELAY_SECONDS
    password_passes: Annotated[int, Meta(ge=1, description="argon2id: passes over the memory.")] = 3
    password_memory_kib: Annotated[
        int, Meta(ge=8, description="argon2id: memory in KiB for one password.")
    ] = 65_536
    password_lanes: Annotated[int, Meta(ge=1, description="argon2id: parallel lanes.")] = 4

    @property
    def password_cost(self) -> PasswordCost:
        """What hashing and checking one password takes."""
        return PasswordCost(self.password_passes, self.password_memory_kib, self.password_lanes)


def read_settings(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """
    Return the settings of a file with those of the command line over them, checked.

    Args:
        config: a TOML file; None for none.
        overrides: settings by name; those that are None were not given.

    Raises SettingsError.

    """
    fields: dict[str, Any] = {}
    if config is not None:
        try:
            fields = tomllib.loads(config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{config} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{config} is not TOML: {error}") from error
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name in fields:
        if name not in known:
            raise SettingsError(f"{config} has a setting {name!r} that does not exist")
    fields |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = msgspec.convert(fields, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"a setting is wrong: {error}") from error
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise SettingsError where settings contradict each other or name what cannot be."""
    if not settings.data:
        raise SettingsError("the data directory is not set: use --data or `data` in the configuration")
    if not (settings.imap or settings.imaps or settings.lmtp):
        raise SettingsError("there is nothing to listen on: set imap, imaps or lmtp")
    addresses(settings)
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("tls_cert and tls_key are needed together")
    if settings.imaps and not settings.tls_cert:
        raise SettingsError("imaps needs tls_cert and tls_key")


def addresses(settings: Settings) -> list[tuple[str, Address]]:
    """
    Return each protocol with an address on which it is spoken, in the order of the settings.

    Raises SettingsError for what is no address.
    """
    try:
        return [
            (protocol, read_address(text))
            for protocol in ("imap", "imaps", "lmtp")
            for text in getattr(settings, protocol)
        ]
    except ValueError as error:
        raise SettingsError(str(error)) from error
