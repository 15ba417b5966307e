"""`modseq demo`: a server to play with, and lines to paste."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from modseq import clock
from modseq.cli.demo_guide import Scene, guide
from modseq.cli.output import fail, say
from modseq.cli.serve import open_store
from modseq.core.errors import UserExists
from modseq.core.mailbox_operations import INBOX
from modseq.core.message import NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append, ClaimRecent, Expunge
from modseq.core.store_flags import StoreFlags
from modseq.mailfiles.message import header_moment, to_mailbox
from modseq.server import supervisor
from modseq.server.auth import hash_password
from modseq.server.delivery import intake
from modseq.server.provision import furnish
from modseq.server.settings import Settings, SettingsError, read_settings
from modseq.storage.base import Account, Store

USER = "demo"
CLAIM = "$Claimed"


@click.command("demo")
@click.option(
    "--data",
    default="./demo-data",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the mail is kept.",
)
@click.option(
    "--imap", default="127.0.0.1:1143", show_default=True, metavar="HOST:PORT", help="Speak IMAP here."
)
@click.option(
    "--lmtp", default="127.0.0.1:1124", show_default=True, metavar="HOST:PORT", help="Take deliveries here."
)
def command(data: Path, imap: str, lmtp: str) -> None:
    """
    Start a server with an account and some mail, and show what to try.

    The account `demo` gets a new random password at each start; its mail stays in the data directory.
    Passwords cross the connection in the clear: for this machine only. Ctrl-C stops the server.
    """
    overrides = {
        "data": str(data),
        "imap": (imap,),
        "lmtp": (lmtp,),
        "allow_plaintext": True,
        "log_level": "warning",
    }
    try:
        settings = read_settings(None, overrides)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    demo = _Demo(data, clock.random_token(6))
    try:
        status = supervisor.serve(settings, demo.open, demo.announce)
    except SettingsError as error:
        fail(f"{error}; stop what is there, or choose other addresses with --imap and --lmtp")
    say("Stopped. The mail is kept; `modseq demo` starts again with it.")
    sys.exit(status)


@dataclass(slots=True)
class _Demo:
    """One run: the password, and what the guide is to show."""

    data: Path
    password: str
    scene: Scene | None = None
    imap: str = ""

    async def open(self, settings: Settings) -> Store:
        """Open the store and see to the account; only now is it sure that the addresses are free."""
        store = await open_store(settings)
        account = await _account(store, self.password)
        await account.refresh()
        self.scene = await _look(account)
        return store

    def announce(self, line: str) -> None:
        """Take note of an address; after the last one print the guide."""
        protocol, _, address = line.partition(" ")
        if protocol == "imap":
            self.imap = address
        elif self.scene is not None:
            say(guide(self.scene, USER, self.password, str(self.data), imap=self.imap, lmtp=address))


async def _account(store: Store, password: str) -> Account:
    """Return the demo account with this password; a new one is filled with mail."""
    hashed = hash_password(password.encode())
    try:
        await store.directory.add(USER, hashed)
    except UserExists:
        await store.directory.set_password_hash(USER, hashed)
        return await store.account(USER)
    account = await store.account(USER)
    await furnish(account)
    await _fill(account)
    return account


async def _fill(account: Account) -> None:
    """Deliver the mail, then change some of it, so that there is history to ask for."""
    inbox_id = account.listing().find(INBOX).mailbox_id
    delivered = await account.commit(Append(inbox_id, await _mail()))
    first, second, _, answered, *_, last = delivered.uids
    await account.commit(StoreFlags(inbox_id, NumSet([first, second]), "+", ("\\Seen",)))
    await account.commit(StoreFlags(inbox_id, NumSet([answered]), "+", ("\\Seen", "\\Flagged")))
    await account.commit(StoreFlags(inbox_id, NumSet([last]), "+", ("\\Deleted",)))
    await account.commit(Expunge(inbox_id))


async def _mail() -> tuple[NewMessage, ...]:
    """Return the messages of the demo, in the order of their files."""
    folder = resources.files("modseq.cli") / "demo_mail"
    messages = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        octets = entry.read_bytes()
        moment, zone = header_moment(octets) or (None, None)
        messages.append(await intake(to_mailbox(octets), (), moment, zone))
    return tuple(messages)


async def _look(account: Account) -> Scene:
    """Find out what the guide can truthfully show."""
    meta = account.listing().find(INBOX)
    state = await account.mailbox(meta.mailbox_id)
    # Nothing is \Recent to whoever pastes the lines: the first answer is like every later one.
    await account.commit(ClaimRecent(meta.mailbox_id, state.uid_next))
    # Everything was delivered under the first number that the mailbox gave: what came later is the story.
    since = min(2, state.mod_seq)
    changes = await account.changes_since(meta.mailbox_id, since)
    claim_bit = state.flag_table.bit(CLAIM)
    claimed = 0 if claim_bit is None else 1 << claim_bit
    uids = list(state.index)
    free = [uid for uid in uids if (view := state.message(uid)) is not None and not view.flags & claimed]
    fetched = []
    for uid in sorted({*changes.appeared, *changes.changed}):
        view = state.message(uid)
        if view is not None:
            flags = " ".join(state.flag_table.names(view.flags))
            fetched.append((state.index.seq_of(uid) or 0, uid, flags, view.mod_seq))
    return Scene(
        uid_validity=meta.uid_validity,
        mod_seq=state.mod_seq,
        since=since,
        vanished=changes.vanished.to_bytes().decode() if changes.vanished else "",
        fetched=tuple(fetched),
        first_uid=uids[0] if uids else 1,
        claim_uid=(free or uids or [1])[0],
    )
