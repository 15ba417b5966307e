"""A client that keeps a copy of a mailbox by what RFC 7162 section 6 says, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from modseq.check.connection import Connection, Line, Target
from modseq.check.match import is_earlier, vanished
from modseq.check.response import Response
from modseq.check.server import Mailboxes
from modseq.check.trial import fetched

_SESSIONS_SHOWN = 2
_LINES_SHOWN = 60


class Replica:
    """
    UIDs and flags as a client knows them, and the mod-sequence from which it asks next.

    Attributes:
        flags: by UID.
        mod_seq: what section 6 tells the client to store.
        wrong: what no server may say, as sentences.
        count: how many times it resynchronised.

    """

    def __init__(self, target: Target, box: str) -> None:
        self._target = target
        self._box = box
        self.flags: dict[int, frozenset[str]] = {}
        self.uid_validity = ""
        self.mod_seq = 0
        self.wrong: list[str] = []
        self.count = 0
        self._exists = 0
        self._next = 1
        """All messages below this UID are known: new ones are looked for from here on."""
        self._transcripts: list[list[Line]] = []

    def begin(self) -> None:
        """Learn the whole mailbox once."""
        connection = self._open()
        try:
            self._opened(connection.run(f"SELECT {self._box} (CONDSTORE)"))
            self._learn_new(connection)
        finally:
            connection.close()

    def resynchronise(self, *, noops: int) -> None:
        """
        Come back, learn what changed, follow for some NOOPs, and be cut off without a word.

        RFC: 7162 section 6
        """
        self.count += 1
        connection = self._open()
        try:
            known = f"{self.uid_validity} {max(1, self.mod_seq)}"
            came = connection.run(f"SELECT {self._box} (QRESYNC ({known}))")
            self._opened(came)
            self._learn_new(connection)
            for _ in range(noops):
                self._take(connection.run("NOOP"), is_unsolicited=True)
                if self._exists > len(self.flags):
                    self._learn_new(connection)
        finally:
            connection.close()

    def last_lines(self) -> list[Line]:
        """Return what was said in the last sessions, as much as a reader wants."""
        return [line for each in self._transcripts for line in each][-_LINES_SHOWN:]

    def _open(self) -> Connection:
        lines: list[Line] = []
        self._transcripts = [*self._transcripts, lines][-_SESSIONS_SHOWN:]
        connection = self._target.login(transcript=lines)
        connection.run("ENABLE QRESYNC")
        return connection

    def _opened(self, came: Sequence[Response]) -> None:
        self._exists = 0
        for each in came:
            if each.code and str(each.code[0]).upper() == "UIDVALIDITY":
                self.uid_validity = str(each.code[1])
        self._take(came, is_unsolicited=True)

    def _learn_new(self, connection: Connection) -> None:
        """Discover new messages; `n:*` names the last known one as well."""
        self._take(connection.run(f"UID FETCH {self._next}:* (FLAGS)"), is_unsolicited=False)
        self._next = max(self._next, max(self.flags, default=0) + 1)

    def _take(self, came: Sequence[Response], *, is_unsolicited: bool) -> None:
        """Apply responses, then calculate where the client stands."""
        told = 0
        highest = None
        for each in came:
            if each.name == "VANISHED":
                self._gone(each)
            elif each.name == "EXISTS":
                self._exists = int(each.number or 0)
            elif each.name == "FETCH":
                told = max(told, self._fetched(each))
            elif each.code and str(each.code[0]).upper() == "HIGHESTMODSEQ" and len(each.code) > 1:
                highest = int(str(each.code[1]))
        if highest is not None:
            self.mod_seq = highest
        elif is_unsolicited:
            self.mod_seq = max(self.mod_seq, told)

    def _gone(self, response: Response) -> None:
        uids = vanished(response)
        if uids is None:
            self.wrong.append(f"not a set of UIDs: {response.raw}")
            return
        if not is_earlier(response):
            unknown = uids - self.flags.keys()
            self._exists -= len(uids)
            if unknown and self._exists < 0:
                self.wrong.append(f"VANISHED names what was never announced: {response.raw}")
        for uid in uids:
            self.flags.pop(uid, None)

    def _fetched(self, response: Response) -> int:
        items = fetched(response)
        uid, flags = items.get("UID"), items.get("FLAGS")
        if isinstance(uid, str) and isinstance(flags, list):
            self.flags[int(uid)] = _plain(flags)
        elif isinstance(uid, str):
            self.wrong.append(f"a change without its flags: {response.raw}")
        else:
            self.wrong.append(f"a FETCH without UID: {response.raw}")
        return int(str(items.get("MODSEQ", "0")))


def _plain(flags: Sequence[object]) -> frozenset[str]:
    return frozenset(str(flag).upper() for flag in flags) - {"\\RECENT"}


def truth(mailboxes: Mailboxes, box: str) -> dict[int, frozenset[str]]:
    """Return the flags of all messages by UID, asked without any knowledge."""
    mailboxes.run(f"EXAMINE {box}")
    real: dict[int, frozenset[str]] = {}
    for each in mailboxes.run("UID FETCH 1:* (FLAGS)"):
        if each.name == "FETCH":
            items = fetched(each)
            flags = items.get("FLAGS")
            if isinstance(flags, list):
                real[int(str(items["UID"]))] = _plain(flags)
    mailboxes.leave()
    return real
