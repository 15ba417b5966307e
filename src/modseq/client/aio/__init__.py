"""The asyncio driver: a socket, and verbs run on it. It knows nothing of IMAP.

async with connect("imaps://ann@example.org/", password=...) as client:
    await client.select("INBOX")
"""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterable, Mapping
from types import TracebackType
from typing import Any

from modseq.client.aio.client import Client
from modseq.client.aio.runner import Runner
from modseq.client.aio.streams import BodyStream, IdleStream, Pipeline, Stream, Sync
from modseq.client.aio.wire import open_wire, secure_wire
from modseq.client.exchange import Exchange
from modseq.client.options import AuthMethod, Options
from modseq.client.quirks import Quirks
from modseq.client.surface import options_of
from modseq.client.verbs import access

__all__ = ["BodyStream", "Client", "Connecting", "IdleStream", "Pipeline", "Stream", "Sync", "connect"]


class Connecting:
    """What `connect` returns: await it, or enter it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return _open(self._options).__await__()

    async def __aenter__(self) -> Client:
        self._client = await _open(self._options)
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.__aexit__(kind, error, trace)


def connect(
    url: str,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    auth: AuthMethod = "auto",
    authorize_as: str | None = None,
    context: ssl.SSLContext | None = None,
    seconds: float = 60.0,
    idle_renew_seconds: float = 540.0,
    compress: bool = False,
    enable: Iterable[str] = ("QRESYNC", "CONDSTORE"),
    client_id: Mapping[str, str] | None = None,
    quirks: Quirks | None = None,
) -> Connecting:
    """
    Connect, under TLS that is verified, and log in where a password or token is given.

    Args: see modseq.client.options.Options. `imaps://host` is TLS, `imap://host` STARTTLS,
        `imap+insecure://host` neither.
    Raises:
        ConnectionFailed: no connection could be made.
        AuthenticationFailed: wrong credentials.

    """
    return Connecting(
        options_of(
            url,
            user=user,
            password=password,
            token=token,
            auth=auth,
            authorize_as=authorize_as,
            context=context,
            seconds=seconds,
            idle_renew_seconds=idle_renew_seconds,
            compress=compress,
            enable=enable,
            client_id=client_id,
            quirks=quirks,
        )
    )


async def _open(options: Options) -> Client:
    runner = Runner(Exchange(options), await open_wire(options))
    client = Client(runner)
    try:
        await runner.step(access.greet(runner.x))
        if options.tls == "starttls":
            await secure_wire(runner.wire, options)
        await runner.step(access.log_in(runner.x))
    except BaseException:
        await client.aclose()
        raise
    return client
