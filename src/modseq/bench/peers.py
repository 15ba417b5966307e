"""The servers that are measured: this one, Dovecot where it is installed, or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from modseq import __version__, clock
from modseq.bench.connection import BenchFailed
from modseq.limits import BENCH_START_SECONDS_MAX

USER = "bench"
PASSWORD = "bench"  # noqa: S105 -- of an account that lives as long as the measurement, on the loopback

_DOVECOT = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_login_user = {login_user}
default_internal_group = {group}
mail_location = {format}:{place}/mail/%u
mail_uid = {mail_user}
mail_gid = {mail_group}
mail_fsync = always
first_valid_uid = 0
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={place}/mail/%u
}}
service imap-login {{
  chroot =
  process_min_avail = 2
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  user = {user}
  chroot =
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap {{
  process_limit = 1000
}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """
    A running server.

    Attributes:
        name: what the report calls it.
        version: as it tells itself, and how it stores.
        pid: of the process whose memory is measured; None where every session has its own or nothing is known.
        lmtp_port: where it takes deliveries, 0 where it does not.

    """

    name: str
    version: str
    host: str
    port: int
    pid: int | None = None
    lmtp_port: int = 0


Start = Callable[[], AbstractAsyncContextManager[Peer]]


@contextlib.asynccontextmanager
async def modseq(place: Path, workers: int) -> AsyncIterator[Peer]:
    """Run this server on an empty embedded store; sync is on."""
    program = [sys.executable, "-m", "modseq"]
    data, ready = place / "data", place / "ready.json"
    added = await asyncio.create_subprocess_exec(
        *program, "user", "add", USER, "--data", str(data), "--password-stdin",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    await added.communicate(PASSWORD.encode() + b"\n")
    if added.returncode:
        raise BenchFailed("modseq could not make an account")
    process = await asyncio.create_subprocess_exec(
        *program, "serve", "--data", str(data), "--imap", "127.0.0.1:0", "--lmtp", "127.0.0.1:0",
        "--allow-plaintext", "--workers", str(workers), "--ready-file", str(ready),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _until(lambda: ready.exists() and ready.stat().st_size > 0, process, "modseq")
        ports = {each["protocol"]: each["port"] for each in json.loads(ready.read_text())["listeners"]}
        version = f"{__version__}, Python {sys.version.split()[0]}, {workers} worker{'s' * (workers > 1)}"
        pid = process.pid if workers == 1 else None
        yield Peer("modseq", version, "127.0.0.1", ports["imap"], pid, ports["lmtp"])
    finally:
        await _stop(process)


def dovecot_program() -> str | None:
    """Return where Dovecot is installed, None where it is not."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.asynccontextmanager
async def dovecot(place: Path, storage: str = "mdbox") -> AsyncIterator[Peer]:
    """
    Run Dovecot with a configuration of its own and `mail_fsync = always`, so that it keeps what it acknowledges.

    Args:
        storage: its mailbox format: mdbox, sdbox or maildir.

    """
    program = dovecot_program()
    if program is None:
        raise BenchFailed("Dovecot is not installed (Debian's package dovecot-imapd)")
    short, port = _lay_out_dovecot(place, storage)
    process = await asyncio.create_subprocess_exec(
        program, "-F", "-c", str(place / "dovecot.conf"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _until(lambda: _greets(port), process, "Dovecot")
        told = await asyncio.create_subprocess_exec(program, "--version", stdout=subprocess.PIPE)
        version = (await told.communicate())[0].decode().split(" ")[0]
        yield Peer("dovecot", f"{version}, {storage}, mail_fsync=always", "127.0.0.1", port)
    finally:
        await _stop(process)
        _remove(short)


def _lay_out_dovecot(place: Path, storage: str) -> tuple[Path, int]:
    """Write Dovecot's configuration; return a short name of the place, to be removed, and the port."""
    user, login_user, mail_user = _dovecot_users()
    # Its Unix sockets have short names, and others than root must come through.
    short = Path(f"/tmp/modseq-bench-{os.getpid()}")  # noqa: S108 -- a link that this process makes and removes
    for folder in (place, place / "mail"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(place / "mail", mail_user, mail_user)
    short.symlink_to(place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (place / "dovecot.conf").write_text(
        _DOVECOT.format(
            place=short,
            user=user,
            login_user=login_user,
            group=user,
            mail_user=mail_user,
            mail_group=mail_user,
            format=storage,
            password=PASSWORD,
            port=port,
        )
    )
    return short, port


def _remove(link: Path) -> None:
    link.unlink()


def _dovecot_users() -> tuple[str, str, str]:
    """Return who runs Dovecot's services, its logins, and owns mail."""
    if os.geteuid() != 0:
        return (getpass.getuser(),) * 3
    users = ("dovecot", "dovenull", "mail")
    for name in users:
        try:
            pwd.getpwnam(name)
        except KeyError:
            raise BenchFailed(f"Dovecot's user {name} is not there") from None
    return users


@contextlib.asynccontextmanager
async def elsewhere(address: str) -> AsyncIterator[Peer]:
    """Take a server that runs already, at HOST:PORT, with a user `bench` whose password is `bench`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise BenchFailed(f"{address} is not HOST:PORT")
    yield Peer(address, "runs elsewhere", host, int(port))


async def _until(is_ready: Callable[[], bool], process: asyncio.subprocess.Process, name: str) -> None:
    until = clock.monotonic_seconds() + BENCH_START_SECONDS_MAX
    while not is_ready():
        if process.returncode is not None or clock.monotonic_seconds() > until:
            raise BenchFailed(f"{name} did not start")
        await asyncio.sleep(0.02)


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as link:
        link.settimeout(2)
        return link.recv(4) == b"* OK"
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), BENCH_START_SECONDS_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
