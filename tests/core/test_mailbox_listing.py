"""The listing: names, parents, RENAME, DELETE, limits, and drafts that fail half-way."""

import pytest

from core.bed import Bed, check, new_message, picture, uids
from modseq import limits
from modseq.core.account import AccountDraft
from modseq.core.errors import (
    InvalidMailboxName,
    KeywordLimitReached,
    LimitReached,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    PermissionRefused,
)
from modseq.core.ids import UID_MAX
from modseq.core.mailbox_operations import (
    CreateMailbox,
    DeleteMailbox,
    RenameMailbox,
    Subscribe,
    Unsubscribe,
    checked_name,
)
from modseq.core.operations import Append, ClaimRecent, Transfer
from modseq.core.store_flags import StoreFlags


@pytest.fixture
def bed() -> Bed:
    return Bed()


def names(bed: Bed) -> list[str]:
    return sorted(bed.account.mailboxes)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("inbox", "INBOX"), ("InBoX/a", "INBOX/a"), ("a/inbox", "a/inbox"), ("Work/", "Work"), ("a b", "a b"),
        ("\u0131nbox", "\u0131nbox"), ("Entw\u00fcrfe", "Entw\u00fcrfe"), ("inboxes", "inboxes"),
    ],
)  # fmt: skip
def test_the_form_in_which_a_name_is_kept(given, kept):
    assert checked_name(given) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a//b",
        "/a",
        "a//",
        "a*",
        "a%b",
        "a\x00",
        "a\nb",
        "a\x7f",
        "a\u0085",
        "a\u2028",
        "a\ud800",
        "/".join("a" * (limits.MAILBOX_LEVELS_MAX + 1)),
        "a" * (limits.MAILBOX_NAME_CHARS_MAX + 1),
    ],
)
def test_names_that_no_mailbox_may_have(name):
    with pytest.raises(InvalidMailboxName):
        checked_name(name)


def test_names_at_the_bounds():
    assert checked_name("/".join("a" * limits.MAILBOX_LEVELS_MAX))
    assert checked_name("a" * limits.MAILBOX_NAME_CHARS_MAX)


def test_missing_parents_are_created_as_mailboxes(bed):
    meta = bed.do(CreateMailbox("a/b/c", special_use="\\Sent"))
    assert names(bed) == ["INBOX", "a", "a/b", "a/b/c"]
    assert (meta.name, meta.special_use) == ("a/b/c", "\\Sent")
    assert bed.account.find("a").special_use is None
    assert len({each.uid_validity for each in bed.account.mailboxes.values()}) == 4
    with pytest.raises(MailboxExists):
        bed.do(CreateMailbox("a/b/"))


def test_deleting_keeps_what_lies_below(bed):
    bed.do(CreateMailbox("a/b"))
    bed.do(DeleteMailbox("a"))
    assert names(bed) == ["INBOX", "a/b"]
    assert bed.account.has_children("a")
    with pytest.raises(MailboxHasChildren):
        bed.do(DeleteMailbox("a"))
    with pytest.raises(MailboxNotFound):
        bed.do(DeleteMailbox("none"))
    with pytest.raises(PermissionRefused):
        bed.do(DeleteMailbox("inbox"))
    with pytest.raises(MailboxNotFound):
        bed.account.find("a")


def test_renaming_takes_everything_below_along_and_keeps_what_it_is(bed):
    bed.do(CreateMailbox("a/b/c"))
    bed.do(CreateMailbox("ab"))
    bed.append("\\Seen", to="a/b")
    before, shown = bed.account.find("a/b"), picture(bed.state("a/b"))
    bed.do(RenameMailbox("a", "x/y"))
    assert names(bed) == ["INBOX", "ab", "x", "x/y", "x/y/b", "x/y/b/c"]
    after = bed.account.find("x/y/b")
    assert (after.mailbox_id, after.uid_validity) == (before.mailbox_id, before.uid_validity)
    assert picture(bed.state("x/y/b")) == shown
    assert bed.account.by_id(after.mailbox_id) == after
    assert bed.account.by_id(99) is None


def test_a_mere_level_can_be_renamed(bed):
    bed.do(CreateMailbox("a/b"))
    bed.do(DeleteMailbox("a"))
    bed.do(RenameMailbox("a", "z"))
    assert names(bed) == ["INBOX", "z/b"]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("none", "x", MailboxNotFound), ("a", "a", MailboxExists), ("a", "INBOX", MailboxExists),
        ("a", "a/z", InvalidMailboxName), ("a/b", "a", MailboxExists), ("c", "d", MailboxExists),
        ("INBOX", "a", MailboxExists), ("a", "bad*", InvalidMailboxName),
    ],
)  # fmt: skip
def test_renames_that_are_refused_leave_the_listing_alone(bed, old, new, kind):
    bed.do(CreateMailbox("a/b"))
    bed.do(CreateMailbox("c"))
    bed.do(CreateMailbox("d/e"))
    bed.do(DeleteMailbox("d"))
    before = bed.account
    with pytest.raises(kind):
        bed.do(RenameMailbox(old, new, inbox_id=bed.inbox if old == "INBOX" else None))
    assert bed.account is before


def test_renaming_below_a_new_name_that_is_too_deep(bed):
    bed.do(CreateMailbox("a/" + "/".join("b" * 10)))
    with pytest.raises(InvalidMailboxName):
        bed.do(RenameMailbox("a", "/".join("x" * (limits.MAILBOX_LEVELS_MAX - 5))))


def test_renaming_inbox_moves_its_messages_and_leaves_its_children(bed):
    bed.do(CreateMailbox("INBOX/sub"))
    bed.append("\\Seen", "$A")
    bed.append()
    before = bed.state()
    bed.do(RenameMailbox("inbox", "Old/2024", inbox_id=bed.inbox))
    assert names(bed) == ["INBOX", "INBOX/sub", "Old", "Old/2024"]
    assert bed.id() == before.mailbox_id
    assert bed.state().exists == 0
    assert bed.state().uid_next == 3
    assert bed.state().changes_since(before.mod_seq).vanished == uids(1, 2)
    assert bed.flags(1, "Old/2024") == {"\\seen", "$a"}
    assert bed.state("Old/2024").mod_seq == 2
    bed.do(RenameMailbox("INBOX", "Empty", inbox_id=bed.inbox))
    assert bed.state("Empty").exists == 0


def test_subscriptions_need_no_mailbox(bed, monkeypatch):
    bed.do(Subscribe("inbox"))
    bed.do(Subscribe("some/day"))
    assert bed.account.subscriptions == {"INBOX", "some/day"}
    version = bed.account.version
    bed.do(Subscribe("INBOX"))
    bed.do(Unsubscribe("never"))
    assert bed.account.version == version
    bed.do(Unsubscribe("INBOX"))
    assert bed.account.subscriptions == {"some/day"}
    monkeypatch.setattr(limits, "SUBSCRIPTIONS_PER_ACCOUNT_MAX", 1)
    with pytest.raises(LimitReached):
        bed.do(Subscribe("more"))
    with pytest.raises(InvalidMailboxName):
        bed.do(Unsubscribe(""))


def test_a_create_that_fails_between_two_parents_leaves_nothing(bed, monkeypatch):
    monkeypatch.setattr(limits, "MAILBOXES_PER_ACCOUNT_MAX", 3)
    before = bed.account
    failed, made = bed.batch(CreateMailbox("a/b/c"), CreateMailbox("x/y"))
    assert isinstance(failed, LimitReached)
    assert names(bed) == ["INBOX", "x", "x/y"]
    assert made.uid_validity == before.next_uid_validity + 1
    assert bed.draft.created == [bed.id("x"), bed.id("x/y")]
    assert set(bed.states) == {meta.mailbox_id for meta in bed.account.mailboxes.values()}


def test_a_rename_of_inbox_that_fails_leaves_nothing(bed, monkeypatch):
    bed.append("$A")
    before, shown = bed.account, picture(bed.state())
    monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", 0)
    with pytest.raises(KeywordLimitReached):
        bed.do(RenameMailbox("INBOX", "a/b", inbox_id=bed.inbox))
    assert bed.account is before
    assert picture(bed.state()) == shown
    assert not bed.draft.touched


def test_uid_validities_run_out_with_an_error(bed):
    bed.account = type(bed.account)(bed.account.mailboxes, next_mailbox_id=2, next_uid_validity=2**32)
    with pytest.raises(LimitReached):
        bed.do(CreateMailbox("a"))


def test_uids_run_out_with_an_error_and_no_earlier(bed):
    bed.state().uid_next = UID_MAX - 1
    with pytest.raises(LimitReached):
        bed.do(Append(bed.inbox, (new_message(), new_message(), new_message())))
    bed.append()
    bed.append("\\Deleted")
    assert list(bed.state().index) == [UID_MAX - 1, UID_MAX]
    with pytest.raises(LimitReached):
        bed.append()
    outcome = bed.store((UID_MAX - 1, UID_MAX), "+", "$A")
    assert len(outcome.applied) == 2
    check(bed.state())
    bed.do(RenameMailbox("INBOX", "Old", inbox_id=bed.inbox))
    assert list(bed.state("Old").index) == [1, 2]


def test_a_deleted_mailbox_is_gone_for_the_rest_of_the_batch(bed):
    box = bed.do(CreateMailbox("Box"))
    _, failed = bed.batch(DeleteMailbox("Box"), Append(box.mailbox_id, (new_message(),)))
    assert isinstance(failed, MailboxNotFound)
    assert box.mailbox_id not in bed.states


def test_a_batch_may_copy_what_it_appended_and_delete_where_it_stood(bed):
    box = bed.do(CreateMailbox("Box"))
    bed.batch(
        Append(box.mailbox_id, (new_message("\\Seen"),)),
        Transfer(box.mailbox_id, uids(1), bed.inbox, move=False),
        DeleteMailbox("Box"),
    )
    assert bed.flags(1) == {"\\seen"}
    appended, copied = bed.draft.rows
    assert (copied.mailbox_id, copied.first_uid) == (bed.inbox, 1)
    assert (copied.source_id, list(copied.source_uids)) == (appended.mailbox_id, [appended.uid])


def test_what_a_draft_says_of_itself(bed):
    draft = AccountDraft(bed.account, bed._load, 0)
    assert not draft.touched
    draft.run(ClaimRecent(bed.inbox, 1))
    assert not draft.touched
    bed.append()
    draft = AccountDraft(bed.account, bed._load, 0)
    draft.run(ClaimRecent(bed.inbox, 2))
    assert (draft.touched, draft.listing_changed, draft.recent_claims) == (True, False, {bed.inbox})
    assert bed.state().counters.recent == 1
    assert draft.publish()[bed.inbox].counters.recent == 0
    draft = AccountDraft(bed.account, bed._load, 0)
    draft.run(Append(bed.inbox, (new_message(),)))
    assert (draft.touched, draft.listing_changed) == (True, False)
    draft.run(Subscribe("x"))
    assert draft.listing_changed


def test_a_draft_shows_nothing_before_it_is_published(bed):
    bed.append()
    before, shown = bed.state(), picture(bed.state())
    draft = AccountDraft(bed.account, bed._load, 0)
    for flag in ("\\Seen", "$A", "\\Deleted"):
        draft.run(StoreFlags(bed.inbox, uids(1), "+", (flag,)))
    draft.run(Append(bed.inbox, (new_message(),)))
    assert bed.state() is before
    assert picture(before) == shown
    assert before.changes_since(1).changed == uids()
    after = draft.publish()[bed.inbox]
    assert before.changes_since(2) == bed.state().changes_since(2)
    assert after.changes_since(2).changed == uids(1)
    assert after.changes_since(2).appeared == uids(2)
