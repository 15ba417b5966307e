"""The certificates of the server's own tests, and peers that are closed at the end."""

import pytest

from server.conftest import authority, client_tls, server_tls  # noqa: F401 -- fixtures
from server.talk import Peer


@pytest.fixture
def meet():
    """Return a function that connects to a server; the greeting is not read."""
    peers = []

    def connect(server, address=None):
        import socket

        peer = Peer(socket.create_connection(address or server.address, 10))
        peers.append(peer)
        return peer

    yield connect
    for peer in peers:
        peer.close()
