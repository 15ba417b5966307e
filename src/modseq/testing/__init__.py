"""
A real IMAP server for tests of mail software, in which things can be let go wrong.

    from modseq.testing import ImapServer, Quirk

    with ImapServer() as server:
        server.deliver(subject="Hello")
        ...                                     the program under test, at server.host and server.port
        server.faults.reset_uid_validity()
        ...

With pytest the fixture `imap_server` is such a server (`modseq.testing.plugin`). The names here are loaded
when they are first used, because pytest loads this package with every run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modseq.testing.faults import Faults
    from modseq.testing.mail import StoredMailbox, StoredMessage, make_message
    from modseq.testing.nursery import ServerGone
    from modseq.testing.quirks import Quirk
    from modseq.testing.server import ImapServer, ServerFailed
    from modseq.testing.wirelog import WireLine

__all__ = [
    "Faults",
    "ImapServer",
    "Quirk",
    "ServerFailed",
    "ServerGone",
    "StoredMailbox",
    "StoredMessage",
    "WireLine",
    "make_message",
]

_HOMES = {
    "Faults": "faults",
    "ImapServer": "server",
    "Quirk": "quirks",
    "ServerFailed": "server",
    "ServerGone": "nursery",
    "StoredMailbox": "mail",
    "StoredMessage": "mail",
    "WireLine": "wirelog",
    "make_message": "mail",
}


def __getattr__(name: str) -> object:
    """Load a name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
