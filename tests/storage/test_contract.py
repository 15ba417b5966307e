"""The contract of `storage.base`, clause by clause of the rules of the mod-sequence, on every backend."""

import asyncio

import pytest

from modseq.core import errors
from modseq.core.mailbox_operations import (
    CreateMailbox,
    DeleteMailbox,
    RenameMailbox,
    Subscribe,
    Unsubscribe,
)
from modseq.core.numset import NumSet
from modseq.core.operations import Append, ClaimRecent, Expunge, Purge
from modseq.core.store_flags import StoreFlags
from storage.scenarios import (
    append,
    expunge,
    inbox_of,
    item_numbers,
    message,
    on_every_backend,
    opened,
    store,
    told,
    transfer,
    uids,
)

# --- clause 1: one counter per mailbox, never reused ------------------------------------------------


@on_every_backend
async def test_clause_1_an_empty_new_mailbox_is_at_1(account):
    state = await account.mailbox(await inbox_of(account))
    assert (state.mod_seq, state.uid_next, state.exists) == (1, 1, 0)


@on_every_backend
async def test_clause_1_each_operation_takes_a_value_of_its_own_also_in_one_commit(account):
    inbox = await inbox_of(account)
    await append(account, inbox, *"abcdefgh")
    outcomes = await asyncio.gather(*[store(account, inbox, [uid], "+", "$x") for uid in range(1, 9)])
    assert [outcome.mod_seq for outcome in outcomes] == list(range(3, 11))


@on_every_backend
async def test_clause_1_all_messages_of_one_operation_carry_one_value(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b", "c")
    outcome = await store(account, inbox, [1, 2, 3], "+", "\\Seen")
    state = await account.mailbox(inbox)
    assert {state.message(uid).mod_seq for uid in (1, 2, 3)} == {outcome.mod_seq}


@on_every_backend
async def test_clause_1_operations_keep_the_order_of_their_calls(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    steps = [store(account, inbox, [1], "+" if n % 2 == 0 else "-", "$x") for n in range(50)]
    outcomes = await asyncio.gather(*steps)
    numbers = [outcome.mod_seq for outcome in outcomes]
    assert numbers == sorted(set(numbers))


@on_every_backend
async def test_clause_1_uid_validity_is_unique_for_ever(account):
    seen = set()
    for _ in range(5):
        meta = await account.commit(CreateMailbox("Work"))
        seen.add(meta.uid_validity)
        await account.commit(DeleteMailbox("Work"))
    assert len(seen) == 5


# --- clause 2: a change that changes nothing --------------------------------------------------------


@on_every_backend
async def test_clause_2_a_change_that_changes_nothing_takes_no_number(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", flags=("\\Seen",))
    for mode, flag in (("+", "\\Seen"), ("-", "$absent"), ("=", "\\Seen")):
        assert (await store(account, inbox, [1], mode, flag)).mod_seq == 2
    assert (await account.commit(Expunge(inbox))).mod_seq == 2
    assert (await account.mailbox(inbox)).mod_seq == 2


# --- clause 3: what gives a message a value ---------------------------------------------------------


@on_every_backend
async def test_clause_3_append_copy_and_move_give_values_above_all_others(account):
    inbox = await inbox_of(account)
    work = (await account.commit(CreateMailbox("Work"))).mailbox_id
    await append(account, inbox, "a", "b")
    await append(account, work, "w")
    copied = await transfer(account, inbox, [1], work)
    moved = await transfer(account, inbox, [2], work, move=True)
    state = await account.mailbox(work)
    assert list(copied.target_uids) + list(moved.target_uids) == [2, 3]
    assert [state.message(uid).mod_seq for uid in (1, 2, 3)] == [2, 3, 4]
    changes = await account.changes_since(inbox, 2)
    assert changes.vanished == uids(2)
    assert changes.mod_seq == moved.mod_seq == 3


@on_every_backend
async def test_clause_3_an_expunge_raises_the_highest_and_is_remembered(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b", "c")
    first = await expunge(account, inbox, 2)
    second = await account.commit(Purge(inbox, uids(3)))
    assert second.mod_seq == first.mod_seq + 1
    everything = await account.changes_since(inbox, 1)
    assert (everything.vanished, everything.vanished_mod_seq_min) == (uids(2, 3), first.mod_seq)
    later = await account.changes_since(inbox, first.mod_seq)
    assert (later.vanished, later.appeared, later.changed) == (uids(3), NumSet.EMPTY, NumSet.EMPTY)


@on_every_backend
async def test_clause_3_renaming_inbox_moves_its_messages(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b")
    await account.commit(RenameMailbox("INBOX", "Old", inbox_id=inbox))
    old = account.listing().find("Old").mailbox_id
    assert (await account.mailbox(old)).exists == 2
    changes = await account.changes_since(inbox, 2)
    assert changes.vanished == uids(1, 2)
    assert [row.uid for row in await account.rows(old, [1, 2], ready=False)] == [1, 2]


# --- clause 4: each item has its own number ---------------------------------------------------------


@on_every_backend
async def test_clause_4_items_keep_their_own_numbers(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    await store(account, inbox, [1], "+", "\\Seen")
    await store(account, inbox, [1], "+", "$a")
    await store(account, inbox, [1], "-", "$a")
    numbers = item_numbers(await account.mailbox(inbox))[1]
    assert numbers == {
        "\\Answered": 2,
        "\\Flagged": 2,
        "\\Deleted": 2,
        "\\Draft": 2,
        "\\Seen": 3,
        "$a": 5,
    }


@on_every_backend
async def test_clause_4_keywords_are_the_same_whatever_their_case(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", flags=("$Label",))
    assert (await store(account, inbox, [1], "+", "$LABEL")).mod_seq == 2
    state = await account.mailbox(inbox)
    assert state.flag_table.keywords == ("$Label",)


# --- clauses 5 and 6: conditional STORE -------------------------------------------------------------


@on_every_backend
async def test_clause_5_of_many_that_set_one_keyword_exactly_one_succeeds(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    m = (await account.mailbox(inbox)).mod_seq
    claims = [store(account, inbox, [1], "+", "$Claimed", since=m) for _ in range(20)]
    outcomes = await asyncio.gather(*claims)
    assert sum(bool(outcome.applied) for outcome in outcomes) == 1
    assert sum(bool(outcome.modified) for outcome in outcomes) == 19


@on_every_backend
async def test_clause_5_other_items_do_not_refuse(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b")
    m = (await account.mailbox(inbox)).mod_seq
    await store(account, inbox, [1], "+", "\\Seen")
    assert (await store(account, inbox, [1, 2], "+", "\\Flagged", since=m)).modified == NumSet.EMPTY
    assert (await store(account, inbox, [1, 2], "=", "\\Draft", since=m)).modified == uids(1, 2)


@on_every_backend
async def test_clause_6_zero_is_an_atomic_test_and_set(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    outcomes = await asyncio.gather(
        *[store(account, inbox, [1], "+", "$Claimed", since=0) for _ in range(10)]
    )
    assert [bool(outcome.applied) for outcome in outcomes] == [True] + [False] * 9
    assert (await store(account, inbox, [1], "=", since=0)).modified == uids(1)


@on_every_backend
async def test_clause_7_a_message_that_is_gone_is_missing_and_never_modified(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b")
    await expunge(account, inbox, 1)
    outcome = await store(account, inbox, [1, 2], "+", "$x", since=1)
    assert (outcome.missing, outcome.modified) == (uids(1), NumSet.EMPTY)
    assert outcome.applied == uids(2)


@on_every_backend
async def test_clause_9_a_keyword_that_cannot_be_kept_changes_nothing(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    names = tuple(f"k{n}" for n in range(250))
    await account.commit(StoreFlags(inbox, uids(1), "+", names))
    before = await account.mailbox(inbox)
    with pytest.raises(errors.KeywordLimitReached):
        await store(account, inbox, [1], "+", "\\Seen", "one-more", since=before.mod_seq)
    assert told(await account.mailbox(inbox)) == told(before)


@on_every_backend
async def test_clause_9_in_one_batch_the_others_proceed(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a")
    outcomes = await asyncio.gather(
        store(account, inbox, [1], "+", "$a"),
        store(account, inbox, [1], "+", *[f"k{n}" for n in range(251)]),
        account.commit(CreateMailbox("INBOX")),
        store(account, inbox, [1], "+", "$b"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], errors.KeywordLimitReached)
    assert isinstance(outcomes[2], errors.MailboxExists)
    assert (outcomes[0].mod_seq, outcomes[3].mod_seq) == (3, 4)


@on_every_backend
async def test_clause_13_history_is_complete_from_any_number(account):
    inbox = await inbox_of(account)
    for round_ in range(6):
        await append(account, inbox, f"{round_}", f"{round_}")
        await expunge(account, inbox, round_ * 2 + 1)
    for m in range(20):
        changes = await account.changes_since(inbox, m)
        assert changes.history_complete
        if m == 0:
            assert changes.vanished == uids(1, 3, 5, 7, 9, 11)


@on_every_backend
async def test_clause_14_all_or_none(account):
    inbox = await inbox_of(account)
    await append(account, inbox, "a", "b")
    await store(account, inbox, [1], "+", "$x")
    operation = StoreFlags(inbox, uids(1, 2), "+", ("$x",), unchanged_since=2, all_or_none=True)
    outcome = await account.commit(operation)
    assert (outcome.refused, outcome.modified, outcome.mod_seq) == (True, uids(1), 3)


# --- what a backend gives back ----------------------------------------------------------------------


@on_every_backend
async def test_rows_give_what_never_changes(account):
    inbox = await inbox_of(account)
    await append(account, inbox, *[f"m{n}" for n in range(1, 41)])
    await expunge(account, inbox, 3)
    rows = await account.rows(inbox, [1, 2, 3, 20, 40, 41], ready=True)
    assert [row.uid for row in rows] == [1, 2, 20, 40]
    assert rows[2].envelope == b"(envelope m20)"
    assert (rows[0].received_at, rows[0].received_zone) == (1_700_000_000, 60)
    assert (rows[0].saved_at, rows[0].sent_date) == (1_700_000_001, 19_000)
    plain = await account.rows(inbox, [1], ready=False)
    assert (plain[0].envelope, plain[0].parts, plain[0].email_id) == (None, None, rows[0].email_id)


@on_every_backend
async def test_bodies_are_read_whole_and_in_pieces(account):
    inbox = await inbox_of(account)
    big = message("big", size=500_000)
    await account.commit(Append(inbox, (message("small"), big)))
    rows = await account.rows(inbox, [1, 2], ready=False)
    data = big.content.data
    assert await account.read(rows[0].email_id) == b"Subject: small\r\n\r\n"
    assert await account.read(rows[1].email_id) == data
    assert await account.read(rows[1].email_id, 7, 10) == data[7:17]
    assert await account.read(rows[1].email_id, 499_990, 100) == data[499_990:]
    assert await account.read(rows[1].email_id, 600_000, 10) == b""
    assert await account.read(rows[0].email_id, 3, 5) == b"ject:"
    with pytest.raises(errors.MailboxNotFound):
        await account.read(10_000)


@on_every_backend
async def test_a_copy_shares_its_content(account):
    inbox = await inbox_of(account)
    work = (await account.commit(CreateMailbox("Work"))).mailbox_id
    await append(account, inbox, "a", flags=("\\Seen", "$x"))
    await transfer(account, inbox, [1], work)
    await expunge(account, inbox, 1)
    (row,) = await account.rows(work, [1], ready=True)
    assert await account.read(row.email_id) == b"Subject: a\r\n\r\n"
    assert told(await account.mailbox(work))[1][0] == ("$x", "\\Seen")


@on_every_backend
async def test_one_batch_may_copy_from_a_mailbox_that_it_creates_and_deletes(account):
    inbox = await inbox_of(account)
    work = (await account.commit(CreateMailbox("Work"))).mailbox_id
    await append(account, inbox, "a")

    async def delete():
        await account.commit(DeleteMailbox("Work"))

    # Each begins when it is its turn: a commit takes its place in the queue at the call.
    await asyncio.gather(transfer(account, inbox, [1], work), transfer(account, work, [1], inbox), delete())
    (row,) = await account.rows(inbox, [2], ready=False)
    assert await account.read(row.email_id) == b"Subject: a\r\n\r\n"
    with pytest.raises(errors.MailboxNotFound):
        await account.mailbox(work)


@on_every_backend
async def test_counters_need_no_open_mailbox(account):
    inbox = await inbox_of(account)
    work = (await account.commit(CreateMailbox("Work"))).mailbox_id
    await append(account, inbox, "a", "b", flags=("\\Seen",))
    await store(account, inbox, [1], "+", "\\Deleted")
    await account.commit(ClaimRecent(inbox, 2))
    counters = await account.counters([inbox, work, 99])
    assert set(counters) == {inbox, work}
    told_inbox = counters[inbox]
    assert (told_inbox.exists, told_inbox.unseen, told_inbox.deleted, told_inbox.recent) == (2, 0, 1, 1)
    assert (told_inbox.uid_next, told_inbox.octets) == (3, 28)


@on_every_backend
async def test_watchers_are_called_and_learn_nothing_more(account):
    inbox = await inbox_of(account)
    calls = []
    end = account.watch(lambda: calls.append(account.published(inbox).mod_seq))
    await append(account, inbox, "a")
    await store(account, inbox, [1], "+", "\\Seen")
    end()
    await store(account, inbox, [1], "-", "\\Seen")
    assert calls == [2, 3]


@on_every_backend
async def test_the_listing(account):
    await account.commit(CreateMailbox("a/b/c", "\\Sent"))
    await account.commit(Subscribe("a/b"))
    await account.commit(Subscribe("nowhere"))
    await account.commit(Unsubscribe("nowhere"))
    await account.commit(RenameMailbox("a/b", "d"))
    listing = account.listing()
    assert sorted(listing.mailboxes) == ["INBOX", "a", "d", "d/c"]
    assert listing.find("d/c").special_use == "\\Sent"
    assert listing.subscriptions == {"a/b"}
    with pytest.raises(errors.MailboxNotFound):
        await account.commit(DeleteMailbox("a/b"))
    await account.commit(DeleteMailbox("d"))
    with pytest.raises(errors.MailboxHasChildren):
        await account.commit(DeleteMailbox("d"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_users(kind, tmp_path):
    async def scenario():
        async with opened(kind, tmp_path) as backend:
            directory = backend.directory
            await directory.add("zoe", "1")
            await directory.add("a/../b", "2")
            assert await directory.names() == ["a/../b", "zoe"]
            with pytest.raises(errors.UserExists):
                await directory.add("zoe", "3")
            await directory.set_password_hash("zoe", "4")
            assert await directory.password_hash("zoe") == "4"
            assert await directory.password_hash("nobody") is None
            await append(await backend.account("zoe"), 1, "a")
            await directory.remove("zoe")
            with pytest.raises(errors.UserNotFound):
                await directory.remove("zoe")
            with pytest.raises(errors.UserNotFound):
                await directory.set_password_hash("zoe", "5")
            with pytest.raises(errors.UserNotFound):
                await backend.account("zoe")
            await directory.add("zoe", "6")
            account = await backend.account("zoe")
            assert (await account.mailbox(account.listing().find("INBOX").mailbox_id)).exists == 0

    asyncio.run(scenario())
