"""
What the protocol of the queue asks of a connection: conditional STOREs, and looks at flags.

A step of the protocol is a generator. It yields requests that may go out together, and is sent their answers in the
same order. If the connection breaks the driver raises into it, and what the step knew so far stands in its holds.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from modseq.workqueue.layout import Mode, Standing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """
    UID STORE: add or remove flags, on condition where `unchanged_since` is given.

    RFC: 7162 section 3.1.3
    """

    uids: tuple[int, ...]
    mode: Mode
    flags: tuple[str, ...]
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """
    What became of each message of a Store.

    Attributes:
        applied: those that the reply had a FETCH for and that were not refused, with their mod-sequences (0 where
            the server told none).
        modified: those refused because they have changed since.

    Everything else is gone from the mailbox.
    """

    applied: Mapping[int, int] = field(default_factory=dict)
    modified: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """UID FETCH of flags and mod-sequences."""

    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """The keywords of a message and its mod-sequence at one moment."""

    standing: Standing
    mod_seq: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What a Look showed; who is not in it is gone from the mailbox."""

    seen: Mapping[int, Seen]


Request: TypeAlias = Store | Look
Answer: TypeAlias = Stored | Looked
Steps: TypeAlias = Generator[tuple[Request, ...], Sequence[Answer], T]


def look(uids: Collection[int]) -> Steps[Mapping[int, Seen]]:
    """Look at messages."""
    if not uids:
        return {}
    (answer,) = yield (Look(tuple(sorted(uids))),)
    assert isinstance(answer, Looked)
    return answer.seen


def stores(requests: Sequence[Store]) -> Steps[list[Stored]]:
    """Send conditional STOREs together; return what became of each."""
    if not requests:
        return []
    answers = yield tuple(requests)
    found = [answer for answer in answers if isinstance(answer, Stored)]
    assert len(found) == len(requests)
    return found
