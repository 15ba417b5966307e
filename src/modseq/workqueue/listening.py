"""A second connection that only hears of new mail, by NOTIFY where the server has it, else by IDLE."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NoReturn

from modseq import client as imap
from modseq import clock
from modseq.client.errors import (
    CommandFailed,
    ConnectionFailed,
    ConnectionLost,
    NotSupported,
    ProtocolViolated,
)
from modseq.client.events import Event
from modseq.limits import RECONNECT_SECONDS_MAX, RECONNECT_SECONDS_MIN
from modseq.workqueue.settings import Settings

logger = logging.getLogger("modseq.workqueue")

BROKEN = (ConnectionFailed, ConnectionLost, ProtocolViolated, OSError)
"""What says that a connection is no more, and another one may do."""


async def listen(settings: Settings, hear: Callable[[Event], None]) -> NoReturn:
    """
    Tell of everything that happens in the mailbox, until cancelled; without this connection the queue is slower.

    RFC: 2177 section 3
    RFC: 5465 section 3.1
    """
    pause = RECONNECT_SECONDS_MIN
    while True:
        try:
            async with await imap.connect(settings.url, **settings.connect) as client:
                await client.select(settings.mailbox, read_only=True)
                if client.has("NOTIFY"):
                    with contextlib.suppress(CommandFailed):
                        await client.notify("selected (MessageNew MessageExpunge)")
                pause = RECONNECT_SECONDS_MIN
                while True:
                    for event in await client.wait(settings.poll_seconds * 4):
                        hear(event)
        except BROKEN as error:
            logger.debug("the listening connection broke: %s", error)
        except (CommandFailed, NotSupported) as error:
            logger.debug("listening is not possible: %s", error)
        await asyncio.sleep(pause * spread())
        pause = min(pause * 2, RECONNECT_SECONDS_MAX)


def spread() -> float:
    """Return a factor that keeps many workers from doing the same at the same moment."""
    return 0.75 + clock.random_below(500) / 1_000
