"""fetch: reading messages, held or streamed.

RFC: 3501 section 6.4.5
RFC: 7162 section 3.1.4.1, 3.2.6
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from modseq.client.effects import Verb
from modseq.client.errors import CommandRefused, NotSupported, ProtocolViolated, ResponseTooLarge
from modseq.client.exchange import BodySink, Exchange, Running
from modseq.client.results import Fetched, Uids
from modseq.client.verbs.command import attempt, checked, named, pieces, require_selected, send, uid_set, wait
from modseq.client.verbs.select import highest_of
from modseq.core.numset import NumSet
from modseq.limits import COLLECTED_MESSAGES_MAX
from modseq.wire.abnf import ParseError, Parser
from modseq.wire.grammar.fetch import fetch_att
from modseq.wire.response_values import MessageData, Response, StatusResponse, Vanished
from modseq.wire.values import BodySection, Fetch, FetchItem, SequenceSet

Items = str | Iterable[str]
_FIELDS = {
    "FLAGS": "flags",
    "MODSEQ": "mod_seq",
    "INTERNALDATE": "internal_date",
    "RFC822.SIZE": "size",
    "ENVELOPE": "envelope",
    "BODYSTRUCTURE": "structure",
}
"""Items whose presence in a response is known by a field; others are not looked at."""


def fetch_items(items: Items) -> tuple[FetchItem, ...]:
    """
    Return FETCH items from their text, UID first. Those the grammar does not know go as they are.

    Grammar: fetch-att = "ENVELOPE" / "FLAGS" / ... / "BODY" section ["<" number "." nz-number ">"]
    RFC: 3501 section 6.4.5
    Raises ValueError for what is no item.
    """
    words = [items] if isinstance(items, str) else list(items)
    found: dict[FetchItem, None] = {"UID": None}
    for word in words:
        parser = Parser((word.encode("ascii", "replace"),))
        try:
            item: FetchItem = fetch_att(parser)
            parser.end()
        except ParseError as error:
            if "[" in word or "(" in word or not word.isascii() or " " in word:
                raise ValueError(f"{word!r} is no FETCH item") from error
            item = cast(FetchItem, word)
        found[item] = None
    return tuple(found)


class FetchCollector:
    """
    Takes FETCH responses that hold what was asked for, of messages that were asked for.

    Attributes:
        messages: taken away by whoever streams; the bound then concerns only what waits.

    """

    def __init__(self, uids: SequenceSet, items: tuple[FetchItem, ...], *, vanished: bool) -> None:
        numbers = named(uids)
        self.uids = numbers.bitmap if numbers is not None else None
        self.fields = [_FIELDS[item] for item in items if isinstance(item, str) and item in _FIELDS]
        self.has_sections = any(isinstance(item, BodySection) for item in items)
        self.only_uid = items == ("UID",)
        self.wants_vanished = vanished
        self.messages: list[MessageData] = []
        self.vanished = NumSet.EMPTY

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, MessageData):
            if not self._was_asked_for(response):
                return False
            self.messages.append(response)
            if len(self.messages) > COLLECTED_MESSAGES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_MESSAGES_MAX} messages in one answer")
            return True
        if self.wants_vanished and isinstance(response, Vanished) and response.earlier:
            self.vanished |= response.uids
            return True
        return False

    def _was_asked_for(self, message: MessageData) -> bool:
        if message.uid == 0 or (self.uids is not None and message.uid not in self.uids):
            return False
        if self.has_sections and not message.sections:
            return False
        if self.only_uid and (message.flags is not None or message.sections):
            return False
        return all(getattr(message, field) is not None for field in self.fields)

    def take(self) -> tuple[object, ...]:
        """Return what came since the last call: VANISHED (EARLIER) first, then messages."""
        taken: tuple[object, ...] = tuple(self.messages)
        self.messages.clear()
        if self.vanished:
            taken = (Vanished(self.vanished, earlier=True), *taken)
            self.vanished = NumSet.EMPTY
        return taken


def _checked_items(
    x: Exchange, items: Items, changed_since: int | None, *, vanished: bool
) -> tuple[FetchItem, ...]:
    require_selected(x)
    if changed_since is not None and not x.has("CONDSTORE"):
        raise NotSupported("changed_since: the server does not offer CONDSTORE")
    if vanished and (changed_since is None or "QRESYNC" not in x.enabled):
        raise NotSupported("vanished: wants changed_since and an enabled QRESYNC")
    return fetch_items(items)


def fetch(
    x: Exchange,
    uids: Uids,
    items: Items = ("FLAGS",),
    *,
    changed_since: int | None = None,
    vanished: bool = False,
) -> Verb[Fetched]:
    """
    Return messages, all of them held.

    RFC: 3501 section 6.4.5
    RFC: 7162 section 3.1.4.1, 3.2.6
    """
    chosen = _checked_items(x, items, changed_since, vanished=vanished)
    messages: list[MessageData] = []
    gone = NumSet.EMPTY
    highest: int | None = None
    expunge_issued = False
    for numbers in pieces(uids):
        collector = FetchCollector(numbers, chosen, vanished=vanished)
        args = Fetch(numbers, chosen, changed_since, vanished)
        reply = yield from attempt(x, "FETCH", args, uid=True, collector=collector)
        if _expunge_issued(reply):
            expunge_issued = True
        else:
            checked(reply, "UID FETCH")
        messages += collector.messages
        gone |= collector.vanished
        highest = highest_of(reply) or highest
    return Fetched(tuple(messages), gone, highest, expunge_issued)


def _expunge_issued(reply: StatusResponse) -> bool:
    """Return whether the server says that some of the messages are gone: the rest was told."""
    return reply.condition == "NO" and reply.code is not None and reply.code.name == "EXPUNGEISSUED"


def fetch_each(
    x: Exchange,
    uids: Uids,
    items: Items = ("FLAGS",),
    *,
    changed_since: int | None = None,
    vanished: bool = False,
) -> Verb[None]:
    """
    Emit messages as they come, and with `vanished` what is gone before them.

    RFC: 3501 section 6.4.5
    RFC: 7162 section 3.2.6
    """
    chosen = _checked_items(x, items, changed_since, vanished=vanished)
    for numbers in pieces(uids):
        collector = FetchCollector(numbers, chosen, vanished=vanished)
        args = Fetch(numbers, chosen, changed_since, vanished)
        running = x.begin("FETCH", args, uid=True, collector=collector)
        try:
            yield from send(x, running)
            yield from wait(x, partial(_is_over, running), emit=collector.take)
        finally:
            x.abandon(running)
        assert running.reply is not None
        if not _expunge_issued(running.reply):
            checked(running.reply, "UID FETCH")


def _is_over(running: Running) -> bool:
    return running.is_over


def fetch_body(x: Exchange, uid: int, section: str = "", *, peek: bool = True) -> Verb[None]:
    """
    Emit a body, or a section of it, in the chunks in which it comes; first its size.

    RFC: 3501 section 6.4.5
    Raises:
        CommandRefused: there is no such message or section.

    """
    require_selected(x)
    (_, item) = fetch_items(f"BODY{'.PEEK' if peek else ''}[{section}]")
    assert isinstance(item, BodySection)
    numbers = uid_set(uid)
    sink = BodySink()
    collector = FetchCollector(numbers, ("UID", item), vanished=False)
    running = x.begin("FETCH", Fetch(numbers, ("UID", item)), uid=True, collector=collector, body=sink)
    announced = False

    def emit() -> tuple[object, ...]:
        nonlocal announced
        if sink.size is None and collector.messages:
            # Short enough for a quoted string, or NIL.
            short = _only_section(collector.messages[0])
            if short is not None:
                sink.size = len(short)
                sink.chunks.append(short)
        taken: tuple[Any, ...] = tuple(sink.chunks)
        sink.chunks.clear()
        if sink.size is not None and not announced:
            announced = True
            return (sink.size, *taken)
        return taken

    try:
        yield from send(x, running)
        yield from wait(x, lambda: running.is_over, emit=emit)
    finally:
        x.abandon(running)
    assert running.reply is not None
    checked(running.reply, "UID FETCH")
    if not announced:
        raise CommandRefused("UID FETCH", "no such message or section", None)
    if sink.size and not sink.is_complete and not collector.messages:
        raise ProtocolViolated("a body without its end")


def _only_section(message: MessageData) -> bytes | None:
    return next(iter(message.sections.values()), None)
