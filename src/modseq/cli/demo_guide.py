"""The text that `modseq demo` prints: what to paste, and what will be seen."""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN_MAX = 6
"""Lines of an answer that the guide spells out."""

_TALK = """\
talk() { python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(sys.stdin.read().replace("\\n", "\\r\\n").encode())
print(s.makefile(newline="\\n").read().replace("\\r", ""))' "$@"; }"""


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What stands in the mailbox of the demo.

    Attributes:
        uid_validity: of INBOX.
        mod_seq: its HIGHESTMODSEQ now.
        since: the mod-sequence from which the guide asks for changes.
        vanished: UIDs expunged since, as a set.
        fetched: sequence number, UID, flags and MODSEQ of each message that changed or came since.
        first_uid: of a message to read.
        claim_uid: of a message to claim.

    """

    uid_validity: int
    mod_seq: int
    since: int
    vanished: str
    fetched: tuple[tuple[int, int, str, int], ...]
    first_uid: int
    claim_uid: int


def guide(scene: Scene, user: str, password: str, data: str, *, imap: str, lmtp: str) -> str:
    """Return the guide for a running server."""
    login = f"a LOGIN {user} {password}"
    changed = [
        f"* {seq} FETCH (UID {uid} FLAGS ({flags}) MODSEQ ({mod_seq}))"
        for seq, uid, flags, mod_seq in scene.fetched
    ]
    vanished = [f"* VANISHED (EARLIER) {scene.vanished}"] if scene.vanished else []
    return f"""
modseq is running. IMAP: {imap}   LMTP: {lmtp}   mail: {data}
User: {user}   Password: {password}   (new at each start)     Ctrl-C stops it.

Paste into another terminal:

1. Read mail with curl: flags and the number of the last change of each message, then a message.

curl -s -u {user}:{password} imap://{imap}/INBOX -X 'UID FETCH 1:* (FLAGS MODSEQ)'
curl -s -u {user}:{password} 'imap://{imap}/INBOX;UID={scene.first_uid}'

2. Or with mutt:

mutt -e 'set ssl_force_tls=no ssl_starttls=no' -f imap://{user}:{password}@{imap}/INBOX

3. For the rest, a way to talk to the server by hand:

{_TALK}

4. QRESYNC: you were away since change {scene.since}. What happened? One round trip:

talk {_words(imap)} <<'END'
{login}
b ENABLE QRESYNC
c SELECT INBOX (QRESYNC ({scene.uid_validity} {scene.since}))
z LOGOUT
END

   you see, among the usual lines of SELECT:
{_shown([f"* OK [HIGHESTMODSEQ {scene.mod_seq}] ...", *vanished, *changed])}
5. CONDSTORE: claim a message for yourself, but only if nobody else has it:

talk {_words(imap)} <<'END'
{login}
b SELECT INBOX (CONDSTORE)
c UID STORE {scene.claim_uid} (UNCHANGEDSINCE 0) +FLAGS ($Claimed)
z LOGOUT
END

   the first time it is yours, and you see the number of your change (a higher one if more has happened):
{_shown([f"* ... FETCH (UID {scene.claim_uid} FLAGS (... $Claimed) MODSEQ ({scene.mod_seq + 1}))", "c OK ..."])}
   paste it again and you are too late: somebody has set it before.
{_shown([f"c OK [MODIFIED {scene.claim_uid}] ..."])}
6. Deliver a message. A mail program that is open shows it at once:

talk {_words(lmtp)} <<'END'
LHLO localhost
MAIL FROM:<me@example.org>
RCPT TO:<{user}>
DATA
From: me@example.org
To: {user}@example.org
Subject: By hand

Delivered by LMTP.
.
QUIT
END

   you see after the final dot:
{_shown(["250 2.1.5 Stored"])}"""


def _words(address: str) -> str:
    """Return host and port as two words for a shell."""
    host, _, port = address.rpartition(":")
    return f"{host.strip('[]')} {port}"


def _shown(lines: list[str]) -> str:
    """Return lines of the server, set off from what is to be pasted."""
    shown = lines[:_SHOWN_MAX]
    if len(lines) > len(shown):
        shown.append("...")
    return "".join(f"     {line}\n" for line in shown)
