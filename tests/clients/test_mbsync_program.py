"""mbsync (isync): a Maildir that follows a mailbox, and back."""

import subprocess
from pathlib import Path

from imapclient import IMAPClient

from clients_support import PASSWORD, need

CONFIG = """\
IMAPAccount it
Host {host}
Port {port}
User ann
Pass "{password}"
SSLType None

IMAPStore far
Account it

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def bodies(folder: Path) -> list[bytes]:
    """The messages of a Maildir without the line that mbsync adds to find them again."""
    found = []
    for part in ("cur", "new"):
        for path in (folder / part).iterdir():
            lines = path.read_bytes().split(b"\n")
            found.append(b"\n".join(line for line in lines if not line.startswith(b"X-TUID:")))
    return sorted(found)


def test_follows_both_ways(served, mails, tmp_path):
    program = need("mbsync", "isync")
    folder = tmp_path / "maildir"
    folder.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(CONFIG.format(host=served.host, port=served.port, password=PASSWORD, folder=folder))

    def sync():
        done = subprocess.run([program, "-c", str(config), "all"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr

    with IMAPClient(served.host, port=served.port, ssl=False) as other:
        other.login("ann", PASSWORD)
        other.select_folder("INBOX")
        for mail in mails:
            other.append("INBOX", mail)
        sync()
        here = bodies(folder / "INBOX")
        assert here == sorted(mail.replace(b"\r\n", b"\n") for mail in mails)
        other.add_flags([2], [b"\\Seen"])
        other.delete_messages([4])
        other.expunge()
        sync()
        assert len(bodies(folder / "INBOX")) == 19
        assert any(path.name.endswith(":2,S") for path in (folder / "INBOX" / "cur").iterdir())
        (folder / "INBOX" / "new" / "1700000000.1_1.here").write_bytes(b"Subject: from here\n\nnew\n")
        sync()
        other.noop()
        assert len(other.search(["SUBJECT", "from here"])) == 1
