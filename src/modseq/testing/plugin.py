"""The pytest plugin: fixtures that give a test a real IMAP server, and the conversation of a failing test.

It loads the server only when a test asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import imaplib

    from modseq.client.sync import Client
    from modseq.testing.server import ImapServer

_servers_key = pytest.StashKey[list[Any]]()
_LINES_OPTION = "imap_log_lines"
_MARKER = (
    "imap_server(**options): options of the fixture imap_server in this test: storage, directory, process, "
    "user, password, certificate, key, settings (modseq.testing.ImapServer)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting for how much of the conversation is shown."""
    parser.addini(
        _LINES_OPTION,
        "How many lines of a server's conversation stand in the report of a failing test (modseq); 0: none.",
        default="200",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def imap_server_options() -> dict[str, Any]:
    """Options of all servers of a module or package: override it there. The marker goes before it."""
    return {}


@pytest.fixture
def make_imap_server(
    request: pytest.FixtureRequest, imap_server_options: dict[str, Any]
) -> Iterator[Callable[..., ImapServer]]:
    """Return a function that starts a server with the given options; all stop after the test."""
    from modseq.testing.server import ImapServer  # noqa: PLC0415 -- loaded only for tests that ask for it

    started: list[ImapServer] = request.node.stash.setdefault(_servers_key, [])
    with ExitStack() as servers:

        def make(**options: Any) -> ImapServer:
            server = ImapServer(**{**imap_server_options, **options})
            started.append(server)
            return servers.enter_context(server)

        yield make


@pytest.fixture
def imap_server(request: pytest.FixtureRequest, make_imap_server: Callable[..., ImapServer]) -> ImapServer:
    """Return a running IMAP server with one user and an empty INBOX; see `modseq.testing.ImapServer`."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("imap_server"))):
        options |= marker.kwargs
    return make_imap_server(**options)


@pytest.fixture
def imaplib_client(imap_server: ImapServer) -> imaplib.IMAP4:
    """Return a client of the standard library, logged in at `imap_server`."""
    return imap_server.imaplib()


@pytest.fixture
def imap_client(imap_server: ImapServer) -> Client:
    """Return a client of `modseq.client.sync`, logged in at `imap_server`."""
    return imap_server.client()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the conversation of each server into the report of a test that failed."""
    report = yield
    lines_max = int(item.config.getini(_LINES_OPTION))
    servers: list[Any] = item.stash.get(_servers_key, [])
    if report.failed and lines_max > 0:
        for number, server in enumerate(servers, 1):
            text = server.wire_log(lines_max)
            if text:
                report.sections.append((f"IMAP conversation, server {number} ({report.when})", text))
    return report
