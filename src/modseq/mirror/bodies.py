"""Bodies of messages, as many as the mirror is to have: none, those of recent messages, or all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modseq import clock, limits
from modseq.client import Client
from modseq.core.numset import NumSet
from modseq.mirror.errors import MailboxMadeAnew
from modseq.mirror.progress import Progress
from modseq.mirror.records import MailboxRow
from modseq.mirror.replica import Replica, Settings

_SECONDS_PER_DAY = 86_400


def wanted_bodies(replica: Replica, row: MailboxRow, settings: Settings) -> list[tuple[int, int]]:
    """Return UID and size of the messages of a mailbox whose bodies are wanted and not there."""
    if settings.bodies == "none":
        return []
    since = 0
    if settings.bodies == "recent":
        since = clock.now_seconds() - settings.recent_days * _SECONDS_PER_DAY
    return replica.without_body(row.mailbox_id, since)


async def fetch_on_demand(
    replica: Replica, client: Client, row: MailboxRow, uids: NumSet, progress: Progress
) -> list[str]:
    """
    Fetch the bodies of these messages, whatever the mirror's settings; those that are there cost nothing.

    Returns: notes for people.
    Raises: MailboxMadeAnew when the UIDs mean other messages now.
    """
    wanted = [(uid, size) for uid, size in replica.without_body(row.mailbox_id) if uid in uids]
    if not wanted:
        return []
    selected = await client.select(row.name, read_only=True)
    if selected.uid_validity != row.uid_validity:
        raise MailboxMadeAnew(f"{row.name} was made anew on the server: bring the mirror up to date first")
    progress.expect("B", sum(size for _, size in wanted))
    return await fetch_bodies(replica, client, row, wanted, progress)


async def fetch_bodies(
    replica: Replica,
    client: Client,
    row: MailboxRow,
    wanted: Sequence[tuple[int, int]],
    progress: Progress,
) -> list[str]:
    """
    Fetch bodies of the mailbox that is selected; each piece is durable before the next is asked for.

    A body whose length is not the size that was told is fetched again: if it comes the same way twice, the
    size was wrong (some servers estimate it), else what came is not kept.

    Returns: notes for people.
    """
    notes: list[str] = []
    sizes = dict(wanted)
    for part in _pieces(wanted):
        bodies = await _read(client, part)
        odd = {uid: octets for uid, octets in bodies.items() if len(octets) != sizes[uid]}
        if odd:
            again = await _read(client, list(odd))
            for uid, octets in odd.items():
                if again.get(uid) == octets:
                    notes.append(f"message {uid} has {len(octets)} octets where {sizes[uid]} were told")
                elif len(again.get(uid, b"")) == sizes[uid]:
                    bodies[uid] = again[uid]
                else:
                    notes.append(f"message {uid} came with different octets each time: not kept")
                    del bodies[uid]
        replica.keep_bodies(row.mailbox_id, bodies)
        progress.advance("B", sum(sizes[uid] for uid in part))
    too_large = sum(size > limits.MIRROR_BODY_BYTES_MAX for _, size in wanted)
    if too_large:
        notes.append(f"{too_large} bodies of more than {limits.MIRROR_BODY_BYTES_MAX:,} octets were left out")
    return notes


async def _read(client: Client, uids: Sequence[int]) -> dict[int, bytes]:
    fetched = await client.fetch(NumSet(uids), ("BODY.PEEK[]",))
    found = {}
    for message in fetched.messages:
        octets = message.sections.get("BODY[]")
        if message.uid in uids and octets is not None:
            found[message.uid] = octets
    return found


def _pieces(wanted: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Cut a list into pieces that fit into memory; what alone does not fit is left out."""
    piece: list[int] = []
    octets = 0
    for uid, size in wanted:
        if size > limits.MIRROR_BODY_BYTES_MAX:
            continue
        full = octets + size > limits.MIRROR_BODY_BATCH_BYTES_MAX
        if piece and (full or len(piece) >= limits.MIRROR_BODY_BATCH_MESSAGES_MAX):
            yield piece
            piece, octets = [], 0
        piece.append(uid)
        octets += size
    if piece:
        yield piece
