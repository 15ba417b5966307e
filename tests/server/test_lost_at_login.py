"""A client that leaves while its password is checked leaves nothing behind."""

import asyncio
import logging

import pytest

from fuzz.served import Served


@pytest.mark.parametrize(
    "command", [b"a LOGIN alice secret\r\n", b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"]
)
def test_a_connection_lost_during_a_login_is_not_counted(command, monkeypatch, caplog):
    with Served(0) as served:
        checked: asyncio.Future = served.loop.create_future()

        async def check(_user, _password, *, address, **_more):
            assert address
            return await checked

        monkeypatch.setattr(served.service.authenticator, "check", check)
        served.send(command)
        assert served.session.is_working
        session = served.session
        served.transport.hang_up()
        served._settle()
        checked.set_result(True)
        served._settle()
        assert not session.is_working
        assert not served.service.sessions
        assert not served.service._per_user
        assert served.loop.next_timer is None
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
