"""CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, ID, LOGOUT."""

import base64

import pytest

from server.serving import serving
from server.talk import CLOSED, Conversation, Peer


def _words(peer, tag="c"):
    peer.send(f"{tag} CAPABILITY\r\n".encode())
    line = peer.read_response()
    assert peer.read_response() == f"{tag} OK That is all"
    return line.removeprefix("* CAPABILITY ").split()


def _plain(user, password, authorization=""):
    return base64.b64encode(f"{authorization}\0{user}\0{password}".encode()).decode()


# --- CAPABILITY -----------------------------------------------------------------------------------


def test_capability_differs_before_and_after_login(server):
    with Conversation(server, login=False) as talk:
        before = _words(talk.peer())
        assert before[0] == "IMAP4rev1"
        assert {"AUTH=PLAIN", "SASL-IR", "LITERAL+", "ENABLE", "ID", "IDLE", "NAMESPACE"} <= set(before)
        assert not {"STARTTLS", "LOGINDISABLED"} & set(before)
        talk.run("""
            C: a LOGIN alice secret
            S: a OK [CAPABILITY IMAP4rev1 $words_]
        """)
        after = _words(talk.peer())
        assert not {"AUTH=PLAIN", "SASL-IR", "STARTTLS", "LOGINDISABLED"} & set(after)
        assert {"LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "OBJECTID", "CHILDREN"} <= set(after)


def test_greeting_carries_capability(server):
    with Conversation(server, login=False) as talk:
        talk.peer()
        assert talk.came[0].startswith("* OK [CAPABILITY IMAP4rev1 ")


def test_without_tls_passwords_are_refused(server_tls):
    with serving(tls=server_tls, allow_plaintext=False) as server, Conversation(server, login=False) as talk:
        words = _words(talk.peer())
        assert {"LOGINDISABLED", "STARTTLS"} <= set(words)
        assert "AUTH=PLAIN" not in words
        talk.run(f"""
            C: a LOGIN alice secret
            S: a NO [PRIVACYREQUIRED]
            C: b AUTHENTICATE PLAIN {_plain("alice", "secret")}
            S: b NO [PRIVACYREQUIRED]
            C: d AUTHENTICATE PLAIN
            S: d NO [PRIVACYREQUIRED]
        """)


def test_loopback_may_be_allowed_plain_passwords():
    with serving(allow_plaintext="loopback") as server, Conversation(server) as talk:
        talk.run("""
            C: a NOOP
            S: a OK
        """)


# --- STARTTLS (RFC 3501 section 6.2.1) ------------------------------------------------------------


def test_starttls_then_login(server_tls, client_tls):
    with serving(tls=server_tls, allow_plaintext=False) as server:
        plain = server.connect()
        peer = Peer(plain)
        peer.read_response()
        peer.send(b"a STARTTLS\r\n")
        assert peer.read_response().startswith("a OK")
        peer = Peer(client_tls.wrap_socket(plain, server_hostname="localhost"))
        words = _words(peer)
        assert "AUTH=PLAIN" in words
        assert not {"LOGINDISABLED", "STARTTLS"} & set(words)
        peer.send(b"b LOGIN alice secret\r\nc STARTTLS\r\n")
        assert peer.read_response().startswith("b OK")
        assert peer.read_response().startswith("c BAD")
        peer.close()


def test_starttls_forgets_what_was_injected_in_the_clear(server_tls, client_tls):
    with serving(tls=server_tls, allow_plaintext=False) as server:
        plain = server.connect()
        peer = Peer(plain)
        peer.read_response()
        peer.send(b"a STARTTLS\r\nevil LOGIN alice secret\r\nevil2 NOOP\r\nhalf NO")
        assert peer.read_response().startswith("a OK")
        peer = Peer(client_tls.wrap_socket(plain, server_hostname="localhost"))
        peer.send(b"b NOOP\r\n")
        assert peer.read_response() == "b OK Nothing done"
        peer.close()


def test_starttls_without_certificate_is_bad(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a STARTTLS
            S: a BAD
            C: b NOOP
            S: b OK
        """)


def test_failed_handshake_costs_only_its_connection(server_tls):
    with serving(tls=server_tls) as server:
        peer = Peer(server.connect())
        peer.read_response()
        peer.send(b"a STARTTLS\r\n")
        assert peer.read_response().startswith("a OK")
        peer.send(b"this is no handshake\r\n")
        while peer.socket.recv(1000):
            pass
        peer.close()
        with Conversation(server) as talk:
            talk.run("""
                C: a NOOP
                S: a OK
            """)


def test_implicit_tls(server_tls, client_tls):
    import socket

    with serving(tls=server_tls, allow_plaintext=False) as server:
        connected = socket.create_connection(server.secure_address, 10)
        peer = Peer(client_tls.wrap_socket(connected, server_hostname="localhost"))
        assert "AUTH=PLAIN" in peer.read_response()
        peer.send(b"a LOGIN alice secret\r\n")
        assert peer.read_response().startswith("a OK")
        peer.send(b"b LOGOUT\r\n")
        assert peer.read_response().startswith("* BYE")
        assert peer.read_response().startswith("b OK")
        assert peer.read_response() == CLOSED
        peer.close()


# --- LOGIN and AUTHENTICATE -----------------------------------------------------------------------


def test_login_with_literals(server):
    with Conversation(server, login=False) as talk:
        talk.run(
            """
            C: a LOGIN {{user}} {{password}}
            S: a OK [CAPABILITY
            """,
            user=b"alice",
            password=b"secret",
        )


def test_login_with_synchronising_literals(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a LOGIN {5}
            S: +
            C: alice {6}
            S: +
            C: secret
            S: a OK
            C: b LOGIN alice secret
            S: b BAD
        """)


@pytest.mark.parametrize("user", ["alice", "nobody", "x" * 300])
def test_wrong_login(server, user):
    with Conversation(server, login=False) as talk:
        talk.run(f"""
            C: a LOGIN {user} wrong
            S: a NO [AUTHENTICATIONFAILED]
            C: b SELECT INBOX
            S: b BAD
        """)


def test_authenticate_plain_with_initial_response(server):
    with Conversation(server, login=False) as talk:
        talk.run(f"""
            C: a AUTHENTICATE PLAIN {_plain("alice", "secret")}
            S: a OK [CAPABILITY
        """)


def test_authenticate_plain_in_two_steps(server):
    with Conversation(server, login=False) as talk:
        talk.run(f"""
            C: a AUTHENTICATE PLAIN
            S: +
            C: {_plain("alice", "secret", "alice")}
            S: a OK
        """)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("*", "BAD"),
        ("not base64!", "BAD"),
        ("", "BAD"),
        (_plain("alice", ""), "BAD"),
        (_plain("alice", "wrong"), "NO [AUTHENTICATIONFAILED]"),
        (_plain("alice", "secret", "bob"), "NO [AUTHORIZATIONFAILED]"),
    ],
)
def test_authenticate_plain_refused(server, line, reply):
    with Conversation(server, login=False) as talk:
        talk.run(f"""
            C: a AUTHENTICATE PLAIN
            S: +
            C: {line}
            S: a {reply}
            C: b NOOP
            S: b OK
        """)


def test_authenticate_with_unknown_mechanism(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a AUTHENTICATE GSSAPI
            S: a NO
            C: b NOOP
            S: b OK
        """)


def test_commands_behind_authenticate_wait_for_it(server):
    with Conversation(server, login=False) as talk:
        talk.peer().send(f"a AUTHENTICATE PLAIN\r\n{_plain('alice', 'secret')}\r\nb NAMESPACE\r\n".encode())
        talk.run("""
            S: +
            S: a OK
            S: * NAMESPACE (("" "/")) NIL NIL
            S: b OK
        """)


def test_login_reads_no_password_into_the_log(server, caplog):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a LOGIN alice hunter2
            S: a NO
        """)
    assert "hunter2" not in caplog.text


# --- ENABLE, ID, NOOP, LOGOUT ---------------------------------------------------------------------


def test_enable_answers_always(talk):
    talk.run("""
        C: a ENABLE X-NOTHING
        S: * ENABLED
        S: a OK
        C: b ENABLE QRESYNC CONDSTORE IDLE
        S: * ENABLED QRESYNC CONDSTORE
        S: b OK
    """)


def test_enable_needs_a_login(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a ENABLE CONDSTORE
            S: a BAD
        """)


def test_id_names_the_worker(talk):
    talk.run("""
        C: a ID ("name" "test" "version" NIL)
        S: * ID ("name" "modseq" "version" ... "worker" "1")
        S: a OK
    """)


def test_logout_closes(talk):
    talk.run("""
        C: a LOGOUT
        S: * BYE
        S: a OK
        S: <closed>
    """)


def test_nothing_behind_logout_is_obeyed(talk):
    talk.peer().send(b"a LOGOUT\r\nb CREATE after\r\n")
    talk.run("""
        S: a OK
        S: <closed>
    """)
    with Conversation(talk._server) as second:
        second.run("""
            C: a LIST "" after
            !S: * LIST ...
            S: a OK
        """)
