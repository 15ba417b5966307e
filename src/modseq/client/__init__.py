r"""modseq.client: a client of any IMAP server, built on the mod-sequence of RFC 7162.

    async with connect("imaps://ann@example.org/", password=...) as client:       # asyncio
        await client.select("INBOX")
        stored = await client.store(7, add="$Claimed", unchanged_since=0)
        stored.applied, stored.modified, stored.missing

    with modseq.client.sync.connect(...) as client:                              # blocking, the same verbs

Every verb returns a typed result or raises one of these; nothing returns a bare boolean.

    ClientError
    ├── ConnectionFailed          no connection could be made (name, network, TLS)
    ├── ConnectionLost            it was made, and ended before the answer
    │   ├── ServerSaidBye         the server ended it: `.text`, `.code`
    │   └── TimedOut              nothing was heard in time: a half-open connection, a stuck server
    ├── ProtocolViolated          the server broke the grammar or the order of things; the connection is closed
    │   ├── ResponseTooLarge      a line, literal or result over its bound in modseq.limits
    │   └── EventsOverflowed      more unread events than EVENTS_PENDING_MAX
    ├── CommandFailed             a tagged NO or BAD: `.text`, `.code`, `.command`; the connection goes on
    │   ├── CommandRefused        NO
    │   │   ├── AuthenticationFailed
    │   │   └── MailboxNotFound   NO [NONEXISTENT] or [TRYCREATE]
    │   └── CommandRejected       BAD
    ├── NotSupported              the server lacks a capability that this needs; nothing was sent
    ├── WrongState                the client asks for what makes no sense now; nothing was sent
    └── SyncIncomplete            a sync's state was asked for before all of its changes were taken

Beside these, ValueError says that an argument cannot be sent (no set of UIDs, no flag, a line end in a name).
"""

from modseq.client.aio import BodyStream, Client, Pipeline, Stream, Sync, connect
from modseq.client.errors import (
    AuthenticationFailed,
    ClientError,
    CommandFailed,
    CommandRefused,
    CommandRejected,
    ConnectionFailed,
    ConnectionLost,
    EventsOverflowed,
    MailboxNotFound,
    NotSupported,
    ProtocolViolated,
    ResponseTooLarge,
    ServerSaidBye,
    SyncIncomplete,
    TimedOut,
    WrongState,
)
from modseq.client.events import (
    Alert,
    Event,
    EventLog,
    MailboxClosed,
    ModSeqRaised,
    Notice,
    UidNotSticky,
)
from modseq.client.quirks import Quirks
from modseq.client.results import (
    Appended,
    Completed,
    Copied,
    Enabled,
    Executed,
    ExpungeResult,
    Fetched,
    Found,
    Moved,
    Selected,
    ServerId,
    Stored,
    SyncChange,
    SyncOutcome,
    SyncReset,
    SyncState,
)
from modseq.client.verbs.command import Pending
from modseq.core.numset import NumSet
from modseq.wire.response_values import (
    Address,
    BodyPart,
    Code,
    Envelope,
    Exists,
    Expunged,
    FlagsDefined,
    ListData,
    MessageData,
    NamespaceData,
    OtherData,
    Recent,
    SearchData,
    StatusData,
    Vanished,
)

__all__ = [
    "Address",
    "Alert",
    "Appended",
    "AuthenticationFailed",
    "BodyPart",
    "BodyStream",
    "Client",
    "ClientError",
    "Code",
    "CommandFailed",
    "CommandRefused",
    "CommandRejected",
    "Completed",
    "ConnectionFailed",
    "ConnectionLost",
    "Copied",
    "Enabled",
    "Envelope",
    "Event",
    "EventLog",
    "EventsOverflowed",
    "Executed",
    "Exists",
    "ExpungeResult",
    "Expunged",
    "Fetched",
    "FlagsDefined",
    "Found",
    "ListData",
    "MailboxClosed",
    "MailboxNotFound",
    "MessageData",
    "ModSeqRaised",
    "Moved",
    "NamespaceData",
    "NotSupported",
    "Notice",
    "NumSet",
    "OtherData",
    "Pending",
    "Pipeline",
    "ProtocolViolated",
    "Quirks",
    "Recent",
    "ResponseTooLarge",
    "SearchData",
    "Selected",
    "ServerId",
    "ServerSaidBye",
    "StatusData",
    "Stored",
    "Stream",
    "Sync",
    "SyncChange",
    "SyncIncomplete",
    "SyncOutcome",
    "SyncReset",
    "SyncState",
    "TimedOut",
    "UidNotSticky",
    "Vanished",
    "WrongState",
    "connect",
]
