"""curl: one command, one connection."""

import subprocess

from clients_support import PASSWORD, need


def curl(served, path, *words):
    program = need("curl", "curl")
    url = f"imap://{served.host}:{served.port}/{path}"
    return subprocess.run(
        [program, "-sS", "--max-time", "20", "-u", f"ann:{PASSWORD}", url, *words],
        capture_output=True,
        timeout=30,
    )


def test_append_list_search_fetch_store(served, mails, tmp_path):
    letter = tmp_path / "letter.eml"
    letter.write_bytes(mails[0])
    assert curl(served, "INBOX", "-T", str(letter)).returncode == 0
    assert b"INBOX" in curl(served, "").stdout
    assert curl(served, "INBOX;UID=1").stdout == mails[0]
    assert b"SEARCH 1" in curl(served, "INBOX", "-X", "UID SEARCH SUBJECT Letter").stdout
    stored = curl(served, "INBOX", "-X", r"STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)")
    assert b"MODSEQ" in stored.stdout
    assert b"$Claimed" in curl(served, "INBOX", "-X", "FETCH 1 FLAGS").stdout


def test_wrong_password_is_refused(served):
    program = need("curl", "curl")
    done = subprocess.run(
        [program, "-sS", "--max-time", "20", "-u", "ann:wrong", f"imap://{served.host}:{served.port}/"],
        capture_output=True,
    )
    assert done.returncode == 67
