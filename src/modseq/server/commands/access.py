"""access: who is there, what both sides can do.

RFC: 3501 section 6.1, 6.2
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import modseq
from modseq.core.errors import UserNotFound
from modseq.limits import LOGIN_FAILURES_PER_CONNECTION_MAX
from modseq.server.auth import TooManyAttempts, read_plain
from modseq.server.registry import (
    AFTER_LOGIN,
    ANY_STATE,
    BEFORE_LOGIN,
    State,
    advertise,
    capability_words,
    command,
)
from modseq.server.reply import CommandRefused, Reply, SessionEnds, bad, no, ok
from modseq.wire.grammar.access import (
    capability_code,
    capability_data,
    enabled_data,
    id_response,
    sasl_challenge,
    sasl_octets,
)
from modseq.wire.values import Authenticate, Command, Enable, Id, Login

if TYPE_CHECKING:
    from modseq.server.session import Session

_log = logging.getLogger(__name__)


def _is_stranger(session: Session) -> bool:
    return not session.is_logged_in


def _may_send_password(session: Session) -> bool:
    return not session.is_logged_in and session.service.permits_password(session)


def _may_not_send_password(session: Session) -> bool:
    return not session.is_logged_in and not session.service.permits_password(session)


def _may_start_tls(session: Session) -> bool:
    return not session.is_logged_in and not session.is_secure and session.service.can_start_tls


advertise("LITERAL+", rfc="7888 section 5")
advertise("LOGINDISABLED", rfc="3501 section 6.2.3", shown=_may_not_send_password)


# --- in every state -------------------------------------------------------------------------------


@command(
    "CAPABILITY",
    family="access",
    states=ANY_STATE,
    rfc=("3501 section 6.1.1", "3501 section 7.2.1"),
    answers_before_refresh=True,
)
async def capability(session: Session, _: Command) -> Reply:
    """
    Say what this server can do for this session as it stands.

    RFC: 3501 section 6.1.1
    """
    session.out.write(capability_data(capability_words(session)))
    return ok("That is all")


@command("NOOP", family="access", states=ANY_STATE, rfc="3501 section 6.1.2")
async def noop(_session: Session, _: Command) -> Reply:
    """
    Do nothing: what changed is told with every reply.

    RFC: 3501 section 6.1.2
    """
    return ok("Nothing done")


@command("LOGOUT", family="access", states=ANY_STATE, rfc="3501 section 6.1.3", answers_before_refresh=True)
async def logout(session: Session, _: Command) -> Reply:
    """
    Say good-bye; the session closes the connection behind the reply.

    RFC: 3501 section 6.1.3, 3.4
    """
    session.out.untagged(b"BYE See you")
    session.state = State.LOGOUT
    return ok("Logged out")


@command(
    "ID",
    family="access",
    states=ANY_STATE,
    capability="ID",
    rfc=("2971 section 3.1", "2971 section 3.2"),
    answers_before_refresh=True,
)
async def identify(session: Session, command: Command) -> Reply:
    """
    Exchange names: what the client says is logged, and the worker that serves it is told.

    RFC: 2971 section 3.1, 3.2, 3.3
    """
    assert isinstance(command.args, Id)
    if command.args.pairs:
        said = {_printable(name): _printable(value or b"") for name, value in command.args.pairs}
        _log.info("client identifies itself", extra={"user": session.user, "client": said})
    pairs = [
        (b"name", b"modseq"),
        (b"version", modseq.__version__.encode("ascii")),
        (b"worker", session.service.worker.encode("ascii")),
    ]
    session.out.write(id_response(pairs))
    return ok("Pleased to meet you")


def _printable(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


# --- before login ---------------------------------------------------------------------------------


@command(
    "STARTTLS",
    family="access",
    states=BEFORE_LOGIN,
    capability="STARTTLS",
    shown=_may_start_tls,
    rfc="3501 section 6.2.1",
    answers_before_refresh=True,
)
async def start_tls(session: Session, _: Command) -> Reply:
    """
    Encrypt the connection from the octet behind the reply on.

    RFC: 3501 section 6.2.1
    """
    if session.is_secure:
        return bad("TLS is already active")
    if not session.service.can_start_tls:
        return bad("This server has no certificate")
    return Reply("OK", "Begin TLS now", after=session.start_tls)


@command(
    "LOGIN",
    family="access",
    states=BEFORE_LOGIN,
    rfc="3501 section 6.2.3",
    answers_before_refresh=True,
)
async def login(session: Session, command: Command) -> Reply:
    """
    Let a user in by name and password.

    RFC: 3501 section 6.2.3
    RFC: 5530 section 3
    """
    assert isinstance(command.args, Login)
    _require_privacy(session)
    return await _enter(session, command.args.user, command.args.password)


@command(
    "AUTHENTICATE",
    family="access",
    states=BEFORE_LOGIN,
    capability=("AUTH=PLAIN", "SASL-IR"),
    shown=_may_send_password,
    rfc=("3501 section 6.2.2", "4959 section 3"),
    answers_before_refresh=True,
)
async def authenticate(session: Session, command: Command) -> Reply:
    """
    Let a user in by SASL PLAIN.

    RFC: 3501 section 6.2.2
    RFC: 4616 section 2
    RFC: 4959 section 3
    """
    args = command.args
    assert isinstance(args, Authenticate)
    if args.mechanism != "PLAIN":
        return no("PLAIN is the mechanism of this server", b"CANNOT")
    _require_privacy(session)
    message = args.initial
    if message is None:
        session.out.write(sasl_challenge(b""))
        line = await session.read_line()
        if line == b"*":
            return bad("Authentication cancelled")
        message = sasl_octets(line)
    plain = read_plain(message) if message is not None else None
    if plain is None:
        return bad("Expected a PLAIN message in base64: [who] NUL user NUL password")
    if plain.authorization not in ("", plain.user):
        return no("Nobody may act for another user here", b"AUTHORIZATIONFAILED")
    return await _enter(session, plain.user, plain.password)


def _require_privacy(session: Session) -> None:
    if not session.service.permits_password(session):
        raise CommandRefused("A password may not be sent without TLS", b"PRIVACYREQUIRED")


async def _enter(session: Session, user: str, password: bytes) -> Reply:
    """Check a password and enter the authenticated state; a guesser is cut after some failures."""
    try:
        is_right = await session.service.authenticator.check(
            user, password, address=session.peer, is_wanted=lambda: not session.out.is_lost
        )
    except TooManyAttempts:
        raise SessionEnds("Too many failed logins; try again later", b"UNAVAILABLE") from None
    if is_right:
        try:
            account = await session.service.open_account(session, user)
        except UserNotFound:
            is_right = False
    if not is_right:
        session.login_failures += 1
        if session.login_failures >= LOGIN_FAILURES_PER_CONNECTION_MAX:
            session.end_after_reply("Too many failed logins")
        return no("The user name or the password is wrong", b"AUTHENTICATIONFAILED")
    if account is None:
        return no("This user has too many sessions", b"LIMIT")
    session.log_in(user, account)
    return ok("Logged in", capability_code(capability_words(session)))


# --- after login ----------------------------------------------------------------------------------


@command(
    "ENABLE",
    family="access",
    states=AFTER_LOGIN,
    capability="ENABLE",
    rfc=("5161 section 3.1", "7162 section 3.2.3"),
)
async def enable(session: Session, command: Command) -> Reply:
    """
    Switch extensions on for the rest of the session; unknown words are passed over.

    QRESYNC implies CONDSTORE and is then named beside it only if the client asked for both.

    RFC: 5161 section 3.1, 3.2
    RFC: 7162 section 3.1, 3.2.3
    """
    assert isinstance(command.args, Enable)
    switches = {"CONDSTORE": session.enable_condstore, "QRESYNC": session.enable_qresync}
    enabled = [word for word in dict.fromkeys(command.args.capabilities) if word in switches]
    for word in enabled:
        switches[word]()
    session.out.write(enabled_data(enabled))
    return ok("Enabled")
