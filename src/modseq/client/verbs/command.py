"""What every verb is made of: send one command, wait for its reply, several at once, clean up after one left early."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modseq.client.effects import Effect, Emit, Receive, Send, SendFrom, Verb
from modseq.client.errors import (
    AuthenticationFailed,
    ClientError,
    CommandFailed,
    CommandRefused,
    CommandRejected,
    ConnectionLost,
    MailboxNotFound,
    NotSupported,
    TimedOut,
    WrongState,
)
from modseq.client.exchange import BodySink, Collector, Exchange, Running
from modseq.client.results import Completed, Flags, Uids
from modseq.core.numset import NumSet
from modseq.limits import (
    PIPELINED_IN_FLIGHT_MAX,
    PIPELINED_PIECE_BYTES,
    STREAM_DRAIN_BYTES_MAX,
    UID_SET_BYTES_MAX,
)
from modseq.wire.abnf import NUMBER_MAX, ParseError, Parser
from modseq.wire.command_writer import FileLiteral, raw_name
from modseq.wire.encode import split_set
from modseq.wire.response_values import StatusResponse
from modseq.wire.values import Args, SequenceSet

T = TypeVar("T")
FED = b"FED"
"""Sent back for Receive by `together`, which has fed the exchange already. Known by identity, not by value."""


def command(
    x: Exchange,
    name: str,
    args: Args | None = None,
    *,
    uid: bool = False,
    collector: Collector | None = None,
    raw: bytes = b"",
) -> Verb[StatusResponse]:
    """
    Send one command and return its tagged OK.

    Raises:
        CommandFailed: NO or BAD.
        ConnectionLost: the connection ended before the reply.

    """
    reply = yield from attempt(x, name, args, uid=uid, collector=collector, raw=raw)
    return checked(reply, f"UID {name}" if uid else name)


def attempt(
    x: Exchange,
    name: str,
    args: Args | None = None,
    *,
    uid: bool = False,
    collector: Collector | None = None,
    body: BodySink | None = None,
    raw: bytes = b"",
    opens_mailbox: bool = False,
) -> Verb[StatusResponse]:
    """Send one command and return its tagged reply, whatever that is."""
    running = x.begin(
        name, args, uid=uid, collector=collector, body=body, raw=raw, opens_mailbox=opens_mailbox
    )
    try:
        yield from send(x, running)
        yield from wait(x, lambda: running.is_over)
    finally:
        x.abandon(running)
    assert running.reply is not None
    return running.reply


def send(x: Exchange, running: Running) -> Verb[None]:
    """Send a command, waiting before literals where the server wants that."""
    for piece in x.outgoing(running):
        if piece is None:
            yield from wait(x, lambda: running.continuation is not None or running.is_over)
            running.continuation = None
        elif isinstance(piece, bytes):
            yield Send(piece)
        else:
            assert isinstance(piece, FileLiteral)
            yield SendFrom(piece, x.encode if x.is_compressed else None)


def wait(
    x: Exchange,
    condition: Callable[[], bool],
    *,
    seconds: float | None = None,
    emit: Callable[[], tuple[object, ...]] | None = None,
) -> Verb[None]:
    """
    Receive until a condition holds; what `emit` returns meanwhile is emitted before more is received.

    Raises TimedOut after so much silence (the connection's own patience if `seconds` is None).
    """
    patience = x.options.seconds if seconds is None else seconds
    while True:
        if emit is not None and (values := emit()):
            yield Emit(values)
        if condition():
            return
        if x.pump():
            continue
        octets = yield Receive(patience)
        if octets is FED:
            continue
        if octets is None:
            x.fail(TimedOut(f"nothing was heard for {patience:g} s"))
        x.feed(octets)


def checked(reply: StatusResponse, name: str) -> StatusResponse:
    """Return a tagged OK; raise what NO or BAD mean."""
    if reply.condition == "OK":
        return reply
    code = reply.code
    if reply.condition == "BAD":
        raise CommandRejected(name, reply.text, code)
    if name in ("LOGIN", "AUTHENTICATE"):
        raise AuthenticationFailed(name, reply.text, code)
    if code is not None and code.name in ("NONEXISTENT", "TRYCREATE"):
        raise MailboxNotFound(name, reply.text, code)
    raise CommandRefused(name, reply.text, code)


def completed(reply: StatusResponse) -> Completed:
    """Return a tagged OK as a result."""
    return Completed(reply.text, reply.code)


def settle(x: Exchange) -> Verb[None]:
    """
    Hear out commands that nobody waits for any more, up to a bound.

    Raises:
        ConnectionLost: too much would follow; the connection is closed.

    """
    x.require_open()
    first = x.octets_received
    while (running := x.abandoned) is not None:
        if running.farewell is not None:
            yield from wait(x, lambda: running.continuation is not None or running.is_over)
            if octets := x.parting_words():
                yield Send(octets)
        while not running.is_over:
            if x.octets_received - first > STREAM_DRAIN_BYTES_MAX:
                x.fail(ConnectionLost("left an answer early that was too long to skip"))
            received = x.octets_received
            yield from wait(x, lambda: running.is_over or x.octets_received != received)  # noqa: B023 -- used here


@dataclass(slots=True)
class Pending(Generic[T]):
    """The result of one command of a pipeline, once that was sent."""

    verb: Verb[T]
    value: T | None = None
    error: ClientError | None = None
    is_done: bool = False
    is_last: bool = False
    """It opens a mailbox: a command sent after it, even to end one begun before it, would act in that one."""

    @property
    def result(self) -> T:
        """What the verb returned; raises what it raised, and WrongState before the pipeline was run."""
        if not self.is_done:
            raise WrongState("leave the pipeline's `with` block first")
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def together(x: Exchange, pending: Sequence[Pending[Any]]) -> Verb[None]:
    """
    Run verbs that do not depend on each other in one round trip.

    Each is started in turn and goes on whenever something was received; what they send meanwhile goes out in one
    piece. NO or BAD to one is its own affair; the end of the connection is everybody's: what has no answer yet gets
    that error.

    RFC: 3501 section 5.5
    """
    waiting: list[Pending[Any]] = []
    unsent = bytearray()
    try:
        try:
            for each in pending:
                yield from _advance(each, None, waiting, unsent)
                x.takes_no_more = each.is_last
                # A literal that must be waited for keeps the next command from being sent.
                while len(waiting) >= PIPELINED_IN_FLIGHT_MAX or _is_half_sent(x):
                    yield from _receive_for_all(x, waiting, unsent)
            while waiting:
                yield from _receive_for_all(x, waiting, unsent)
        except Exception:
            # They count as sent, and somebody will wait for the answers.
            yield from _flush(unsent)
            raise
    except BaseException as error:
        give_up(pending, error if isinstance(error, ClientError) else None)
        raise
    finally:
        x.takes_no_more = False


def give_up(pending: Iterable[Pending[Any]], error: ClientError | None = None) -> None:
    """Let those that have no result yet say so."""
    for each in pending:
        if not each.is_done:
            each.verb.close()
            each.is_done = True
            each.error = error or ConnectionLost("interrupted: whether it was carried out is unknown")


def _is_half_sent(x: Exchange) -> bool:
    return any(not running.is_sent and not running.is_over for running in x.running)


def _flush(unsent: bytearray) -> Verb[None]:
    if unsent:
        piece = bytes(unsent)
        unsent.clear()
        yield Send(piece)


def _advance(
    each: Pending[Any], octets: bytes | None, waiting: list[Pending[Any]], unsent: bytearray
) -> Verb[None]:
    """Run one verb until it waits or ends; what it sends is kept as long as it is little."""
    if each in waiting:
        waiting.remove(each)
    try:
        effect: Effect = each.verb.send(octets)
        while not isinstance(effect, Receive):
            if isinstance(effect, Emit):
                raise WrongState("a stream cannot be part of a pipeline")
            answer = None
            if isinstance(effect, Send):
                unsent += effect.data
                if len(unsent) >= PIPELINED_PIECE_BYTES:
                    yield from _flush(unsent)
            else:
                yield from _flush(unsent)
                answer = yield effect
            effect = each.verb.send(answer)
    except StopIteration as stop:
        each.value, each.is_done = stop.value, True
    except CommandFailed as error:
        each.error, each.is_done = error, True
    else:
        waiting.append(each)


def _receive_for_all(x: Exchange, waiting: list[Pending[Any]], unsent: bytearray) -> Verb[None]:
    yield from _flush(unsent)
    octets = yield Receive(x.options.seconds)
    if octets is None:
        x.fail(TimedOut(f"nothing was heard for {x.options.seconds:g} s"))
    if octets is not FED:
        x.feed(octets)
    for each in list(waiting):
        yield from _advance(each, FED, waiting, unsent)


# --- arguments --------------------------------------------------------------------------------------


def mailbox_name(name: str | bytes) -> str:
    """Return a mailbox name as commands carry it; octets stand for themselves."""
    return raw_name(name) if isinstance(name, bytes) else name


def uid_set(uids: Uids) -> SequenceSet:
    """
    Return UIDs as a set. Raises ValueError for an empty one and for what is none.

    Grammar: sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"
    RFC: 3501 section 9
    """
    if isinstance(uids, SequenceSet):
        return uids
    if isinstance(uids, str):
        parser = Parser((uids.encode("ascii", "replace"),))
        try:
            found = parser.sequence_set()
            parser.end()
        except ParseError as error:
            raise ValueError(f"{uids!r} is no set of UIDs") from error
        return found
    if isinstance(uids, int):
        uids = (uids,)
    numbers = uids if isinstance(uids, NumSet) else NumSet(_in_range(uids))
    if not numbers:
        raise ValueError("an empty set of messages cannot be sent")
    return SequenceSet(tuple(numbers.ranges()))


def _in_range(uids: Iterable[int]) -> list[int]:
    numbers = list(uids)
    for each in numbers:
        if not isinstance(each, int) or not 1 <= each <= NUMBER_MAX:
            raise ValueError(f"{each!r} is no UID")
    return numbers


def pieces(uids: Uids) -> list[SequenceSet]:
    """
    Return UIDs as sets that each fit into one command: clients are to keep their lines below 8,192 octets.

    RFC: 7162 section 4
    """
    numbers = uid_set(uids)
    if len(numbers.ranges) * _RANGE_BYTES_MAX <= UID_SET_BYTES_MAX or (every := named(numbers)) is None:
        return [numbers]
    return [_read(piece) for piece in split_set(every, UID_SET_BYTES_MAX)]


_RANGE_BYTES_MAX = 22
"""The longest element of a set: two numbers of ten digits, a colon, a comma. Fewer of them always fit."""


def _read(octets: bytes) -> SequenceSet:
    return Parser((octets,)).sequence_set()


def named(uids: SequenceSet) -> NumSet | None:
    """Return the UIDs that a set names one by one, None where only the server knows them (`*`, `$`)."""
    return None if uids.saved or uids.has_star else uids.resolve(0)


def flag_names(flags: Flags) -> tuple[str, ...]:
    """Return one flag or several as a tuple."""
    return (flags,) if isinstance(flags, str) else tuple(flags)


def require(x: Exchange, capability: str, why: str) -> None:
    """Raise NotSupported where the server lacks what is needed."""
    if not x.has(capability):
        raise NotSupported(f"{why}: the server does not offer {capability}")


def require_selected(x: Exchange) -> None:
    """Raise WrongState where no mailbox is open."""
    x.require_open()
    if x.selected is None:
        raise WrongState("no mailbox is selected")
