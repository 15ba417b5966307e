"""
LMTP connections: octets in and out, whom addresses mean, and the room that messages on their way take.

The conversation itself is `wire.lmtp`; storing is `delivery`. A reply for a recipient is written only
after the commit that it reports.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from modseq import clock
from modseq.core.errors import StorageError
from modseq.limits import (
    APPEND_LITERAL_BYTES_MAX,
    CLOSE_SECONDS_MAX,
    LMTP_CONNECTIONS_MAX,
    LMTP_CONTENT_BYTES_MAX,
    LMTP_IDLE_SECONDS_MAX,
    LMTP_READ_BYTES,
)
from modseq.server.delivery import NO_SUCH_USER, Recipient, deliver, find_recipient, reply_for, trace_header
from modseq.storage.base import Store
from modseq.wire.lmtp import (
    ConnectionEnded,
    DataRequested,
    Event,
    LmtpConnection,
    MessageReceived,
    RecipientOffered,
)
from modseq.wire.lmtp_text import Address, Reply

_log = logging.getLogger(__name__)

_SHUTTING_DOWN = Reply(421, "4.3.2", "The server is shutting down; try again later")
_TOO_MANY = Reply(421, "4.3.2", "Too many connections; try again later")
_TOO_SILENT = Reply(421, "4.4.2", "Nothing was heard for too long; closing")
_FAILED = Reply(421, "4.3.0", "The server failed; try again later")


class Room:
    """
    Octets that messages on their way may take together: who finds none waits for others to finish.

    Args:
        bytes_max: all of it.

    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_free = bytes_max
        self._freed = asyncio.Condition()

    async def take(self, count: int) -> None:
        """Wait until there is room for `count` octets, and take it."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._bytes_free >= count)
            self._bytes_free -= count

    async def give_back(self, count: int) -> None:
        """Let others have it."""
        async with self._freed:
            self._bytes_free += count
            self._freed.notify_all()


@dataclass(eq=False, slots=True)
class _Client:
    """One connection and what its open transaction has come to."""

    connection: LmtpConnection
    writer: asyncio.StreamWriter
    recipients: list[Recipient] = field(default_factory=list)
    """Whom the accepted addresses mean, in their order: those of `connection`."""
    room_bytes: int = 0
    """What this client has taken of the room."""


class LmtpService:
    """
    All LMTP connections of one process.

    Args:
        store: where messages go.
        host_name: this server's name, for the greeting and the Received field.
        message_bytes_max: the largest message taken.
        content_bytes_max: octets of all messages on their way.
        connections_max: connections at one time.
        idle_seconds_max: silence after which a connection is closed.

    """

    def __init__(
        self,
        store: Store,
        host_name: str,
        *,
        message_bytes_max: int = APPEND_LITERAL_BYTES_MAX,
        content_bytes_max: int = LMTP_CONTENT_BYTES_MAX,
        connections_max: int = LMTP_CONNECTIONS_MAX,
        idle_seconds_max: float = LMTP_IDLE_SECONDS_MAX,
    ) -> None:
        self._store = store
        self._host_name = host_name
        self._message_bytes_max = message_bytes_max
        self._room = Room(max(content_bytes_max, message_bytes_max))
        self._connections_max = connections_max
        self._idle_seconds_max = idle_seconds_max
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()
        """Of these the ones that wait for the client and may be interrupted."""
        self._is_stopping = False

    def connection(self) -> asyncio.BaseProtocol:
        """Make the protocol object of a new connection, for a Listener."""
        reader = asyncio.StreamReader(limit=LMTP_READ_BYTES)
        return asyncio.StreamReaderProtocol(reader, self._admit)

    async def stop(self) -> None:
        """Store what has fully arrived and answer it, say goodbye to everybody, and return when all are gone."""
        self._is_stopping = True
        for task in list(self._listening):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_stopping or len(self._tasks) >= self._connections_max:
            writer.write((_SHUTTING_DOWN if self._is_stopping else _TOO_MANY).encode())
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client from greeting to goodbye; whatever fails, the client is told to come back."""
        client = _Client(LmtpConnection(self._host_name, message_bytes_max=self._message_bytes_max), writer)
        connection = client.connection
        try:
            while not await self._serve(client):
                writer.write(connection.take_output())
                if self._is_stopping:
                    connection.shut_down(_SHUTTING_DOWN)
                    break
                octets = await self._listen(reader, writer)
                if not octets:
                    break
                connection.receive(octets)
        except TimeoutError:
            connection.shut_down(_TOO_SILENT)
        except asyncio.CancelledError:
            # Only `stop` cancels, and only who waits for the client.
            connection.shut_down(_SHUTTING_DOWN)
        except ConnectionError:
            pass
        except Exception:  # noqa: BLE001 -- a fault ends this conversation, and no other
            _log.exception("an LMTP connection failed")
            connection.shut_down(_FAILED)
        finally:
            await self._leave_room(client)
            await _close(writer, connection.take_output())

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Return what the client sends next, b"" when it has gone; raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None
        self._listening.add(task)
        try:
            async with asyncio.timeout(self._idle_seconds_max):
                await writer.drain()
                return await reader.read(LMTP_READ_BYTES)
        finally:
            self._listening.discard(task)

    async def _serve(self, client: _Client) -> bool:
        """Carry out what has arrived; return whether the conversation is over."""
        while (event := client.connection.next_event()) is not None:
            if isinstance(event, ConnectionEnded):
                return True
            # Replies so far must not wait for what this event has to wait for: the disk, or other messages.
            client.writer.write(client.connection.take_output())
            await self._decide(client, event)
        if not client.connection.takes_content:
            await self._leave_room(client)
        return False

    async def _decide(self, client: _Client, event: Event) -> None:
        match event:
            case RecipientOffered(address):
                await self._offer(client, address)
            case DataRequested(size_bytes):
                await self._leave_room(client)
                # Taken as declared; who declares nothing may send as much as is allowed.
                client.room_bytes = size_bytes or self._message_bytes_max
                await self._room.take(client.room_bytes)
                client.connection.accept_data()
            case MessageReceived() as message:
                replies = await self._store_message(message, client)
                client.connection.report(replies)

    async def _offer(self, client: _Client, address: Address) -> None:
        """Accept a recipient that means somebody here."""
        connection = client.connection
        if not connection.recipients:
            client.recipients.clear()  # They are of an earlier transaction.
        try:
            recipient = await find_recipient(self._store.directory, address)
        except StorageError as error:
            _log.warning("a recipient could not be looked up: %s", error)
            connection.refuse_recipient(reply_for(error))
            return
        if recipient is None:
            connection.refuse_recipient(NO_SUCH_USER)
        else:
            client.recipients.append(recipient)
            connection.accept_recipient()

    async def _store_message(self, message: MessageReceived, client: _Client) -> list[Reply]:
        trace = trace_header(
            client_name=message.client_name,
            host_name=self._host_name,
            sender=message.sender,
            smtputf8=message.smtputf8,
            queue_id=clock.random_token(8),
            moment=clock.now_seconds(),
        )
        return await deliver(self._store, trace + message.data, client.recipients)

    async def _leave_room(self, client: _Client) -> None:
        taken, client.room_bytes = client.room_bytes, 0
        if taken:
            await self._room.give_back(taken)


async def _close(writer: asyncio.StreamWriter, last_words: bytes) -> None:
    """Send what is left to say and close; a client that does not read is not waited for."""
    try:
        writer.write(last_words)
        writer.close()
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
