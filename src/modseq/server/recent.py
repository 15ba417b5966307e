r"""Who is told that messages are recent: one read-write session, the first.

RFC: 3501 section 2.3.2
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modseq.core.errors import StorageError
from modseq.core.mailbox import MailboxState
from modseq.core.operations import ClaimRecent
from modseq.storage.base import Account

if TYPE_CHECKING:
    from modseq.server.service import Service

_log = logging.getLogger(__name__)


def recent_from(service: Service, account: Account, state: MailboxState, *, claim: bool) -> int:
    r"""
    Return the lowest UID that is recent for a session that learns of this state now.

    With ``claim`` no other session of this process will be told so of the same messages. The mark is stored
    in the background: no client waits for it, and a mark lost in a crash only makes messages recent once
    more. Sessions of other processes may see them as recent until it is stored, which the RFC allows.

    RFC: 3501 section 2.3.2
    """
    claims = service.recent_claims
    key = (account.name, state.mailbox_id, state.uid_validity)
    lowest = max(state.recent_from, claims.get(key, 0))
    if claim and lowest < state.uid_next:
        claims[key] = state.uid_next
        service.in_background(_store(service, account, key, state.uid_next))
    return lowest


async def _store(service: Service, account: Account, key: tuple[str, int, int], uid_next: int) -> None:
    try:
        await account.commit(ClaimRecent(key[1], uid_next))
    except StorageError:
        _log.info("the mark of recent messages was not moved", exc_info=True)
    # From here on the published state says it; a later claim has its own commit to wait for.
    if service.recent_claims.get(key) == uid_next:
        del service.recent_claims[key]
