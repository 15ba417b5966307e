"""The table of commands: one row beside each handler, from which everything else is computed.

Dispatch, CAPABILITY and the command reference read these rows; nothing else in the server names a
command. A capability that no command stands for has a row of its own, `advertise`, beside the code
that implements it.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from modseq.limits import LITERAL_BYTES_MAX
from modseq.wire.values import Command

if TYPE_CHECKING:
    from modseq.server.reply import Reply, Submitted
    from modseq.server.session import Session


class State(enum.Enum):
    """
    Where a session stands.

    RFC: 3501 section 3
    """

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


ANY_STATE = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
BEFORE_LOGIN = frozenset({State.NOT_AUTHENTICATED})
AFTER_LOGIN = frozenset({State.AUTHENTICATED, State.SELECTED})
WHILE_SELECTED = frozenset({State.SELECTED})

Family: TypeAlias = Literal["access", "mailbox", "select", "fetch", "search", "store", "transfer", "idle"]
Handler: TypeAlias = "Callable[[Session, Command], Result | Awaitable[Result]]"
"""A coroutine function, or a plain one where a command never waits before it submits its operation."""

Result: TypeAlias = "Reply | Submitted"
Test: TypeAlias = Callable[[Command], bool]
Shown: TypeAlias = "Callable[[Session], bool]"
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


def never(command: Command) -> bool:  # noqa: ARG001 -- a constant with the shape of a test
    """Answer no for every command."""
    return False


def always(command: Command) -> bool:  # noqa: ARG001 -- a constant with the shape of a test
    """Answer yes for every command."""
    return True


@dataclass(frozen=True, slots=True)
class Row:
    """
    What the server knows of one command before it runs.

    RFC: 7162 section 3.1, 3.2.10
    """

    name: str
    """As in the command line, in capitals; `UID FETCH` and `FETCH` are two rows."""
    family: Family
    states: frozenset[State]
    handler: Handler
    uses_sequence_numbers: Test
    """Whether sequence numbers stand in this command or its answer."""
    may_vanish: Test
    """Whether EXPUNGE or VANISHED may be sent while this command runs."""
    condstore_enabling: Test
    """Whether this command makes the client CONDSTORE-aware."""
    closes_mailbox: bool
    """Whether the command leaves the selected mailbox before it does anything else."""
    answers_before_refresh: bool
    """Whether the command needs nothing of the account: no catching up with other processes before it."""
    joins_batch: bool
    """Whether the same command behind this one may be submitted before this one has its answer."""
    literal_bytes_max: int
    """Octets that one literal of the command may have."""
    rfc: tuple[str, ...]
    """Sections that define it, each as `3501 section 6.4.6`."""
    capabilities: tuple[str, ...] = ()
    """Words that the command stands for in CAPABILITY."""


@dataclass(frozen=True, slots=True)
class Capability:
    """A word of the CAPABILITY answer and when it is shown."""

    name: str
    shown: Shown
    rfc: str


_rows: dict[str, Row] = {}
_capabilities: dict[str, Capability] = {}


def _as_test(given: bool | Test) -> Test:
    if callable(given):
        return given
    return always if given else never


def command(
    name: str,
    *,
    family: Family,
    states: Iterable[State],
    rfc: str | tuple[str, ...],
    capability: str | tuple[str, ...] = (),
    shown: Shown | None = None,
    uses_sequence_numbers: bool | Test = False,
    may_vanish: bool | Test = True,
    condstore_enabling: bool | Test = False,
    closes_mailbox: bool = False,
    answers_before_refresh: bool = False,
    joins_batch: bool = False,
    literal_bytes_max: int = LITERAL_BYTES_MAX,
) -> Callable[[HandlerT], HandlerT]:
    """
    Register a handler under a command name; see Row for the meaning of each field.

    Args:
        name: in capitals, `UID FETCH` for the UID form; decorate twice where one handler serves both.
        states: in which of them the command is legal.
        rfc: the sections that define it.
        capability: words that the command stands for in CAPABILITY.
        shown: when those words are shown; by default at all times.

    """

    def register(handler: HandlerT) -> HandlerT:
        if name in _rows:
            raise ValueError(f"the command {name} has two handlers")
        sections = (rfc,) if isinstance(rfc, str) else rfc
        words = (capability,) if isinstance(capability, str) else capability
        _rows[name] = Row(
            name=name,
            family=family,
            states=frozenset(states),
            handler=handler,
            uses_sequence_numbers=_as_test(uses_sequence_numbers),
            may_vanish=_as_test(may_vanish),
            condstore_enabling=_as_test(condstore_enabling),
            closes_mailbox=closes_mailbox,
            answers_before_refresh=answers_before_refresh,
            joins_batch=joins_batch,
            literal_bytes_max=literal_bytes_max,
            rfc=sections,
            capabilities=words,
        )
        for word in words:
            advertise(word, rfc=sections[0], shown=shown)
        return handler

    return register


def advertise(name: str, *, rfc: str, shown: Shown | None = None) -> None:
    """
    Put a word into CAPABILITY: call it beside the code that implements what the word promises.

    Args:
        name: the word, `LITERAL+`.
        rfc: the section that defines it.
        shown: when the word is shown; by default at all times.

    """
    if name in _capabilities:
        raise ValueError(f"the capability {name} is advertised twice")
    _capabilities[name] = Capability(name, shown or _at_all_times, rfc)


def _at_all_times(session: Session) -> bool:  # noqa: ARG001 -- a constant with the shape of a test
    return True


def row_of(command: Command) -> Row | None:
    """Return the row of a command, None when nobody handles it."""
    return _rows.get(f"UID {command.name}" if command.uid else command.name)


def row_named(name: str) -> Row | None:
    """Return the row of a command name as the client wrote it (`UID FETCH`), in capitals."""
    return _rows.get(name)


def rows() -> Iterator[Row]:
    """Yield every row, by family and name."""
    yield from sorted(_rows.values(), key=lambda row: (row.family, row.name))


def capabilities() -> Iterator[Capability]:
    """Yield every capability by name."""
    yield from sorted(_capabilities.values(), key=lambda each: each.name)


def capability_words(session: Session) -> list[str]:
    """
    Return the words of CAPABILITY for a session in its present state.

    Grammar: capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)
    RFC: 3501 section 7.2.1, 6.1.1
    """
    shown = [each.name for each in capabilities() if each.shown(session)]
    shown.remove("IMAP4rev1")
    return ["IMAP4rev1", *shown]


advertise("IMAP4rev1", rfc="3501 section 6.1.1")
