"""Nothing is left of a connection when the coroutine that closes it returns: the loop may end at once."""

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings

import pytest
import trustme

from modseq.client import connect
from modseq.client.errors import ClientError
from server.serving import PASSWORD, USER, serving


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(tls=context) as server:
        yield server


def left_behind(work) -> list[str]:
    """Run a coroutine on a loop of its own and return what was not closed."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(work())
        gc.collect()
    return [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]


@pytest.mark.parametrize("how", ["logout", "aclose", "wrong password", "wrong certificate"])
@pytest.mark.parametrize("kind", ["imaps", "imap", "imap+insecure"])
def test_nothing_is_left(server, authority, kind, how):
    host, port = server.secure_address if kind == "imaps" else server.address
    context = ssl.create_default_context()
    if how != "wrong certificate":
        authority.configure_trust(context)

    async def work() -> None:
        password = "wrong" if how == "wrong password" else PASSWORD
        try:
            client = await connect(f"{kind}://{host}:{port}/", user=USER, password=password, context=context)
        except ClientError:
            assert how.startswith("wrong")
            return
        await (client.logout() if how == "logout" else client.aclose())

    assert left_behind(work) == []


def test_nothing_is_left_where_the_server_is_slow_to_close(authority):
    """Under TLS the other side has the last word, and takes its time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        raw, _ = listener.accept()
        with context.wrap_socket(raw, server_side=True) as secure:
            secure.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
            while line := secure.recv(1000):
                tag, name = line.split()[:2]
                secure.sendall((b"* BYE\r\n" if name == b"LOGOUT" else b"") + tag + b" OK done\r\n")
                if name == b"LOGOUT":
                    break
            time.sleep(0.3)

    thread = threading.Thread(target=serve)
    thread.start()

    async def work() -> None:
        client = await connect(f"imaps://127.0.0.1:{listener.getsockname()[1]}/", context=trust)
        await client.logout()

    assert left_behind(work) == []
    thread.join(10)
    listener.close()
