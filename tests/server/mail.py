"""Putting messages into a test server's mailboxes behind the sessions' backs, as LMTP does."""

from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge
from modseq.core.store_flags import StoreFlags
from modseq.server.delivery import intake

MESSAGE = b"From: bob@example.org\r\nSubject: hello\r\n\r\nHello Alice,\r\n"


class Mailbox:
    """One mailbox of alice's, changed directly in the store."""

    def __init__(self, server, name="INBOX"):
        self._server = server
        self._name = name

    async def _open(self):
        account = await self._server.store.account("alice")
        return account, account.listing().find(self._name).mailbox_id

    def deliver(self, count=1, flags=(), data=MESSAGE):
        async def work():
            account, mailbox_id = await self._open()
            for _ in range(count):
                await account.commit(Append(mailbox_id, (await intake(data, flags),)))

        self._server.call(work())

    def set_flags(self, uids, *flags, mode="+"):
        async def work():
            account, mailbox_id = await self._open()
            await account.commit(StoreFlags(mailbox_id, NumSet(uids), mode, tuple(flags)))

        self._server.call(work())

    def remove(self, uids):
        async def work():
            account, mailbox_id = await self._open()
            await account.commit(StoreFlags(mailbox_id, NumSet(uids), "+", ("\\Deleted",)))
            await account.commit(Expunge(mailbox_id, NumSet(uids)))

        self._server.call(work())
