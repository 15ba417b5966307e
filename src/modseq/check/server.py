"""What the checker knows of the server under test, and the mailboxes that it makes there and takes away."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from modseq import clock
from modseq.check.connection import (
    Connection,
    LoginRefused,
    ServerBroke,
    ServerClosed,
    ServerSilent,
    Target,
    untagged,
)
from modseq.check.response import Response, numbers_of, pairs
from modseq.limits import CHECK_REMOVAL_SECONDS

FAILURES = (OSError, ServerClosed, ServerSilent, ServerBroke, LoginRefused)
"""What a connection may die of."""

IMPLIED = {
    "QRESYNC": ("CONDSTORE", "ENABLE"),
    "IMAP4REV2": (
        "NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "ENABLE", "IDLE", "SASL-IR",
        "LIST-EXTENDED", "LIST-STATUS", "MOVE", "LITERAL-", "BINARY", "SPECIAL-USE", "STATUS=SIZE",
    ),
    "CONTEXT=SORT": ("ESORT",),
}  # fmt: skip
"""What a capability includes: RFC 7162 section 3.2.3, RFC 9051 appendix E, RFC 5267 section 3.1."""

KEYWORDS = "KEYWORDS"
"""Stands among the capabilities where clients may create keywords (PERMANENTFLAGS holds \\*)."""


class SetUpFailed(Exception):
    """The server refused what a case needs to begin: the text says what."""


@dataclass(frozen=True)
class Facts:
    """
    What was learnt before the first case.

    Attributes:
        capabilities: in capitals, with those that others include.
        name, greeting: how the server calls itself.
        prefix: where the checker's mailboxes go: the personal namespace.

    """

    capabilities: frozenset[str]
    greeting: str
    name: str
    prefix: str
    separator: str

    def offers(self, needs: Sequence[Sequence[str]]) -> str | None:
        """Return what the server lacks of what is needed; None when it lacks nothing."""
        for group in needs:
            if not any(each.upper() in self.capabilities for each in group):
                return "|".join(group)
        return None


def message(number: int, *, octets: int = 0) -> bytes:
    """Return a small message; each number has its own subject, sender and date."""
    body = f"This is message {number} of a conformance check.\r\n"
    body += "x" * max(0, octets - len(body))
    return (
        f"Date: Mon, {1 + number % 28:02d} Jan 2024 12:{number // 60 % 60:02d}:{number % 60:02d} +0000\r\n"
        f"From: checker{number}@example.org\r\nTo: somebody@example.org\r\n"
        f"Subject: message {number}\r\nMessage-ID: <{number}.check@example.org>\r\n\r\n{body}"
    ).encode()


@dataclass
class Mailboxes:
    """
    Makes and removes mailboxes on a connection of its own.

    Every name carries a token that nobody can guess, and only names with this token are ever removed: no
    mailbox that was there before is touched.
    """

    target: Target
    prefix: str = ""
    token: str = field(default_factory=lambda: clock.random_token(4))
    made: list[str] = field(default_factory=list)
    _connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the connection for set-up, made again if it broke."""
        if self._connection is None:
            self._connection = self.target.login()
        return self._connection

    def run(self, command: str, literals: tuple[bytes, ...] = ()) -> list[Response]:
        """
        Run a command for set-up.

        Raises: SetUpFailed when the server refuses it, or the connection breaks twice.
        """
        for attempt in (1, 2):
            connection = self.connection()
            connection.transcript.clear()
            try:
                came = connection.run(command, literals)
            except FAILURES as error:
                self.drop()
                if attempt == 2:
                    raise SetUpFailed(f"{_short(command)}: {error}") from error
                continue
            if came[-1].name != "OK":
                raise SetUpFailed(f"{_short(command)} was answered {came[-1].raw}")
            return came
        raise AssertionError

    def drop(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def create(self, name: str) -> str:
        """Make a mailbox; returns its whole name."""
        whole = f"{self.prefix}modseq-check-{self.token}-{name}"
        self.made.append(whole)
        self.run(f"CREATE {whole}")
        return whole

    def append(self, mailbox: str, numbers: Sequence[int], *, octets: int = 0) -> None:
        """Put messages into a mailbox, many in one go where the server takes that."""
        connection = self.connection()
        if "LITERAL+" not in connection.capabilities:
            for number in numbers:
                self.run(f"APPEND {mailbox} " + "{{}}", (message(number, octets=octets),))
            return
        for at in range(0, len(numbers), _PIPELINE):
            batch = numbers[at : at + _PIPELINE]
            out = b""
            for number in batch:
                octet_string = message(number, octets=octets)
                out += b"p%d APPEND %b {%d+}\r\n%b\r\n" % (
                    number,
                    mailbox.encode(),
                    len(octet_string),
                    octet_string,
                )
            connection.transcript.clear()
            try:
                connection.send_octets(out)
                for number in batch:
                    answer = connection.until(f"p{number}")[-1]
                    if answer.name != "OK":
                        raise SetUpFailed(f"APPEND was answered {answer.raw}")
            except FAILURES as error:
                self.drop()
                raise SetUpFailed(f"APPEND: {error}") from error

    def uids(self, mailbox: str) -> list[int]:
        r"""Return the UIDs of a mailbox; afterwards none of its messages is \Recent, and none is selected."""
        self.run(f"SELECT {mailbox}")
        return _searched(self.run("UID SEARCH ALL"))

    def leave(self) -> None:
        """Leave the selected mailbox and expunge nothing."""
        connection = self.connection()
        if "UNSELECT" in connection.capabilities or "IMAP4REV2" in connection.capabilities:
            self.run("UNSELECT")
        else:
            self.drop()

    def status(self, mailbox: str, items: str) -> dict[str, str]:
        """Return STATUS items by name."""
        for each in untagged(self.run(f"STATUS {mailbox} ({items})"), "STATUS"):
            if len(each.words) == 2 and isinstance(each.words[1], list):
                return {name: str(value) for name, value in pairs(each.words[1]).items()}
        raise SetUpFailed("STATUS was answered without a STATUS response")

    def remove(self, names: Sequence[str] | None = None) -> list[str]:
        """Remove mailboxes made here (all without `names`); returns those that could not be removed."""
        left: list[str] = []
        for name in list(names if names is not None else self.made):
            assert self.token in name
            with contextlib.suppress(ValueError):
                self.made.remove(name)
            try:
                self.run(f"DELETE {name}")
            except SetUpFailed as error:
                if "[NONEXISTENT]" not in str(error).upper():
                    left.append(name)
            except FAILURES:
                left.append(name)
        return left

    def remove_late(self, names: Sequence[str]) -> list[str]:
        """
        Try once more, a moment later, to remove what could not be removed.

        A server that keeps deleted mailboxes under the second of their deletion refuses to delete one name
        twice in a second.
        """
        if not names:
            return []
        threading.Event().wait(CHECK_REMOVAL_SECONDS)
        return self.remove(names)

    def remove_family(self, mailbox: str) -> list[str]:
        """Remove a mailbox and those whose names begin with its name: what a case made or renamed."""
        try:
            names = [str(each.words[2]) for each in untagged(self.run(f'LIST "" "{mailbox}*"'), "LIST")]
        except (SetUpFailed, *FAILURES):
            names = [mailbox]
        ours = [name for name in names if self.token in name]
        if mailbox in self.made and mailbox not in ours:
            self.made.remove(mailbox)
        return self.remove(sorted(ours, reverse=True))


_PIPELINE = 50
"""APPENDs sent ahead: below what fills the buffers of a server that answers before it reads on."""


def _short(command: str) -> str:
    return " ".join(command.split()[:2])


def _searched(came: list[Response]) -> list[int]:
    for each in came:
        if each.name == "SEARCH":
            return [int(str(word)) for word in each.words if str(word).isdigit()]
        if each.name == "ESEARCH":
            words = [str(word) for word in each.words]
            if "ALL" in words:
                return sorted(numbers_of(words[words.index("ALL") + 1]) or ())
    return []


def learn(target: Target) -> Facts:
    """
    Ask the server who it is and what it offers.

    Raises: OSError, ServerClosed, ServerSilent, LoginRefused when there is no way in.
    """
    connection = target.login()
    try:
        capabilities = set(connection.capabilities)
        for each in list(capabilities):
            capabilities.update(IMPLIED.get(each, ()))
        prefix, separator = _namespace(connection, capabilities)
        name = ""
        if "ID" in capabilities:
            for response in untagged(connection.run("ID NIL"), "ID"):
                words = response.words[0] if response.words else None
                if isinstance(words, list):
                    fields = {str(key).lower(): str(value) for key, value in pairs(words).items()}
                    name = " ".join(filter(None, (fields.get("name"), fields.get("version"))))
        greeting = connection.greeting.raw if connection.greeting else ""
        return Facts(frozenset(capabilities), greeting, name, prefix, separator)
    finally:
        connection.log_out()


def with_keywords(facts: Facts, mailboxes: Mailboxes) -> Facts:
    """Return facts that say whether clients may create keywords, tried in a mailbox of the checker's own."""
    name = mailboxes.create("probe")
    try:
        came = mailboxes.run(f"SELECT {name}")
        mailboxes.leave()
    finally:
        mailboxes.remove([name])
    if any(each.code and "\\*" in str(each.code) for each in came):
        return Facts(
            facts.capabilities | {KEYWORDS}, facts.greeting, facts.name, facts.prefix, facts.separator
        )
    return facts


def _namespace(connection: Connection, capabilities: set[str]) -> tuple[str, str]:
    if "NAMESPACE" in capabilities:
        for each in untagged(connection.run("NAMESPACE"), "NAMESPACE"):
            personal = each.words[0] if each.words else None
            if isinstance(personal, list) and personal and isinstance(personal[0], list):
                return str(personal[0][0]), str(personal[0][1])
    for each in untagged(connection.run('LIST "" ""'), "LIST"):
        return "", str(each.words[1])
    return "", "/"
