"""interimap: keeps two IMAP servers equal by QRESYNC; refuses servers that get it wrong."""

import subprocess

from imapclient import IMAPClient

from clients_support import PASSWORD, need

CONFIG = """\
database = {folder}/pair.db
list-select-opts = SUBSCRIBED
list-mailbox = *

[local]
type = imap
host = {host}
port = {port}
username = ann
password = "{password}"
STARTTLS = NO
compress = NO

[remote]
type = imap
host = {host}
port = {port}
username = ben
password = "{password}"
STARTTLS = NO
compress = NO
"""


def test_keeps_two_accounts_equal(served, mails, tmp_path):
    program = need("interimap", "interimap")
    config = tmp_path / "interimap.conf"
    text = CONFIG.format(host=served.host, port=served.port, password=PASSWORD, folder=tmp_path)
    config.write_text(text.replace(f'"{PASSWORD}"', PASSWORD).replace("list-select-opts = SUBSCRIBED\n", ""))
    config.chmod(0o600)

    def sync():
        done = subprocess.run([program, "--config", str(config)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stderr

    with (
        IMAPClient(served.host, port=served.port, ssl=False) as ann,
        IMAPClient(served.host, port=served.port, ssl=False) as ben,
    ):
        ann.login("ann", PASSWORD)
        ben.login("ben", PASSWORD)
        for mail in mails[:10]:
            ann.append("INBOX", mail)
        for mail in mails[10:]:
            ben.append("INBOX", mail, flags=[b"$Ben"])
        sync()
        for client in (ann, ben):
            client.select_folder("INBOX")
            assert len(client.search("ALL")) == 20
        ann.add_flags(ann.search(["SUBJECT", "Letter 3"]), [b"\\Flagged", b"$Ann"])
        ben.delete_messages(ben.search(["SUBJECT", "Letter 15"]))
        ben.expunge()
        sync()
        for client in (ann, ben):
            client.noop()
            assert len(client.search("ALL")) == 19
            assert len(client.search(["KEYWORD", "$Ann"])) == 1
            assert len(client.search(["KEYWORD", "$Ben"])) == 9
        sync()
