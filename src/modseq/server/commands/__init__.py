"""The handlers of all commands, one module a family; importing this fills the registry."""

from modseq.server.commands import access, fetch, idle, mailbox, search, select, store, transfer

__all__ = ["access", "fetch", "idle", "mailbox", "search", "select", "store", "transfer"]
