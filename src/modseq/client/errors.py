"""What can go wrong, by kind.

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
├── WrongState                the client asks for what makes no sense now (no mailbox selected, closed)
└── SyncIncomplete            a sync's state was asked for before all of its changes were taken
"""

from __future__ import annotations

from modseq.wire.response_values import Code


class ClientError(Exception):
    """Anything this library raises on purpose."""


class ConnectionFailed(ClientError):
    """No connection could be made: the name, the network, or TLS."""


class ConnectionLost(ClientError):
    """The connection ended before the answer: whether the command was carried out is unknown."""


class ServerSaidBye(ConnectionLost):
    """The server ended the connection with BYE."""

    def __init__(self, text: str, code: Code | None = None) -> None:
        super().__init__(f"the server closed the connection: {text}")
        self.text = text
        self.code = code


class TimedOut(ConnectionLost):
    """Nothing was heard for too long; the connection is closed, for answers would come to wrong questions."""


class ProtocolViolated(ClientError):
    """The server said what no server may say; the connection is closed."""


class ResponseTooLarge(ProtocolViolated):
    """A line, a literal or a result over its bound; the connection is closed before it is held."""


class EventsOverflowed(ProtocolViolated):
    """More events than anybody took; none was dropped silently, so the connection is closed."""


class CommandFailed(ClientError):
    """
    The server answered NO or BAD.

    Attributes:
        command: the command's name, never its arguments.
        text: what the server says.
        code: the response code, if there was one.

    """

    def __init__(self, command: str, text: str, code: Code | None = None) -> None:
        super().__init__(f"{command}: {text}")
        self.command = command
        self.text = text
        self.code = code


class CommandRefused(CommandFailed):
    """NO: understood and not carried out, or not wholly."""


class AuthenticationFailed(CommandRefused):
    """NO to LOGIN or AUTHENTICATE."""

    def __str__(self) -> str:
        return f"the server refuses the login: {self.text}"


class MailboxNotFound(CommandRefused):
    """NO [NONEXISTENT], NO [TRYCREATE], or NO to SELECT of a mailbox that is not there."""


class CommandRejected(CommandFailed):
    """BAD: not understood."""


class NotSupported(ClientError):
    """The server does not offer what this needs; nothing was sent."""


class WrongState(ClientError):
    """What was asked makes no sense now; nothing was sent."""


class SyncIncomplete(ClientError):
    """The next state of a sync is handed out only after all of its changes were taken."""
