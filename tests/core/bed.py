"""A bed for core alone: drafts are published at once, nothing is stored."""

from modseq.core.account import AccountDraft, AccountState
from modseq.core.errors import MailboxNotFound, StorageError
from modseq.core.flags import SYSTEM_FLAGS
from modseq.core.history import ExpungeLog, History
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import INBOX, CreateMailbox
from modseq.core.message import Content, NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append
from modseq.core.store_flags import StoreFlags


def new_message(*flags: str, octets: int = 1) -> NewMessage:
    return NewMessage(flags, 0, 0, 0, Content(b"x" * octets, b"", b"", b"", b"", None, 0))


def uids(*numbers: int) -> NumSet:
    return NumSet(numbers)


class Bed:
    """An account whose batches are published at once."""

    def __init__(self) -> None:
        self.account = AccountState()
        self.states: dict[int, MailboxState] = {}
        self.log: dict[int, list] = {}
        self.draft: AccountDraft | None = None
        self.do(CreateMailbox(INBOX))
        self.inbox = self.account.find(INBOX).mailbox_id

    def _load(self, mailbox_id: int) -> MailboxState:
        if mailbox_id not in self.states:
            raise MailboxNotFound("gone")
        return self.states[mailbox_id]

    def batch(self, *operations) -> list:
        """Carry out operations in one draft; return for each its outcome or its error."""
        draft = self.draft = AccountDraft(self.account, self._load, 0)
        outcomes: list = []
        for operation in operations:
            try:
                outcomes.append(draft.run(operation))
            except StorageError as error:
                outcomes.append(error)
        for mailbox_id in draft.created:
            if mailbox_id in draft.states:
                draft.states[mailbox_id].history.expunged = ExpungeLog()
        for mailbox_id in draft.deleted:
            self.states.pop(mailbox_id, None)
        for mailbox_id, changes in draft.changes.items():
            self.log.setdefault(mailbox_id, []).extend(changes)
        self.states.update(draft.publish())
        self.account = draft.account
        return outcomes

    def do(self, operation):
        """Carry out one operation; raises what it raises."""
        (outcome,) = self.batch(operation)
        if isinstance(outcome, StorageError):
            raise outcome
        return outcome

    def state(self, name: str = INBOX) -> MailboxState:
        return self.states[self.account.find(name).mailbox_id]

    def id(self, name: str = INBOX) -> int:
        return self.account.find(name).mailbox_id

    def append(self, *flags: str, to: str = INBOX, octets: int = 1) -> int:
        """Append one message; return its UID."""
        return self.do(Append(self.id(to), (new_message(*flags, octets=octets),))).uids[0]

    def store(self, numbers, mode, *flags, m=None, mailbox: str = INBOX, **more):
        return self.do(StoreFlags(self.id(mailbox), NumSet(numbers), mode, flags, m, **more))

    def item(self, uid: int, name: str, mailbox: str = INBOX) -> int | None:
        """Return the mod-sequence of a flag of a message, None when it has none."""
        state = self.state(mailbox)
        bit = state.flag_table.bit(name)
        return None if bit is None else state.item_mod_seq(uid, bit)

    def flags(self, uid: int, mailbox: str = INBOX) -> set[str]:
        return flag_names(self.state(mailbox), uid)

    def mod_seq(self, uid: int, mailbox: str = INBOX) -> int:
        view = self.state(mailbox).message(uid)
        assert view is not None
        return view.mod_seq


def flag_names(state: MailboxState, uid: int) -> set[str]:
    view = state.message(uid)
    assert view is not None
    return {name.lower() for name in state.flag_table.names(view.flags)}


def picture(state: MailboxState) -> dict[int, tuple]:
    """Everything that a state says of its messages, as plain values."""
    names = [name.lower() for name in (*SYSTEM_FLAGS, *state.flag_table.keywords)]
    shown = {}
    for uid in state.index:
        view = state.message(uid)
        assert view is not None
        items = {}
        for bit, name in enumerate(names):
            number = state.item_mod_seq(uid, bit)
            if number is not None:
                items[name] = number
        shown[uid] = (flag_names(state, uid), view.mod_seq, view.created, view.size, items)
    return shown


def check(state: MailboxState) -> None:
    """Assert that what a state keeps twice agrees with itself."""
    every = []
    unseen = deleted = octets = 0
    assert list(state.chunks) == sorted(state.chunks)
    for chunk in state.chunks.values():
        assert len(chunk) > 0
        columns = (chunk.created, chunk.newest, chunk.flags, chunk.touched, chunk.sizes)
        assert all(len(column) == len(chunk.uids) for column in columns)
        assert all(c <= n for c, n in zip(chunk.created, chunk.newest, strict=True))
        assert max(chunk.newest) <= chunk.newest_max <= state.mod_seq
        assert list(chunk.extra_keys) == sorted(set(chunk.extra_keys))
        assert {key >> 16 for key in chunk.extra_keys} <= set(chunk.uids)
        again = chunk.fork(whole=True)
        again.recount(state.palette)
        assert (again.unseen, again.deleted, again.octets) == (chunk.unseen, chunk.deleted, chunk.octets)
        every.extend(chunk.uids)
        unseen, deleted, octets = unseen + chunk.unseen, deleted + chunk.deleted, octets + chunk.octets
    assert every == sorted(set(every))
    assert list(state.index) == every
    assert all(state.index.uid_at(seq_num) == uid for seq_num, uid in enumerate(every, 1))
    assert (state.exists, state.unseen, state.deleted) == (len(every), unseen, deleted)
    assert state.octets == octets
    assert not every or every[-1] < state.uid_next


def from_chunks(state: MailboxState, expunges) -> MailboxState:
    """Return the state as it is after its history left memory: only the expunges are known."""
    other = state.copy()
    log = ExpungeLog()
    for mod_seq, uid in expunges:
        log.extend(mod_seq, NumSet.single(uid))
    other.history = History(floor=state.mod_seq, expunged=log)
    return other
