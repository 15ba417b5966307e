"""How a queue is worked on: what all its workers should agree about, and what is each one's own affair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modseq.limits import CLAIMS_PER_STORE_MAX, LEASE_SECONDS_MIN, WORK_ATTEMPTS_MAX
from modseq.workqueue.layout import SPAN_SECONDS, span_number

KEEP = "keep"
DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How a queue is worked on.

    Attributes:
        url: of the server; its path, if it has one, is the mailbox.
        mailbox: the queue.
        lease_seconds: how long a worker may be silent before others take its messages.
        retries: attempts after the first; then a message is given up.
        dead: mailbox for messages given up; None leaves them where they are, marked $Failed.
        done: `keep` marks finished messages $Done, `delete` removes them, another name moves them to that mailbox.
        criteria: IMAP search keys that a message must match to be work.
        claims_max: messages claimed in one round trip.
        poll_seconds: how often to look for work where nothing wakes us.
        connect: further arguments of modseq.client.connect (user, password, token, context ...).

    """

    url: str
    mailbox: str = "INBOX"
    lease_seconds: float = 300.0
    retries: int = 3
    dead: str | None = None
    done: str = KEEP
    criteria: str = "ALL"
    claims_max: int = CLAIMS_PER_STORE_MAX
    poll_seconds: float = 15.0
    connect: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with ValueError."""
        if not LEASE_SECONDS_MIN <= self.lease_seconds <= SPAN_SECONDS[-1]:
            raise ValueError(f"a lease lasts from {LEASE_SECONDS_MIN:g} seconds to 30 days")
        if not 0 <= self.retries < WORK_ATTEMPTS_MAX:
            raise ValueError(f"retries: 0 to {WORK_ATTEMPTS_MAX - 1}")
        if not 1 <= self.claims_max <= CLAIMS_PER_STORE_MAX:
            raise ValueError(f"claims_max: 1 to {CLAIMS_PER_STORE_MAX}")
        if self.poll_seconds <= 0:
            raise ValueError("poll_seconds: more than 0")
        for target in (self.dead, self.done):
            if target is not None and target.casefold() == self.mailbox.casefold():
                raise ValueError("finished and failed messages cannot be moved to the mailbox they are in")

    @property
    def span(self) -> int:
        """Number of the lease as it is written on messages."""
        return span_number(self.lease_seconds)

    @property
    def attempts_max(self) -> int:
        """Attempts in all."""
        return self.retries + 1

    @property
    def done_target(self) -> str | None:
        """The mailbox that finished messages are moved to, None when they stay or are removed."""
        return None if self.done in (KEEP, DELETE) else self.done
