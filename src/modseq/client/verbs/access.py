"""access: greeting, TLS, logging in, what both sides can do.

RFC: 3501 section 6.1, 6.2
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from modseq.client.effects import Send, Verb
from modseq.client.errors import (
    CommandFailed,
    ConnectionFailed,
    ConnectionLost,
    NotSupported,
    ProtocolViolated,
    ResponseTooLarge,
    ServerSaidBye,
    WrongState,
)
from modseq.client.exchange import Exchange
from modseq.client.options import AuthMethod, Options
from modseq.client.quirks import detect
from modseq.client.results import Completed, Enabled, Executed, ServerId
from modseq.client.verbs.command import checked, command, completed, require, send, wait
from modseq.limits import COLLECTED_LINES_MAX
from modseq.wire.response_values import EnabledData, IdData, OtherData, Response, SearchData
from modseq.wire.values import Authenticate, Enable, Id, Login


def greet(x: Exchange) -> Verb[None]:
    """
    Hear the greeting, and begin TLS where the options want STARTTLS: the driver goes on with the handshake.

    RFC: 3501 section 6.2.1, 7.1
    Raises:
        ConnectionFailed: the server does not want us, or cannot do what we insist on.

    """
    try:
        yield from wait(x, lambda: x.greeting is not None)
    except ServerSaidBye as error:
        raise ConnectionFailed(f"the server refuses connections: {error.text}") from error
    assert x.greeting is not None
    if x.greeting.condition not in ("OK", "PREAUTH"):
        x.fail(ProtocolViolated("no greeting"))
    x.is_logged_in = x.greeting.condition == "PREAUTH"
    if not x.capabilities:
        yield from refresh_capabilities(x)
    if x.options.tls != "starttls":
        return
    if x.is_logged_in:
        # PREAUTH in the clear may be an attacker's, who would keep TLS from being asked for.
        x.fail(ProtocolViolated("PREAUTH before TLS"))
    if not x.has("STARTTLS"):
        raise ConnectionFailed("the server offers no STARTTLS")
    yield from command(x, "STARTTLS")
    x.discard_buffered()


def log_in(x: Exchange) -> Verb[None]:
    """
    Do what the options say after the connection stands: log in, compress, say who we are, enable.

    RFC: 3501 section 6.2.2, 6.2.3
    """
    options = x.options
    if not x.capabilities:
        yield from refresh_capabilities(x)
    if not x.is_logged_in and (options.password is not None or options.token is not None):
        yield from authenticate(x)
    if x.is_logged_in:
        yield from after_login(x)


def log_in_later(x: Exchange) -> Verb[Completed]:
    """
    Log in on a connection that was made without credentials.

    Raises:
        WrongState: somebody is logged in already.

    """
    if x.is_logged_in:
        raise WrongState("somebody is logged in already")
    try:
        reply = yield from authenticate(x)
        yield from after_login(x)
    except GeneratorExit:
        # Left half done: nobody knows what is enabled.
        x.is_broken = True
        raise
    return reply


def after_login(x: Exchange) -> Verb[None]:
    """Compress, identify and enable, each where it is offered and wanted."""
    options = x.options
    if options.compress and x.has("COMPRESS=DEFLATE"):
        yield from compress(x)
    if options.client_id is not None and x.has("ID"):
        x.server_id = yield from identify(x, options.client_id)
    if options.quirks is None:
        x.quirks = detect(x.server_id, x.capabilities)
    wanted = [name for name in options.enable if x.has(name)]
    if wanted and x.has("ENABLE"):
        yield from enable(x, wanted)


def refresh_capabilities(x: Exchange) -> Verb[frozenset[str]]:
    """
    Ask what the server can do.

    RFC: 3501 section 6.1.1
    """
    yield from command(x, "CAPABILITY")
    return x.capabilities


# --- logging in --------------------------------------------------------------------------------------


def authenticate(x: Exchange) -> Verb[Completed]:
    """
    Log in by the best method that the options and the server allow.

    Raises:
        AuthenticationFailed: wrong credentials.
        NotSupported: no method suits both sides.

    """
    options = x.options
    if options.user is None:
        raise ValueError("a user is wanted beside a password or token")
    method = _method(x, options)
    before = x.capabilities
    try:
        if method == "login":
            password = (options.password or "").encode("utf-8")
            reply = completed((yield from command(x, "LOGIN", Login(options.user, password))))
        else:
            reply = yield from _sasl(x, method, options)
    except CommandFailed as error:
        raise type(error)(error.command, _shown(error, method, options), error.code) from None
    x.is_logged_in = True
    if x.capabilities is before:
        # What was offered to a stranger says nothing of what is offered now.
        yield from refresh_capabilities(x)
    return reply


def _shown(error: CommandFailed, method: AuthMethod, options: Options) -> str:
    """
    Return what the server says of a refusal, which is shown and logged; something else where that has a secret in it.

    A short password may as well be a word of the sentence: nothing is cut out, which would tell that it is.

    RFC: 5530 section 3
    """
    secrets = [options.password, options.token]
    if method != "login":
        secrets.append(b64encode(_initial(method, options)[1]).decode("ascii"))
    if not any(secret and secret in error.text for secret in secrets):
        return error.text
    is_wrong = error.code is not None and error.code.name == "AUTHENTICATIONFAILED"
    reason = "wrong user, password or token" if is_wrong else "why is not shown"
    return f"{reason} (the server's own words have in them what it was sent)"


def _method(x: Exchange, options: Options) -> AuthMethod:
    """Return the method to use, by preference: a token's, PLAIN, LOGIN."""
    if options.auth != "auto":
        return options.auth
    if options.token is not None:
        if x.has("AUTH=OAUTHBEARER"):
            return "oauthbearer"
        if x.has("AUTH=XOAUTH2"):
            return "xoauth2"
        # A token is as good as a password: a server that cannot take it need not see it.
        raise NotSupported("the server takes no token: it offers neither OAUTHBEARER nor XOAUTH2")
    if x.has("AUTH=PLAIN"):
        return "plain"
    if x.has("LOGINDISABLED"):
        raise NotSupported("the server takes no password on this connection; it may want TLS")
    return "login"


def _initial(method: AuthMethod, options: Options) -> tuple[str, bytes]:
    """
    Return the mechanism's name and its first message.

    RFC: 4616 section 2
    RFC: 7628 section 3.1
    """
    user = options.user or ""
    if method == "plain":
        password = options.password or ""
        if "\0" in user + password + (options.authorize_as or ""):
            raise ValueError("NUL cannot be part of a user or password")
        return "PLAIN", "\0".join((options.authorize_as or "", user, password)).encode("utf-8")
    token = options.token or ""
    if "\x01" in user + token:
        raise ValueError("a control character cannot be part of a user or token")
    if method == "xoauth2":
        return "XOAUTH2", f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
    name = user.replace("=", "=3D").replace(",", "=2C")
    host = f"host={options.host}\x01port={options.port}"
    return "OAUTHBEARER", f"n,a={name},\x01{host}\x01auth=Bearer {token}\x01\x01".encode()


def _sasl(x: Exchange, method: AuthMethod, options: Options) -> Verb[Completed]:
    """
    Run one mechanism of a single message; a second challenge is the reason of a refusal.

    RFC: 3501 section 6.2.2
    RFC: 4959 section 3
    RFC: 7628 section 3.2.3
    """
    mechanism, first = _initial(method, options)
    at_once = x.has("SASL-IR")
    running = x.begin("AUTHENTICATE", Authenticate(mechanism, first if at_once else None))
    try:
        running.awaits_continuation = True
        yield from send(x, running)
        answers = [b64encode(first)] if not at_once else []
        while True:
            yield from wait(x, lambda: running.is_over or running.continuation is not None)
            if running.is_over:
                break
            running.continuation = None
            running.awaits_continuation = True
            # What the server says now is why it refuses; it wants an answer before it says NO.
            answer = answers.pop(0) if answers else (b"AQ==" if mechanism == "OAUTHBEARER" else b"")
            yield Send(x.encode(answer + b"\r\n"))
    finally:
        x.abandon(running)
    assert running.reply is not None
    return completed(checked(running.reply, "AUTHENTICATE"))


# --- the rest ----------------------------------------------------------------------------------------


def compress(x: Exchange) -> Verb[None]:
    """
    Compress both directions from here on.

    RFC: 4978 section 3
    """
    yield from command(x, "COMPRESS", raw=b"DEFLATE")
    x.start_compression()


def identify(x: Exchange, fields: Mapping[str, str] | None) -> Verb[ServerId]:
    """
    Say who we are and hear who the server is.

    RFC: 2971 section 3.1
    """
    require(x, "ID", "identification")
    told: list[IdData] = []

    def collect(response: Response) -> bool:
        if isinstance(response, IdData):
            told.append(response)
            return True
        return False

    pairs = None
    if fields is not None:
        pairs = tuple([(name.encode("utf-8"), value.encode("utf-8")) for name, value in fields.items()])
    yield from command(x, "ID", Id(pairs), collector=collect)
    return ServerId(told[-1].fields if told else {})


def enable(x: Exchange, names: list[str] | tuple[str, ...]) -> Verb[Enabled]:
    """
    Enable extensions; those that the server lacks are ignored by it.

    RFC: 5161 section 3.1
    Chosen: a server that answers OK without any ENABLED response is believed: it leaves the response out always.
    """
    require(x, "ENABLE", "enabling extensions")
    told: list[frozenset[str]] = []

    def collect(response: Response) -> bool:
        if isinstance(response, EnabledData):
            told.append(response.capabilities)
            return True
        return False

    upper = tuple([name.upper() for name in names])
    yield from command(x, "ENABLE", Enable(upper), collector=collect)
    newly = frozenset[str]().union(*told)
    if not told:
        x.quirks = x.quirks.with_(no_enabled_reply=True)
        newly = frozenset(upper) & x.capabilities
        x.enabled |= newly
    if "QRESYNC" in x.enabled:
        x.enabled |= {"CONDSTORE"}
    return Enabled(newly, x.enabled)


def noop(x: Exchange) -> Verb[Completed]:
    """
    Ask for what is new.

    RFC: 3501 section 6.1.2
    """
    return completed((yield from command(x, "NOOP")))


_OF_VERBS = frozenset(
    {
        "AUTHENTICATE",
        "CLOSE",
        "COMPRESS",
        "EXAMINE",
        "IDLE",
        "LOGIN",
        "LOGOUT",
        "SELECT",
        "STARTTLS",
        "UNSELECT",
    }
)


def execute(x: Exchange, line: str) -> Verb[Executed]:
    """
    Send a command that this library has no verb for, such as `GETQUOTAROOT INBOX`.

    RFC: 3501 section 6.5
    Raises ValueError for what is no single line of ASCII, and for commands that change the client's own state.
    """
    name, _, rest = line.partition(" ")
    if not name.isascii() or not name.isalnum() or not rest.isascii() or not rest.isprintable():
        raise ValueError("a command in one line of ASCII is wanted")
    if name.upper() in _OF_VERBS:
        raise ValueError(f"{name.upper()} changes what the client must know: use its verb")
    data: list[OtherData | SearchData] = []

    def collect(response: Response) -> bool:
        if isinstance(response, OtherData) or (isinstance(response, SearchData) and response.sort):
            if len(data) >= COLLECTED_LINES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_LINES_MAX} responses to one command")
            data.append(response)
            return True
        return False

    reply = yield from command(x, name.upper(), collector=collect, raw=rest.encode("ascii"))
    return Executed(reply.text, reply.code, tuple(data))


def logout(x: Exchange) -> Verb[Completed]:
    """
    Say good-bye; that the server hangs up is what was wanted.

    RFC: 3501 section 6.1.3
    """
    try:
        reply = yield from command(x, "LOGOUT")
    except ConnectionLost:
        return Completed("")
    finally:
        x.is_broken = True
    return completed(reply)
