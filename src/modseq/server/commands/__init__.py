"""The handlers of all commands, one module a family; importing this fills the registry."""

from modseq.server.commands import access, idle, mailbox, select, store, transfer

__all__ = ["access", "idle", "mailbox", "select", "store", "transfer"]
