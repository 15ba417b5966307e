"""
The copy of an account brought up to date: one LIST with STATUS, then only the mailboxes that changed.

Edits that wait in the outbox are pushed first. A run that is cut off anywhere leaves a copy that the next
run goes on from; `Report.doubts` says what may not be right.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from modseq.client import Client
from modseq.client.errors import CommandRefused, MailboxNotFound
from modseq.mirror.bodies import fetch_bodies, wanted_bodies
from modseq.mirror.errors import MirrorError
from modseq.mirror.listing import Listed, Listing, looks_unchanged, reconcile
from modseq.mirror.mailbox_sync import ComeBack, MailboxSync, Outcome
from modseq.mirror.progress import NoProgress, Progress
from modseq.mirror.push import Push, Pushed
from modseq.mirror.records import Applied, MailboxRow
from modseq.mirror.replica import Replica


@dataclass(slots=True)
class Report:
    """
    What a run did.

    Attributes:
        outcomes: of the mailboxes that were opened.
        unchanged: how many were found current by STATUS alone.
        pushed: what became of the edits in the outbox.

    """

    listing: Listing = field(default_factory=Listing)
    outcomes: list[Outcome] = field(default_factory=list)
    unchanged: int = 0
    pushed: Pushed = field(default_factory=Pushed)
    notes: list[str] = field(default_factory=list)

    @property
    def applied(self) -> Applied:
        """All changes together."""
        return sum((outcome.applied for outcome in self.outcomes), Applied())

    @property
    def doubts(self) -> dict[str, str]:
        """By mailbox, why its copy may not be right."""
        return {outcome.name: outcome.doubt for outcome in self.outcomes if outcome.doubt is not None}


async def synchronise(
    replica: Replica,
    client: Client,
    *,
    verify: bool = True,
    push: bool = True,
    progress: Progress | None = None,
) -> Report:
    """
    Bring the whole copy up to date over a connection that is logged in.

    Args:
        verify: hold what the server tells of a mailbox against its SEARCH: one short command for each
            mailbox that changed. Without it only counts and the order of mod-sequences are checked.
        push: push the edits that wait before.
        progress: is told how far the work is.
    Raises: MirrorBusy, MirrorError; ClientError when the connection fails: run again to go on.
    """
    with replica.synchronising():
        return await _Run(replica, client, verify, progress or NoProgress()).run(push=push)


class _Run:
    def __init__(self, replica: Replica, client: Client, verify: bool, progress: Progress) -> None:
        self._replica = replica
        self._client = client
        self._verify = verify
        self._progress = progress
        self._report = Report()
        self._needs_bodies = replica.settings().bodies != "none"

    async def run(self, *, push: bool) -> Report:
        replica, report = self._replica, self._report
        listed = await self._client.list("*", status=self._status_items())
        if not listed:
            raise MirrorError("the server lists no mailboxes at all: the copy is left as it is")
        settings = replica.settings()
        report.listing = reconcile(replica, listed, settings.patterns)
        touched: frozenset[int] = frozenset()
        if push:
            report.pushed = await Push(replica, self._client).run()
            touched = report.pushed.touched
        due = [
            each
            for each in report.listing.wanted
            if each.row.mailbox_id in touched or not looks_unchanged(each.row, each.status)
        ]
        report.unchanged = len(report.listing.wanted) - len(due)
        self._progress.expect("messages", sum(_growth(each) for each in due))
        await self._all([each.row for each in due])
        await self._bodies()
        replica.drop_unused_content()
        if not report.doubts:
            replica.all_current()
        return report

    def _status_items(self) -> tuple[str, ...]:
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
        if self._client.has("CONDSTORE") or self._client.has("QRESYNC"):
            items.append("HIGHESTMODSEQ")
        if self._client.has("OBJECTID"):
            items.append("MAILBOXID")
        return tuple(items)

    async def _all(self, rows: list[MailboxRow]) -> None:
        """Bring mailboxes up to date one after the other; where it can be, the next is opened while one is checked."""
        following: MailboxSync | None = None
        for row, next_row in itertools.zip_longest(rows, rows[1:]):
            current = following or self._work_on(row)
            following = None if next_row is None else self._work_on(next_row)
            await self._one(current, following)

    def _work_on(self, row: MailboxRow) -> MailboxSync:
        return MailboxSync(
            self._replica,
            self._client,
            row,
            verify=self._verify,
            needs_bodies=self._needs_bodies,
            progress=self._progress,
        )

    async def _one(self, sync: MailboxSync, following: MailboxSync | None) -> None:
        """Bring one mailbox up to date, with the bodies of its new messages if they are few."""
        row = sync.row
        try:
            try:
                outcome = await sync.run(following)
            except ComeBack:
                assert following is not None
                following.forget_opening()
                outcome = await self._work_on(row).run()
        except MailboxNotFound as error:
            # Deleted since LIST: the next one tells.
            self._report.notes.append(f"{row.name}: not opened: {error.text}")
            return
        except CommandRefused as error:
            # One mailbox that the server does not give must not keep us from the others.
            doubt = f"the server refuses it: {error.text}"
            self._replica.doubt(row.mailbox_id, doubt)
            self._report.outcomes.append(Outcome(row.name, Applied(), doubt))
            return
        self._report.outcomes.append(outcome)
        if row.is_complete and not (following is not None and following.is_opened_ahead):
            await self._bodies_of(row)

    async def _bodies(self) -> None:
        """Fetch the bodies that are wanted, once the lists of all mailboxes are there."""
        for each in self._report.listing.wanted:
            row = self._replica.mailbox_by_id(each.row.mailbox_id)
            if row is None or not wanted_bodies(self._replica, row, self._replica.settings()):
                continue
            try:
                selected = await self._client.select(row.name, read_only=True)
            except CommandRefused:
                continue
            if selected.uid_validity == row.uid_validity:
                await self._bodies_of(row)

    async def _bodies_of(self, row: MailboxRow) -> None:
        wanted = wanted_bodies(self._replica, row, self._replica.settings())
        if wanted:
            self._progress.expect("B", sum(size for _, size in wanted))
            notes = await fetch_bodies(self._replica, self._client, row, wanted, self._progress)
            self._report.notes += [f"{row.name}: {note}" for note in notes]


def _growth(listed: Listed) -> int:
    """Return how many messages a mailbox will probably bring."""
    messages = listed.status.messages if listed.status is not None else None
    return max(0, (messages or 0) - listed.row.exists)
