"""TLS from the start, STARTTLS and COMPRESS with Debian's Dovecot, through both drivers."""

import ssl

import pytest
import trustme

from dovecot_server import DOVECOT_PASSWORD, dovecot

MAIL = b"Subject: x\r\n\r\n" + b"All work and no play makes Jack a dull boy.\r\n" * 5_000


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    place = tmp_path_factory.mktemp("secure")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = place / "chain.pem", place / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    more = "protocol imap {\n  mail_plugins = imap_zlib\n}"
    with dovecot(place, certificate=(chain, key), more=more) as server:
        yield server, context


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_tls_and_compression(drive, secure, scheme):
    server, context = secure
    url = f"{scheme}://ann@localhost:{server.tls_port if scheme == 'imaps' else server.port}"
    options = {"password": DOVECOT_PASSWORD, "context": context, "seconds": 20}
    with drive(url, **options, compress=True) as client:
        if not client.has("COMPRESS=DEFLATE"):
            pytest.skip("this Dovecot has no imap_zlib plugin")
        uid = client.append("INBOX", MAIL).uid
        client.select("INBOX")
        with client.fetch_body(uid) as body:
            assert b"".join(body) == MAIL
        assert client._x.is_compressed
        assert client._x.octets_received < len(MAIL) / 5
        client.store(uid, add="\\Deleted", silent=True)
        client.expunge(uid)
