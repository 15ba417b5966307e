"""Search in the copy: substrings, without regard to case, in decoded headers and text.

The keys mean what they mean in IMAP's SEARCH (RFC 3501 section 6.4.4): a text matches anywhere in the field,
dates are those of INTERNALDATE, all keys must match. Where a body is not in the copy, `text` looks at what
is: sender, recipients and subject; `body` cannot match there, and the answer says how many there were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modseq.mailfiles.message import header_field
from modseq.mime.scan import scan
from modseq.mime.text import all_text, body_text, fold, header_text
from modseq.mirror.errors import BodyMissing
from modseq.mirror.records import MailboxRow
from modseq.mirror.replica import Replica
from modseq.mirror.view import LocalMessage, local_messages

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Query:
    """
    What is looked for; every key that is given must match.

    Attributes:
        text, body, subject, sender, recipient: substrings, each of which must be found.
        headers: names and substrings; an empty substring asks whether there is such a field.
        with_flags, without_flags: flags that must and must not be set.
        since, before: days since 1970 in UTC; `since` counts itself, `before` does not.
        larger, smaller: octets.

    """

    text: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    sender: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    with_flags: tuple[str, ...] = ()
    without_flags: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    larger: int | None = None
    smaller: int | None = None


@dataclass(slots=True)
class Search:
    """
    One search over some mailboxes; iterate over it for what was found.

    Attributes:
        bodies_missing: messages met so far whose body was asked for and is not in the copy.

    """

    replica: Replica
    mailboxes: Sequence[MailboxRow]
    query: Query
    bodies_missing: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[LocalMessage]:
        for mailbox in self.mailboxes:
            for message in local_messages(self.replica, mailbox):
                if self._matches(message):
                    yield message

    def _matches(self, message: LocalMessage) -> bool:
        """Judge the cheap keys first: a body is read only when all others match."""
        query, summary = self.query, message.summary
        day = message.received_at // _SECONDS_PER_DAY
        flags = {flag.lower() for flag in message.flags}
        return (
            all(flag.lower() in flags for flag in query.with_flags)
            and not any(flag.lower() in flags for flag in query.without_flags)
            and (query.since is None or day >= query.since)
            and (query.before is None or day < query.before)
            and (query.larger is None or message.size > query.larger)
            and (query.smaller is None or message.size < query.smaller)
            and _holds(summary.subject, query.subject)
            and _holds(summary.sender, query.sender)
            and _holds(_without_names(summary.recipients), query.recipient)
            and self._content_matches(message)
        )

    def _content_matches(self, message: LocalMessage) -> bool:
        query = self.query
        if not query.text and not query.body and not query.headers:
            return True
        try:
            octets = self.replica.content(message.content_id)
        except BodyMissing:
            self.bodies_missing += 1
            summary = message.summary
            shown = "\n".join((summary.subject, summary.sender, _without_names(summary.recipients)))
            return not query.body and not query.headers and _holds(shown, query.text)
        if not all(_field_holds(octets, name, wanted) for name, wanted in query.headers):
            return False
        if not query.text and not query.body:
            return True
        parts = scan(octets).parts
        return (not query.body or _holds(body_text(octets, parts), query.body)) and (
            not query.text or _holds(all_text(octets, parts), query.text)
        )


def _holds(text: str, wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return True
    folded = fold(text)
    return all(fold(each) in folded for each in wanted)


def _field_holds(octets: bytes, name: str, wanted: str) -> bool:
    asked = name.encode("ascii", "replace")
    if not wanted:
        return header_field(octets, asked) is not None
    return any(fold(wanted) in fold(text) for text in header_text(octets, asked))


def _without_names(recipients: str) -> str:
    """Return the recipients without the names of their fields, which nobody wrote."""
    return "\n".join(line.partition(": ")[2] for line in recipients.split("\n"))
