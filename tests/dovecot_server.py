"""
Debian's Dovecot with a configuration of its own, on a free loopback port, stopped by its process id.

    with dovecot(tmp_path) as server:
        server.host, server.port; users ann and ben, password PASSWORD
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients_support import PASSWORD, need

START_SECONDS_MAX = 20.0
_CONFIG = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
mail_location = maildir:{place}/mail/%u
mail_uid = {mail_user}
mail_gid = {mail_group}
first_valid_uid = 0
mailbox_list_index = yes
mail_max_userip_connections = 100
{more}
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
  process_min_avail = 1
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
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
  process_limit = 200
}}
"""


@dataclass
class Dovecot:
    """A running Dovecot."""

    host: str
    port: int
    tls_port: int
    place: Path
    process: subprocess.Popen[bytes]
    program: str

    def log(self) -> str:
        path = self.place / "dovecot.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def dovecot(
    place: Path, *, certificate: tuple[Path, Path] | None = None, more: str = ""
) -> Iterator[Dovecot]:
    """
    Run Dovecot, linked to as `place`/dovecot; skips the test where it is not installed and cannot be.

    Args:
        certificate: files of a chain and its key: STARTTLS, and implicit TLS on `tls_port`.
        more: further lines of configuration.

    """
    program = need("dovecot", "dovecot-imapd")
    if os.geteuid() != 0:
        user = pwd.getpwuid(os.geteuid()).pw_name
        mail_user = user
    else:
        try:
            user, mail_user = "dovenull", "mail"
            pwd.getpwnam(user)
            pwd.getpwnam(mail_user)
        except KeyError:
            pytest.skip("Dovecot's users dovenull and mail are not there")
    # Below a folder of its own: Unix sockets have short names, and every run of pytest closes the folder of all
    # tests to everybody but its owner, also while Dovecot reads mail in it as another user.
    home = Path(tempfile.mkdtemp(prefix="dovecot-"))
    home.chmod(0o755)
    place.mkdir(parents=True, exist_ok=True)
    (place / "dovecot").symlink_to(home)
    mail = home / "mail"
    mail.mkdir()
    if os.geteuid() == 0:
        shutil.chown(mail, mail_user, mail_user)
    port, tls_port = free_port(), free_port()
    config = home / "dovecot.conf"
    lines = f"ssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}" if certificate else ""
    config.write_text(
        _CONFIG.format(
            place=home,
            user=user,
            group=user,
            mail_user=mail_user,
            mail_group=mail_user,
            password=PASSWORD.replace(" ", "_"),
            port=port,
            tls_port=tls_port if certificate else 0,
            ssl="yes" if certificate else "no",
            certificate=lines,
            more=more,
        )
    )
    process = subprocess.Popen(
        [program, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = Dovecot("127.0.0.1", port, tls_port, home, process, program)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        shutil.rmtree(home, ignore_errors=True)


DOVECOT_PASSWORD = PASSWORD.replace(" ", "_")


def _wait(server: Dovecot) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        assert server.process.poll() is None, f"Dovecot ended: {server.log()}"
        with contextlib.suppress(OSError), socket.create_connection((server.host, server.port), 1) as sock:
            sock.settimeout(2)
            if sock.recv(4) == b"* OK":
                return
        time.sleep(0.05)
    raise AssertionError(f"Dovecot is not ready: {server.log()}")
