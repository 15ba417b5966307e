"""FETCH responses: what is said of one message, as octets."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modseq.core.view import SessionView
from modseq.wire.grammar.fetch import fetch_data, flags_item, mod_seq_item, uid_item

if TYPE_CHECKING:
    from modseq.server.session import Session


def changed_flags(session: Session, view: SessionView, uids: array[int]) -> Iterator[bytes]:
    """
    Yield the untagged FETCH of each message whose flags changed.

    RFC: 3501 section 7.4.2
    RFC: 7162 section 3.2.4
    """
    for uid in uids:
        message = view.state.message(uid)
        seq_num = view.uids.seq_of(uid)
        if message is None or seq_num is None:
            continue
        flags = view.state.flag_table.names(message.flags)
        items = [flags_item((*flags, "\\Recent") if uid in view.recent else flags)]
        if session.condstore:
            items = [uid_item(uid), *items, mod_seq_item(message.mod_seq)]
        yield fetch_data(seq_num, items)
