"""
TLS from the start and STARTTLS with modseq and with Debian's Dovecot, COMPRESS where it is offered; both drivers.

modseq offers no COMPRESS: asking for it changes nothing there.
"""

import asyncio
import io
import json
import ssl
import threading
import time
from dataclasses import dataclass

import pytest
import trustme

from client.cancelling import cancelled_once
from dovecot_server import DOVECOT_PASSWORD, dovecot
from modseq.client import (
    AuthenticationFailed,
    ConnectionFailed,
    Exists,
    NotSupported,
    NumSet,
    Vanished,
    connect,
)
from wire_client import PASSWORD, USER
from wire_server import Running

MAIL = b"Subject: x\r\n\r\n" + b"All work and no play makes Jack a dull boy.\r\n" * 5_000


@dataclass
class Secure:
    """A server under TLS, by a name that its certificate has."""

    name: str
    port: int
    tls_port: int
    user: str
    password: str
    context: ssl.SSLContext

    def url(self, scheme, host="localhost"):
        return f"{scheme}://{self.user}@{host}:{self.tls_port if scheme == 'imaps' else self.port}"

    @property
    def options(self):
        return {"password": self.password, "context": self.context, "seconds": 20}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a chain and its key, and a context that trusts them."""
    place = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    chain, key = place / "chain.pem", place / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return chain, key, context


@pytest.fixture(scope="module")
def modseq_secure(certificate, tmp_path_factory):
    chain, key, context = certificate
    place = tmp_path_factory.mktemp("modseq")
    settings = {
        "tls_cert": str(chain),
        "tls_key": str(key),
        "imaps": ["127.0.0.1:0"],
        "allow_plaintext": False,
    }
    with Running(place, **settings):
        listeners = json.loads((place / "ready.json").read_text())["listeners"]
        ports = {each["protocol"]: each["port"] for each in listeners}
        yield Secure("modseq", ports["imap"], ports["imaps"], USER, PASSWORD, context)


@pytest.fixture(scope="module")
def dovecot_secure(certificate, tmp_path_factory):
    chain, key, context = certificate
    more = "protocol imap {\n  mail_plugins = imap_zlib\n}"
    with dovecot(tmp_path_factory.mktemp("secure"), certificate=(chain, key), more=more) as server:
        yield Secure("dovecot", server.port, server.tls_port, "ann", DOVECOT_PASSWORD, context)


@pytest.fixture(params=["modseq", "dovecot"])
def secure(request):
    return request.getfixturevalue(f"{request.param}_secure")


schemes = pytest.mark.parametrize("scheme", ["imaps", "imap"])


@schemes
@pytest.mark.parametrize("compress", [False, True])
def test_tls_and_compression(drive, secure, scheme, compress, tmp_path):
    path = tmp_path / "mail"
    path.write_bytes(MAIL * 3)
    with drive(secure.url(scheme), **secure.options, compress=compress) as client:
        offered = client.has("COMPRESS=DEFLATE")
        if secure.name == "modseq":
            assert not offered
        elif not offered:
            pytest.skip("this Dovecot has no imap_zlib plugin")
        assert client._x.is_compressed == (offered and compress)
        uids = [
            client.append("INBOX", MAIL).uid,
            client.append("INBOX", path).uid,
            client.append("INBOX", io.BytesIO(MAIL[:999])).uid,
        ]
        client.select("INBOX")
        before = client._x.octets_received
        with client.fetch_body(uids[0]) as body:
            assert b"".join(body) == MAIL
        received = client._x.octets_received - before
        assert received < len(MAIL) / 5 if offered and compress else received > len(MAIL)
        assert client.fetch_body(uids[1]).read() == MAIL * 3
        assert client.fetch_body(uids[2]).read() == MAIL[:999]
        # An answer that is left early is skipped, under TLS and deflated as well.
        with client.fetch_each("1:*", ["FLAGS", "BODY.PEEK[]"]) as messages:
            next(iter(messages))
        client.store(uids, add="\\Deleted", silent=True)
        assert client.expunge(uids).vanished == NumSet(uids)


@schemes
def test_the_conversation_goes_on_as_without_tls(drive, secure, scheme):
    """What another session does is heard, by IDLE and with any command; a copy follows."""
    with (
        drive(secure.url(scheme), **secure.options) as client,
        drive(secure.url(scheme), **secure.options) as other,
    ):
        name = f"{scheme}-{time.monotonic_ns()}"
        client.create(name)
        first = client.sync(name, read_only=False)
        list(first)
        client.events.take()

        def deliver():
            time.sleep(0.2)
            other.append(name, MAIL)

        thread = threading.Thread(target=deliver)
        thread.start()
        with client.idle(15) as events:
            assert Exists(1) in (each for each in events if isinstance(each, Exists))
        thread.join()
        other.select(name)
        with other.pipeline() as batch:
            stored = batch.store("1:*", add="$x")
            found = batch.search("ALL")
        assert (list(stored.result.applied), list(found.result.uids)) == ([1], [1])
        again = client.sync(name, first.state, read_only=False)
        changes = list(again)
        assert (again.outcome.method, [(each.uid, "$x" in each.flags) for each in changes]) == (
            "qresync",
            [(1, True)],
        )
        other.store(1, add="\\Deleted")
        other.expunge()
        client.noop()
        assert Vanished(NumSet([1])) in client.events.take()


@schemes
def test_what_is_not_trusted_gets_no_password(drive, secure, scheme):
    with pytest.raises(ConnectionFailed, match="certificate"):
        drive(secure.url(scheme), password=secure.password, seconds=20)
    with pytest.raises(ConnectionFailed, match="certificate"):
        drive(secure.url(scheme, "127.0.0.1"), **secure.options)


@schemes
def test_a_wrong_password(drive, secure, scheme):
    with pytest.raises(AuthenticationFailed):
        drive(secure.url(scheme), **{**secure.options, "password": "wrong"})


def test_no_password_in_the_clear(drive, modseq_secure):
    """modseq without allow_plaintext says LOGINDISABLED; the client does not even try."""
    with pytest.raises(NotSupported, match="TLS"):
        drive(modseq_secure.url("imap+insecure"), password=PASSWORD, seconds=20)


@schemes
def test_cancelled_under_tls(secure, scheme):
    async def main():
        async with connect(secure.url(scheme), **secure.options, compress=True) as client:
            await client.select("INBOX")
            task = asyncio.create_task(client.wait(60))
            await asyncio.sleep(0.2)
            await cancelled_once(task)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait(60), 0.2)
            assert (await client.noop()).text

    asyncio.run(main())
