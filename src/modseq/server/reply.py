"""How a command ends: the tagged reply, at once or after a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["OK", "NO", "BAD"]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The tagged reply of one command.

    Grammar: response-tagged = tag SP resp-cond-state CRLF
    RFC: 3501 section 7.1
    """

    kind: Kind
    text: str
    code: bytes = b""
    """The response code without its brackets: `b"READ-WRITE"`, `b"MODIFIED 7,9"`."""
    after: Callable[[], Awaitable[None]] | None = None
    """What the session does once the reply is written: STARTTLS."""
    mod_seq_ahead_max: int | None = None
    """The highest HIGHESTMODSEQ that may be told ahead of this reply; None for no bound."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """
    A command that has been checked and waits for its commit.

    `commit` is under way and, where the same command stands behind this one in the
    input, the commits of those too, so that all of them share one batch. `finish` then runs in the
    order of the commands, writes what the client must see, and gives the reply, at once where nothing
    needs to be waited for. An error of either is mapped like an error of the handler.
    """

    commit: Awaitable[Any]
    finish: Callable[[Any], Reply | Awaitable[Reply]]

    @property
    def stands_in_line(self) -> bool:
        """True when the operation has its place in the next batch: what is submitted later comes later."""
        return isinstance(self.commit, asyncio.Future)

    def forsake(self) -> None:
        """Wait no more. What stands in line is carried out: half of a batch cannot be taken back."""
        if isinstance(self.commit, asyncio.Future):
            self.commit.add_done_callback(_retrieve)
        elif asyncio.iscoroutine(self.commit):
            self.commit.close()


def _retrieve(commit: asyncio.Future[Any]) -> None:
    """Take a future's error so that asyncio does not report it as forgotten."""
    if not commit.cancelled():
        commit.exception()


class CommandRefused(Exception):
    """Raised by a handler to end the command with NO or BAD wherever it stands."""

    def __init__(self, text: str, code: bytes = b"", kind: Kind = "NO") -> None:
        super().__init__(text)
        self.reply = Reply(kind, text, code)


class SessionEnds(Exception):
    """Raised to end the session with BYE: the client would otherwise believe something untrue."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def ok(text: str, code: bytes = b"") -> Reply:
    """Return a reply that the command was carried out."""
    return Reply("OK", text, code)


def no(text: str, code: bytes = b"") -> Reply:
    """Return a reply that the command could not be carried out."""
    return Reply("NO", text, code)


def bad(text: str, code: bytes = b"") -> Reply:
    """Return a reply that the command makes no sense here."""
    return Reply("BAD", text, code)
