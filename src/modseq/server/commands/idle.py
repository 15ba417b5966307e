"""idle: waiting for changes.

RFC: 2177 section 3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modseq.server.registry import AFTER_LOGIN, command
from modseq.server.reply import Reply, bad, ok
from modseq.wire.grammar.idle import is_done
from modseq.wire.messages import continuation
from modseq.wire.values import Command

if TYPE_CHECKING:
    from modseq.server.session import Session


@command("IDLE", family="idle", states=AFTER_LOGIN, capability="IDLE", rfc="2177 section 3")
async def idle(session: Session, _: Command) -> Reply:
    """
    Tell the client of changes as they come, until it says DONE.

    A wake-up says only that something moved; what it was is asked like everywhere else. One that gets
    lost costs the poll interval and nothing else.

    RFC: 2177 section 3
    RFC: 7162 section 3.2.10
    """
    assert session.account is not None
    stop_watching = session.account.watch(session.wake)
    try:
        session.out.write(continuation("idling"))
        session.expect_line()
        while True:
            await session.flush(may_vanish=True)
            await session.out.drain()
            if (line := session.take_line()) is not None:
                break
            await session.pause(session.service.idle_poll_seconds)
            await session.account.refresh()
    finally:
        stop_watching()
    return ok("No longer idle") if is_done(line) else bad("Expected DONE")
