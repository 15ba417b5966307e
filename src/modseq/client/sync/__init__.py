"""The blocking driver: a socket, and verbs run on it. It knows nothing of IMAP.

with connect("imaps://ann@example.org/", password=...) as client:
    client.select("INBOX")
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping

from modseq.client.exchange import Exchange
from modseq.client.options import AuthMethod, Options
from modseq.client.quirks import Quirks
from modseq.client.surface import options_of
from modseq.client.sync.client import Client
from modseq.client.sync.runner import Runner
from modseq.client.sync.streams import BodyStream, IdleStream, Pipeline, Stream, Sync
from modseq.client.sync.wire import open_wire, secure_wire
from modseq.client.verbs import access

__all__ = ["BodyStream", "Client", "IdleStream", "Pipeline", "Stream", "Sync", "connect"]


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
) -> Client:
    """
    Connect, under TLS that is verified, and log in where a password or token is given.

    Args: see modseq.client.options.Options. `imaps://host` is TLS, `imap://host` STARTTLS,
        `imap+insecure://host` neither.
    Raises:
        ConnectionFailed: no connection could be made.
        AuthenticationFailed: wrong credentials.

    """
    return _open(
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


def _open(options: Options) -> Client:
    runner = Runner(Exchange(options), open_wire(options))
    client = Client(runner)
    try:
        runner.step(access.greet(runner.x))
        if options.tls == "starttls":
            secure_wire(runner.wire, options)
        runner.step(access.log_in(runner.x))
    except BaseException:
        client.close()
        raise
    return client
