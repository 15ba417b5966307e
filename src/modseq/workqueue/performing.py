"""Carrying out the steps of the protocol on a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from modseq import client as imap
from modseq.client.results import Fetched
from modseq.client.results import Stored as StoreResult
from modseq.core.numset import NumSet
from modseq.workqueue.layout import Standing
from modseq.workqueue.requests import Answer, Look, Looked, Request, Seen, Steps, Store, Stored

T = TypeVar("T")
LOOKED_AT = ("FLAGS", "MODSEQ")


async def carry_out(client: imap.Client, steps: Steps[T]) -> T:
    """
    Run steps to their end.

    Raises: what the client raises; the holds then tell what is not known.
    """
    answers: Sequence[Answer] | None = None
    while True:
        try:
            requests = steps.send(answers)  # type: ignore[arg-type]  # None begins a generator
        except StopIteration as end:
            result: T = end.value
            return result
        answers = await _answers(client, requests)


async def _answers(client: imap.Client, requests: Sequence[Request]) -> list[Answer]:
    async with client.pipeline() as batch:
        looks = [batch.fetch(NumSet(each.uids), LOOKED_AT) for each in requests if isinstance(each, Look)]
        changes = [
            batch.store(
                NumSet(each.uids),
                add=each.flags if each.mode == "+" else None,
                remove=each.flags if each.mode == "-" else None,
                unchanged_since=each.unchanged_since,
                silent=True,
            )
            for each in requests
            if isinstance(each, Store)
        ]
    # No step of the protocol sends both together: a look would tell what was before a change.
    assert not (looks and changes)
    return [_looked(each.result) for each in looks] or [_stored(each.result) for each in changes]


def _stored(result: StoreResult) -> Stored:
    told = result.messages
    applied = {uid: (told[uid].mod_seq or 0) if uid in told else 0 for uid in result.applied | result.untold}
    return Stored(applied, frozenset(result.modified))


def _looked(result: Fetched) -> Looked:
    return Looked(
        {
            uid: Seen(Standing.of(each.flags), each.mod_seq or 0)
            for uid, each in result.by_uid().items()
            if each.flags is not None
        }
    )
