"""How many connections there may be, how long they may be silent, and how a stop looks."""

import time

from server.serving import serving
from server.talk import CLOSED, Conversation, Peer


def test_silence_before_login_is_cut():
    with serving(stranger_seconds_max=0.2) as server:
        peer = Peer(server.connect())
        assert peer.read_response().startswith("* OK")
        assert peer.read_response() == "* BYE Silent for too long"
        assert peer.read_response() == CLOSED
        peer.close()


def test_after_login_silence_may_last_longer():
    with serving(stranger_seconds_max=0.3, idle_seconds_max=1.0) as server, Conversation(server) as talk:
        talk.peer()
        began = time.monotonic()
        time.sleep(0.6)
        talk.run("""
            C: a NOOP
            S: a OK
        """)
        assert talk.peer().read_response() == "* BYE Silent for too long"
        assert 1.4 < time.monotonic() - began < 3


def test_the_oldest_stranger_makes_room():
    with serving(strangers_max=2) as server:
        peers = [Peer(server.connect()) for _ in range(3)]
        greetings = [peer.read_response() for peer in peers]
        assert all(line.startswith("* OK") for line in greetings)
        assert peers[0].read_response().startswith("* BYE")
        peers[2].send(b"a LOGIN alice secret\r\n")
        assert peers[2].read_response().startswith("a OK")
        for peer in peers:
            peer.close()


def test_connections_of_one_address_are_bounded():
    with serving(per_address_max=2) as server:
        peers = [Peer(server.connect()) for _ in range(3)]
        assert [peer.read_response()[:6] for peer in peers] == ["* OK [", "* OK [", "* BYE "]
        assert peers[2].read_response() == CLOSED
        for peer in peers:
            peer.close()


def test_sessions_of_one_user_are_bounded():
    with serving(connections_per_user_max=1) as server, Conversation(server) as first:
        first.peer()
        with Conversation(server, login=False) as second:
            second.run("""
                C: a LOGIN alice secret
                S: a NO [LIMIT]
            """)
        first.run("""
            C: a LOGOUT
            S: a OK
            S: <closed>
        """)
        first.close()
        time.sleep(0.1)
        with Conversation(server) as third:
            third.run("""
                C: a NOOP
                S: a OK
            """)


def test_stop_says_bye_to_everybody():
    with serving() as server:
        idle, idling, stranger = Conversation(server), Conversation(server), Conversation(server, login=False)
        idle.peer()
        stranger.peer()
        idling.run("""
            C: a IDLE
            S: +
        """)
    for talk in (idle, idling, stranger):
        assert talk.peer().read_response() == "* BYE The server stops"
        assert talk.peer().read_response() == CLOSED
        talk.close()
