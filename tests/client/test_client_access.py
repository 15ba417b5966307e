"""Greeting, logging in, ENABLE, ID, COMPRESS. RFC 3501 section 6.2, RFC 7628, RFC 5161, RFC 4978."""

import tracemalloc
import zlib
from base64 import b64decode, b64encode

import pytest

from client.play import exchange, play, ways
from modseq.client import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionFailed,
    NotSupported,
    ProtocolViolated,
    ResponseTooLarge,
    WrongState,
)
from modseq.client.exchange import Exchange
from modseq.client.options import Options, parse_url
from modseq.client.surface import options_of
from modseq.client.verbs.access import (
    compress,
    enable,
    execute,
    greet,
    identify,
    log_in,
    log_in_later,
    logout,
    noop,
)
from modseq.limits import RESPONSE_TEXT_BYTES_MAX


def fresh(**options):
    return Exchange(Options(host="h", port=143, client_id=None, enable=(), **{"tls": "none", **options}))


def begin(x):
    yield from greet(x)
    yield from log_in(x)


@ways
def test_password_by_plain_with_initial_response(way):
    x = fresh(user="ann", password="pä")
    played = play(
        x,
        begin(x),
        b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n",
        b"* CAPABILITY IMAP4rev1 IDLE\r\n$T OK in\r\n",
        way=way,
    )
    assert b64decode(played.lines[0].split()[2]) == "\0ann\0pä".encode()
    assert x.is_logged_in
    assert x.capabilities == {"IMAP4REV1", "IDLE"}
    assert len(played.lines) == 1


@ways
def test_plain_without_initial_response_acts_as_somebody_else(way):
    x = fresh(user="ann", password="p", authorize_as="ben")
    played = play(
        x,
        begin(x),
        b"* OK hi\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$T OK done\r\n",
        b"+ \r\n",
        b"$T OK [CAPABILITY IMAP4rev1] in\r\n",
        way=way,
    )
    assert played.lines == ["CAPABILITY", "AUTHENTICATE PLAIN", b64encode(b"ben\0ann\0p").decode()]


def test_login_where_nothing_better_is_offered():
    x = fresh(user="ann", password='a"b c')
    played = play(
        x,
        begin(x),
        b"* OK [CAPABILITY IMAP4rev1] hi\r\n",
        b"$T OK in\r\n",
        b"* CAPABILITY IMAP4rev1 MOVE\r\n$T OK done\r\n",
    )
    assert played.lines == ['LOGIN ann "a\\"b c"', "CAPABILITY"]
    assert x.has("MOVE")


def test_login_with_octets_waits_for_leave():
    x = fresh(user="ann", password="pä", auth="login")
    played = play(
        x,
        begin(x),
        b"* OK [CAPABILITY IMAP4rev1] hi\r\n",
        b"+ go\r\n",
        b"$T OK [CAPABILITY IMAP4rev1] in\r\n",
    )
    assert played.sent == "m1 LOGIN ann {3}\r\npä\r\n".encode()


@ways
@pytest.mark.parametrize(
    ("mechanism", "first", "answer"),
    [
        ("OAUTHBEARER", "n,a=a=3Db,\1host=h\1port=143\1auth=Bearer tok\1\1", "AQ=="),
        ("XOAUTH2", "user=a=b\1auth=Bearer tok\1\1", ""),
    ],
)
def test_tokens_and_why_they_are_refused(way, mechanism, first, answer):
    greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=%b] hi\r\n" % mechanism.encode()
    x = fresh(user="a=b", token="tok")
    played = play(x, begin(x), greeting, b"$T OK [CAPABILITY IMAP4rev1] in\r\n", way=way)
    assert b64decode(played.lines[0].split()[2]).decode() == first
    x = fresh(user="a=b", token="tok")
    verb = begin(x)
    with pytest.raises(AuthenticationFailed) as caught:
        play(x, verb, greeting, b"+ eyJzdGF0dXMi\r\n", b"$T NO [AUTHENTICATIONFAILED] no\r\n", way=way)
    assert "tok" not in str(caught.value)
    assert caught.value.code.name == "AUTHENTICATIONFAILED"
    assert not x.is_logged_in
    del answer


def test_secrets_are_in_no_repr():
    assert "sesame" not in repr(Options("h", 1, password="sesame", token="sesame"))
    assert "sesame" not in repr(parse_url("imaps://ann:sesame@h"))


def test_a_password_is_not_sent_where_login_is_disabled():
    x = fresh(user="ann", password="p")
    with pytest.raises(NotSupported):
        play(x, begin(x), b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] hi\r\n")


@pytest.mark.parametrize("said", [b"NO", b"BAD"])
@pytest.mark.parametrize(
    ("capabilities", "options"),
    [
        (b"IMAP4rev1", {"password": "s3cret"}),
        (b"IMAP4rev1 SASL-IR AUTH=PLAIN", {"password": "s3cret"}),
        (b"IMAP4rev1 SASL-IR AUTH=OAUTHBEARER", {"token": "s3cret"}),
        (b"IMAP4rev1 SASL-IR AUTH=XOAUTH2", {"token": "s3cret"}),
    ],
)
def test_a_server_that_says_what_it_was_sent_tells_nobody(said, capabilities, options):
    x = fresh(user="ann", **options)
    greeting = b"* OK [CAPABILITY %b] hi\r\n" % capabilities
    played = play(x, begin(x), greeting, b"$T OK [CAPABILITY IMAP4rev1] in\r\n")
    sent = played.lines[0].split()[-1].strip('"').encode()
    x = fresh(user="ann", **options)
    with pytest.raises(CommandFailed) as caught:
        play(x, begin(x), greeting, b"$T %b what is s3cret or %b?\r\n" % (said, sent))
    assert "s3cret" not in str(caught.value)
    assert sent.decode() not in str(caught.value)
    assert "why is not shown" in str(caught.value)
    assert isinstance(caught.value, AuthenticationFailed) is (said == b"NO")


def test_a_password_that_is_a_word_of_the_answer():
    x = fresh(user="ann", password="wrong")
    greeting = b"* OK [CAPABILITY IMAP4rev1] hi\r\n"
    refusal = b"$T NO [AUTHENTICATIONFAILED] The user name or the password is wrong\r\n"
    with pytest.raises(AuthenticationFailed, match="wrong user, password or token") as caught:
        play(x, begin(x), greeting, refusal)
    assert "*" not in str(caught.value)


def test_preauth_and_refusals():
    x = fresh()
    play(x, begin(x), b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
    assert x.is_logged_in
    x = fresh()
    with pytest.raises(ConnectionFailed, match="too many"):
        play(x, begin(x), b"* BYE too many\r\n")
    x = fresh()
    with pytest.raises(ProtocolViolated):
        play(x, begin(x), b"* NO hello\r\n")


def test_starttls():
    x = fresh(tls="starttls", user="ann", password="p")
    played = play(
        x,
        greet(x),
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n",
        b"$T OK go\r\n* OK injected\r\n",
    )
    assert played.lines == ["STARTTLS"]
    assert not x.capabilities
    played = play(
        x,
        log_in(x),
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n$T OK done\r\n",
        b"+ \r\n",
        b"$T OK [CAPABILITY IMAP4rev1] in\r\n",
    )
    assert played.lines[0] == "CAPABILITY"
    assert not len(x.events), "what was injected before TLS was believed"


def test_starttls_cannot_be_talked_away():
    for greeting in (
        b"* OK [CAPABILITY IMAP4rev1] hi\r\n",
        b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
    ):
        x = fresh(tls="starttls", user="ann", password="p")
        with pytest.raises((ConnectionFailed, ProtocolViolated)):
            play(x, begin(x), greeting)


def test_after_login_what_is_offered_is_used():
    x = Exchange(Options(host="h", port=1, tls="none", user="ann", password="p"))
    played = play(
        x,
        begin(x),
        b"* OK [CAPABILITY IMAP4rev1] hi\r\n",
        b"$T OK [CAPABILITY IMAP4rev1 ID ENABLE QRESYNC CONDSTORE] in\r\n",
        b'* ID ("name" "Dovecot")\r\n$T OK done\r\n',
        b"* ENABLED QRESYNC\r\n$T OK done\r\n",
    )
    assert played.lines == ['LOGIN ann "p"', 'ID ("name" "modseq")', "ENABLE QRESYNC CONDSTORE"]
    assert x.server_id.name == "dovecot"
    assert x.quirks.claims_may_double
    assert x.enabled == {"QRESYNC", "CONDSTORE"}


def test_log_in_later():
    x = fresh()
    play(x, begin(x), b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
    x.options = options_of("imap+insecure://h", user="ann", password="p", client_id={}, enable=())
    played = play(x, log_in_later(x), b"$T OK [CAPABILITY IMAP4rev1] in\r\n")
    assert played.result.text == "in"
    with pytest.raises(WrongState):
        play(x, log_in_later(x))


@ways
def test_enable(way):
    x = exchange("ENABLE", "QRESYNC", "CONDSTORE")
    enabled = play(x, enable(x, ["qresync"]), b"* ENABLED QRESYNC\r\n$T OK done\r\n", way=way).result
    assert (enabled.newly, enabled.all) == ({"QRESYNC"}, {"QRESYNC", "CONDSTORE"})
    x = exchange("ENABLE", "QRESYNC")
    assert not play(x, enable(x, ["QRESYNC"]), b"* ENABLED\r\n$T OK done\r\n", way=way).result.newly
    assert not x.quirks.no_enabled_reply
    # A server that never says ENABLED is believed, and remembered.
    x = exchange("ENABLE", "QRESYNC")
    assert play(x, enable(x, ["QRESYNC", "X"]), b"$T OK done\r\n", way=way).result.newly == {"QRESYNC"}
    assert x.quirks.no_enabled_reply


@ways
def test_compress(way):
    x = exchange("COMPRESS=DEFLATE")
    deflater = zlib.compressobj(wbits=-15)

    def deflated(octets):
        return deflater.compress(octets) + deflater.flush(zlib.Z_SYNC_FLUSH)

    # What follows the reply in the same octets is compressed already.
    play(x, compress(x), b"m1 OK go\r\n" + deflated(b"* 3 EXISTS\r\n"), way="whole")
    played = play(x, noop(x), deflated(b"* 4 EXISTS\r\nm2 OK done\r\n"), way=way)
    inflater = zlib.decompressobj(wbits=-15)
    assert inflater.decompress(played.sent) == b"m2 NOOP\r\n"
    assert [event.count for event in x.events.take()] == [4]
    with pytest.raises(ProtocolViolated, match="compressed"):
        play(x, noop(x), b"* 4 EXISTS\r\n")


def test_a_bomb_is_inflated_in_pieces():
    x = exchange("COMPRESS=DEFLATE")
    play(x, compress(x), b"m1 OK go\r\n")
    bomb = zlib.compress(b"* " + bytes(2**25), wbits=-15)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLarge):
            play(x, noop(x), bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * RESPONSE_TEXT_BYTES_MAX


def test_id():
    x = exchange("ID")
    server = play(x, identify(x, None), b'* ID ("name" "Cyrus" "version" NIL)\r\n$T OK done\r\n').result
    assert server.fields == {"name": "Cyrus", "version": None}
    assert server.name == "cyrus"
    with pytest.raises(NotSupported):
        play(exchange(), identify(exchange(), None))


@ways
def test_a_command_without_a_verb(way):
    x = exchange()
    played = play(
        x,
        execute(x, "getquotaroot INBOX"),
        b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 1 {1}\r\n2)\r\n* 3 EXISTS\r\n* SORT 2 1\r\n$T OK done\r\n',
        way=way,
    )
    assert played.lines == ["GETQUOTAROOT INBOX"]
    root, quota, order = played.result.data
    assert (root.name, root.parts) == ("QUOTAROOT", (b'* QUOTAROOT INBOX ""',))
    assert quota.parts == (b'* QUOTA "" (STORAGE 1 {1}', b"2", b")")
    assert order.numbers == (2, 1)
    assert len(x.events) == 1
    for line in ("", "A\r\nB", "SORT ü", "S\0", "a-b", "starttls", "SELECT x"):
        with pytest.raises(ValueError):
            play(x, execute(x, line))


def test_logout():
    x = exchange()
    assert play(x, logout(x), b"* BYE bye\r\n$T OK done\r\n").result.text == "done"
    assert x.is_broken
    x = exchange()
    assert play(x, logout(x), b"* BYE bye\r\n").result.text == ""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("imaps://ann@h", ("h", 993, "implicit", "ann", None, None)),
        ("imap://h:14/a%2Fb", ("h", 14, "starttls", None, None, "a/b")),
        ("imap+insecure://a%40b:p%20w@[::1]:1143/", ("::1", 1143, "none", "a@b", "p w", None)),
        ("mail.example.org", ("mail.example.org", 993, "implicit", None, None, None)),
        ("mail.example.org:994", ("mail.example.org", 994, "implicit", None, None, None)),
    ],
)
def test_addresses(url, found):
    read = parse_url(url)
    assert (read.host, read.port, read.tls, read.user, read.password, read.mailbox) == found


@pytest.mark.parametrize("url", ["", "http://h", "imaps://", "imaps://h?x", "imaps://h:x", "imaps://h:99999"])
def test_what_is_no_address(url):
    with pytest.raises(ValueError):
        parse_url(url)


@pytest.mark.parametrize("seconds", [0, -1, 29 * 60, 1e9])
def test_idle_must_be_renewed_before_29_minutes(seconds):
    with pytest.raises(ValueError):
        options_of("h", idle_renew_seconds=seconds)
