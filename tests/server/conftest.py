import ssl

import pytest
import trustme

from server.serving import serving
from server.talk import Conversation


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def talk(server):
    with Conversation(server) as conversation:
        yield conversation


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
