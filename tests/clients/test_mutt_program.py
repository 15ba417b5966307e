"""mutt: a person at a terminal, here driven through a pseudo-terminal."""

import os
import pty
import select
import subprocess
import time

from imapclient import IMAPClient

from clients_support import PASSWORD, need


def run_mutt(program, served, folder, push):
    """Run mutt with some keys pushed; return what it drew."""
    settings = folder / "muttrc"
    settings.write_text(
        f"set imap_user=ann\nset imap_pass='{PASSWORD}'\nset ssl_starttls=no\nset ssl_force_tls=no\n"
        f"set header_cache={folder}/cache\nset imap_condstore=yes\nset imap_qresync=yes\n"
        f"set folder={folder}\nset spoolfile=imap://{served.host}:{served.port}/INBOX\nset record=\nset wait_key=no\n"
        "set quit=yes\nset delete=yes\nset mail_check=1\nset abort_nosubject=no\n"
        f"push '{push}'\n"
    )
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [program, "-n", "-F", str(settings), "-f", f"imap://{served.host}:{served.port}/INBOX"],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "TERM": "vt100", "HOME": str(folder), "LINES": "40", "COLUMNS": "120"},
        close_fds=True,
        start_new_session=True,
    )
    os.close(child)
    drawn = b""
    until = time.monotonic() + 30
    try:
        while process.poll() is None:
            assert time.monotonic() < until, drawn
            if select.select([parent], [], [], 0.2)[0]:
                try:
                    drawn += os.read(parent, 65536)
                except OSError:
                    break
        assert process.wait(10) == 0, drawn
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(parent)
    return drawn


def test_reads_flags_and_deletes_and_comes_back(served, mails, tmp_path):
    program = need("mutt", "mutt")
    with IMAPClient(served.host, port=served.port, ssl=False) as other:
        other.login("ann", PASSWORD)
        other.select_folder("INBOX")
        for mail in mails:
            other.append("INBOX", mail)
        drawn = run_mutt(
            program,
            served,
            tmp_path,
            "<first-entry><flag-message><last-entry><delete-message><sync-mailbox><exit>",
        )
        assert b"Letter 1" in drawn
        other.noop()
        assert other.search("FLAGGED") == [1]
        assert len(other.search("ALL")) == 19
        # Another session changes the mailbox while mutt is away: its cache must follow by QRESYNC.
        other.delete_messages([5])
        other.expunge()
        other.append("INBOX", mails[0].replace(b"Letter 1", b"Letter 99"))
        drawn = run_mutt(program, served, tmp_path, "<last-entry><display-message><exit><quit>")
        assert b"Letter 99" in drawn
        assert b"Letter 5 " not in drawn
