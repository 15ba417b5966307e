"""Clients that arrive in the moment in which the server stops."""

import gc
import socket

from server.serving import serving


def test_who_arrives_as_the_server_stops_is_let_go():
    """Nobody is left open, and nobody keeps the server: a connection may be accepted and not yet known of."""
    for count in [*range(1, 5)] * 10:
        with serving() as server:
            arrivals = [socket.create_connection(server.address, 10) for _ in range(count)]
        for each in arrivals:
            try:
                heard = b"".join(iter(lambda each=each: each.recv(65536), b""))
            except ConnectionResetError:
                heard = b""  # It was still the kernel's.
            assert heard == b"" or heard.startswith((b"* OK ", b"* BYE ")), heard
            each.close()
    # What was left open warns here, and warnings are errors.
    gc.collect()
