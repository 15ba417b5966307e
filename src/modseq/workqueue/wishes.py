"""What workers and the engine hand to each other: wishes, messages ready to be worked on, and the tally."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from modseq.workqueue.claiming import Counts
from modseq.workqueue.lease import Hold

Kind = Literal["done", "failed", "release", "extend", "body"]


@dataclass(slots=True, eq=False)
class Wish:
    """What a worker wants done with a message that it holds."""

    kind: Kind
    hold: Hold
    answer: asyncio.Future[bytes | None]
    delay_seconds: float = 0.0
    is_unstarted: bool = False


@dataclass(slots=True)
class Tally:
    """
    What happened so far.

    Attributes:
        done, failed, released: messages by how their attempt ended.
        lost: messages whose lease ended first.
        reconnects: connections that broke.
        claims: what claiming cost.

    """

    done: int = 0
    failed: int = 0
    released: int = 0
    lost: int = 0
    reconnects: int = 0
    claims: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class Ready:
    """A message that was claimed and waits to be taken, with its body where that is short."""

    hold: Hold
    body: bytes | None = None
