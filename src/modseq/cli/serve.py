"""`modseq serve`: the server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modseq.cli.output import fail, say
from modseq.server import supervisor
from modseq.server.settings import Settings, SettingsError, read_settings
from modseq.storage.base import Store
from modseq.storage.sqlite import files
from modseq.storage.sqlite.store import SqliteStore

DEFAULT_IMAP = "127.0.0.1:1143"


async def open_store(settings: Settings) -> Store:
    """Open the embedded store that the settings name."""
    kept = files.Settings(
        compress_bodies=settings.compress_bodies,
        expunges_kept_max=settings.expunges_kept_max,
        expunges_kept_seconds_max=settings.expunges_kept_seconds_max,
    )
    store = SqliteStore(settings.data, wakeups=settings.wakeups, sync=settings.sync, settings=kept)
    await store.start()
    return store


@click.command("serve")
@click.option(
    "--data", metavar="DIR", envvar="MODSEQ_DATA", show_envvar=True, help="The directory that holds all mail."
)
@click.option(
    "--imap",
    metavar="HOST:PORT",
    multiple=True,
    help="Speak IMAP here, with STARTTLS where there is a certificate.",
)
@click.option("--imaps", metavar="HOST:PORT", multiple=True, help="Speak IMAP under TLS here.")
@click.option("--lmtp", metavar="HOST:PORT|unix:PATH", multiple=True, help="Take deliveries by LMTP here.")
@click.option("--tls-cert", metavar="FILE", help="The certificate and its chain, in PEM.")
@click.option("--tls-key", metavar="FILE", help="Its private key, in PEM.")
@click.option(
    "--allow-plaintext",
    is_flag=True,
    default=None,
    help="Let passwords cross connections without TLS. Without it LOGIN is refused there.",
)
@click.option("--workers", metavar="N", type=int, help="Processes that serve together. [default: 1]")
@click.option(
    "--wakeups/--no-wakeups",
    default=None,
    help="Whether processes tell each other at once when mail moved. [default: wakeups]",
)
@click.option(
    "--ready-file", metavar="PATH", help="Write the real addresses here, as JSON, once all is ready."
)
@click.option(
    "--log-level",
    type=click.Choice(("debug", "info", "warning", "error")),
    help="The least weighty message logged.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings in TOML; what is given here as an option goes before them.",
)
def command(config: Path | None, **options: object) -> None:
    """
    Serve mail by IMAP and LMTP until SIGTERM or Ctrl-C.

    Port 0 means any free port. When all is ready one line for each listener tells its real address. An
    option that names an address may be given several times. Without any, IMAP is spoken on 127.0.0.1:1143.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if config is None and not {"imap", "imaps", "lmtp"} & given.keys():
        given["imap"] = (DEFAULT_IMAP,)
    try:
        settings = read_settings(config, given)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    serve(settings)


def serve(settings: Settings) -> None:
    """Serve until told to stop, and exit with the status of the server."""
    try:
        status = supervisor.serve(settings, open_store, say)
    except SettingsError as error:
        fail(str(error))
    sys.exit(status)
