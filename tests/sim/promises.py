"""What the clients of a history were promised, and whether it was kept."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.check import check_account
from sim.client import SimClient
from wire_model import Ledger, Memory, differences
from wire_responses import require

MAILBOXES = ("INBOX", "Other")
CLAIM = "$Claim"


@dataclass
class Claims:
    """What became of the attempts to claim one message: none knew it to be claimed when it tried."""

    won: int = 0
    unsure: int = 0


@dataclass
class Promises:
    """
    Attributes:
        ledger: what was told of mod-sequences: one number never means two things.
        sent, kept, refused: tokens of messages that were sent; acknowledged; refused.
        copied: tokens that somebody tried to copy; removable: to remove.
        keywords: whether a message has a keyword that one client alone changes; None while unknown.
        claims: by mailbox and UID.
        missed: what a client did not find that somebody was told of, nobody that it is gone.
        memories: what clients had stored when they lost their connections, or at any other moment.

    """

    ledger: Ledger = field(default_factory=Ledger)
    sent: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    copied: set[str] = field(default_factory=set)
    removable: set[str] = field(default_factory=set)
    keywords: dict[tuple[str, int, str], bool | None] = field(default_factory=dict)
    claims: dict[tuple[str, int], Claims] = field(default_factory=lambda: defaultdict(Claims))
    missed: set[tuple[str, int]] = field(default_factory=set)
    memories: list[Memory] = field(default_factory=list)

    def told(self, mailbox: str, validity: int) -> tuple[dict[int, int], set[int]]:
        """Return what anybody was told of a mailbox so far: the highest MODSEQ by UID, and what is gone."""
        highest: dict[int, int] = {}
        for name, owner, uid, mod_seq in self.ledger.told:
            if (name, owner) == (mailbox, validity):
                highest[uid] = max(mod_seq, highest.get(uid, 0))
        return highest, set(self.ledger.gone.get((mailbox, validity), ()))

    def check_order(self, client: SimClient, told: tuple[dict[int, int], set[int]]) -> None:
        """Whoever asks after something was told to somebody knows it when the answer has come."""
        highest, gone = told
        model = client.model
        late = gone & set(model.known_uids)
        require(not late, "still there after somebody was told that they are gone", late)
        for uid, mod_seq in highest.items():
            known = model.mod_seqs.get(uid)
            if known is None:
                # Perhaps it went with a command whose reply was lost: the storage must say so in the end.
                self.missed.add((model.mailbox, uid))
            else:
                require(known >= mod_seq, "behind what somebody was told", uid, known, mod_seq)

    # --- in the end ---

    async def check_storage(self, account: SqliteAccount) -> dict[str, dict[int, tuple[int, frozenset[str]]]]:
        """Look at what is stored; return for each mailbox MODSEQ and flags by UID."""
        problems = await check_account(account)
        require(not problems, problems)
        places: dict[str, int] = defaultdict(int)
        pictures = {}
        for mailbox in MAILBOXES:
            mailbox_id = account.listing().find(mailbox).mailbox_id
            state = await account.mailbox(mailbox_id)
            for row in await account.rows(mailbox_id, list(state.index), ready=False):
                token = (await account.read(row.email_id)).split(b"\r\n", 1)[0].decode().partition(": ")[2]
                places[token] += 1
            pictures[mailbox] = {
                uid: (view.mod_seq, frozenset(map(str.lower, state.flag_table.names(view.flags))))
                for uid in state.index
                if (view := state.message(uid)) is not None
            }
            await self._check_replay(account, mailbox, mailbox_id, pictures[mailbox])
            self._check_numbers(mailbox, state.uid_validity, state.mod_seq, pictures[mailbox])
            missed = {uid for name, uid in self.missed if name == mailbox} & pictures[mailbox].keys()
            require(not missed, "there, and a client did not learn of it", mailbox, missed)
        self._check_messages(places)
        self._check_keywords(pictures)
        self._check_claims(pictures)
        return pictures

    def _check_messages(self, places: dict[str, int]) -> None:
        strange = places.keys() - self.sent
        require(not strange, "messages that nobody sent", strange)
        require(not (self.refused & places.keys()), "refused, and there", self.refused & places.keys())
        lost = self.kept - self.removable - places.keys()
        require(not lost, "acknowledged, and lost", lost)
        twice = {token for token, count in places.items() if count > 1} - self.copied
        require(not twice, "there twice", twice)

    def _check_keywords(self, pictures: dict) -> None:
        for (mailbox, uid, keyword), is_set in self.keywords.items():
            if is_set is not None and uid in pictures[mailbox]:
                there = keyword.lower() in pictures[mailbox][uid][1]
                require(there == is_set, "a flag is not as it was told", mailbox, uid, keyword, is_set)

    def _check_claims(self, pictures: dict) -> None:
        for (mailbox, uid), claims in self.claims.items():
            require(claims.won <= 1, "claimed by several", mailbox, uid, claims)
            if uid in pictures[mailbox]:
                there = CLAIM.lower() in pictures[mailbox][uid][1]
                require(there or not claims.won, "a claim was lost", mailbox, uid, claims)
                require(not there or claims.won or claims.unsure, "claimed by nobody", mailbox, uid)

    def _check_numbers(self, mailbox: str, validity: int, mod_seq: int, picture: dict) -> None:
        """Nothing that was announced is above what is stored, or taken back."""
        announced = self.ledger.highest.get((mailbox, validity), 0)
        require(announced <= mod_seq, "announced, and not stored", mailbox, announced, mod_seq)
        highest, gone = self.told(mailbox, validity)
        require(not (gone & picture.keys()), "back from the dead", gone & picture.keys())
        for uid, told in highest.items():
            if uid in picture:
                now, flags = picture[uid]
                require(now >= told, "a MODSEQ was taken back", mailbox, uid, now, told)
                if now == told:
                    require(
                        self.ledger.told[mailbox, validity, uid, told] == flags,
                        "one MODSEQ with two sets of flags",
                        mailbox,
                        uid,
                        told,
                    )

    async def _check_replay(self, account: SqliteAccount, mailbox: str, mailbox_id: int, truth: dict) -> None:
        """From anything that a client had stored, the changes since lead to what is there."""
        flags_now = {uid: flags for uid, (_, flags) in truth.items()}
        for memory in self.memories:
            if memory.mailbox != mailbox:
                continue
            changes = await account.changes_since(mailbox_id, memory.high)
            copy = dict(memory.flags)
            for uid in list(copy):
                if uid in changes.vanished or (not changes.history_complete and uid not in truth):
                    del copy[uid]
            touched = set(changes.appeared) | set(changes.changed)
            copy.update({uid: flags_now[uid] for uid in touched})
            copy.update({uid: flags for uid, flags in flags_now.items() if uid > memory.known_to})
            require(copy == flags_now, "a replica differs", memory, differences(copy, flags_now))
