"""
What LMTP's octets mean: replies, paths, parameters and the content of a message on its way.

Pure functions and values; the order in which commands may come is the affair of `wire.lmtp`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One reply: its code, its enhanced status code ("" for the replies that have none) and its text.

    Grammar: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
    RFC: 5321 section 4.2
    """

    code: int
    status: str
    text: str

    def encode(self) -> bytes:
        """Return the reply as the octets that are sent; lines of `text` become lines of the reply."""
        lead = f"{self.status} " if self.status else ""
        lines = self.text.split("\n")
        last = len(lines) - 1
        return "".join(
            f"{self.code}{' ' if number == last else '-'}{lead}{line}\r\n"
            for number, line in enumerate(lines)
        ).encode()


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox as MAIL or RCPT names it."""

    local: str
    """The local part without its quotes: `"a b"@x` and `a\\ b` name `a b`. Empty in the null return path."""
    domain: str
    """Empty where the address has none, as local delivery may leave it out."""
    path: str
    """The address as it was written, without angle brackets and source route: for Return-Path."""


class SyntaxRefused(Exception):
    """A command that cannot be understood; `reply` says what was expected."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


# UTF-8 beyond ASCII is let in by the pattern and refused later unless SMTPUTF8 was asked for. Dots may
# stand anywhere in a local part: some carriers give out such addresses, and the mail is already here.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\u00a0-\U0010ffff]+"
_QUOTED = r'"(?:[ !#-\[\]-~\u00a0-\U0010ffff]|\\[ -~])*"'
_DOMAIN = r"(?:[A-Za-z0-9._\-\u00a0-\U0010ffff]+|\[[A-Za-z0-9.:\-]+\])"
_PATH = re.compile(
    rf"[ ]*<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?(?P<mailbox>(?P<local>{_ATOM}|{_QUOTED})(?:@(?P<domain>{_DOMAIN}))?)?>"
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~\u00a0-\U0010ffff]+))?")

NULL_SENDER = Address("", "", "")
"""The return path of bounces: nobody is told when such a message cannot be delivered."""


def path(text: str) -> tuple[Address | None, str]:
    """
    Return the address at the start of the text and what follows it; None when there is none.

    A source route is read and forgotten, as the RFC wants. `<>` is NULL_SENDER.

    Grammar: Path = "<" [ A-d-l ":" ] Mailbox ">"
    RFC: 5321 section 4.1.2
    """
    match = _PATH.match(text)
    if match is None:
        return None, text
    rest = text[match.end() :]
    mailbox = match["mailbox"]
    if mailbox is None:
        # A route without a mailbox is nothing; only "<>" itself is the null path.
        return (NULL_SENDER, rest) if match[0].endswith("<>") else (None, text)
    local = match["local"]
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return Address(local, match["domain"] or "", mailbox), rest


def esmtp_parameters(text: str) -> dict[str, str | None]:
    """
    Return the parameters after a path, their names in upper case.

    Grammar: Mail-parameters = esmtp-param *(SP esmtp-param)
    RFC: 5321 section 4.1.2, 4.1.1.11
    Raises: SyntaxRefused when the text is not a list of parameters or names one twice.
    """
    found: dict[str, str | None] = {}
    for word in filter(None, text.split(" ")):
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in found:
            raise SyntaxRefused(
                Reply(501, "5.5.4", "Each parameter stands once, as KEYWORD or KEYWORD=value")
            )
        found[match[1].upper()] = match[2]
    return found


class Unstuffer:
    """
    Finds the end of the message and removes the dots that the client put before lines that begin with one.

    Octets may arrive in pieces of any size. Only what could be the beginning of the end is held back: at
    most four octets.

    RFC: 5321 section 4.5.2, 2.3.8, 4.1.1.4
    """

    __slots__ = ("_held", "_started")

    _END = b"\r\n.\r\n"

    def __init__(self) -> None:
        # The CRLF of the DATA line counts as the one before the first line of the message.
        self._held = b"\r\n"
        self._started = False

    def feed(self, octets: bytes) -> tuple[bytes, int | None]:
        """Return content that is complete, and how many of `octets` belong to it (None: all, no end yet)."""
        window = self._held + octets
        end = window.find(self._END)
        if end >= 0:
            content = window[: end + 2]
            consumed: int | None = end + len(self._END) - len(self._held)
            self._held = b""
        else:
            kept = next(n for n in (4, 3, 2, 1, 0) if window.endswith(self._END[:n]))
            content = window[: len(window) - kept]
            consumed = None
            self._held = window[len(window) - kept :]
        # Every CRLF "." lies wholly in one window, because its beginnings are held back.
        content = content.replace(b"\r\n.", b"\r\n")
        if content and not self._started:
            self._started = True
            content = content[2:]
        return content, consumed
