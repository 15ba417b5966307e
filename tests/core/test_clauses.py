"""The numbered rules of the mod-sequence, clause by clause, as far as core can say them.

Clause 8 is about replies; here stands what an outcome must tell for them.
"""

import pytest

from core.bed import Bed, uids
from modseq import limits
from modseq.core.errors import KeywordLimitReached, LimitReached
from modseq.core.flags import SYSTEM_FLAGS
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox, RenameMailbox
from modseq.core.modseq import MOD_SEQ_MAX
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge, Purge, Transfer
from modseq.core.store_flags import StoreFlags
from modseq.core.view import SessionView


@pytest.fixture
def bed() -> Bed:
    return Bed()


class TestClause1OneCounter:
    def test_an_empty_mailbox_starts_at_1(self, bed):
        assert bed.state().mod_seq == 1
        assert MailboxState(1, 1).mod_seq == 1

    def test_each_operation_of_a_batch_takes_a_number_of_its_own(self, bed):
        bed.append()
        outcomes = bed.batch(
            StoreFlags(bed.inbox, uids(1), "+", ("$A",)),
            StoreFlags(bed.inbox, uids(1), "+", ("$B",)),
            StoreFlags(bed.inbox, uids(1), "-", ("$A",)),
        )
        assert [outcome.mod_seq for outcome in outcomes] == [3, 4, 5]
        assert (bed.item(1, "$A"), bed.item(1, "$B")) == (5, 4)

    def test_all_messages_that_an_operation_changed_carry_its_number(self, bed):
        for _ in range(5):
            bed.append()
        outcome = bed.store((1, 3, 5), "+", "\\Seen")
        assert [bed.mod_seq(uid) for uid in range(1, 6)] == [7, 3, 7, 5, 7]
        assert outcome.mod_seq == bed.state().mod_seq == 7

    def test_an_operation_that_fails_takes_no_number(self, bed, monkeypatch):
        bed.append()
        monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", 0)
        outcomes = bed.batch(
            StoreFlags(bed.inbox, uids(1), "+", ("$A",)), StoreFlags(bed.inbox, uids(1), "+", ("\\Seen",))
        )
        assert isinstance(outcomes[0], KeywordLimitReached)
        assert outcomes[1].mod_seq == 3

    def test_the_last_number_is_2_to_the_63_minus_1(self, bed):
        uid = bed.append()
        bed.state().mod_seq = MOD_SEQ_MAX - 1
        assert bed.store((uid,), "+", "\\Seen").mod_seq == MOD_SEQ_MAX
        assert bed.item(uid, "\\Seen") == MOD_SEQ_MAX
        with pytest.raises(LimitReached):
            bed.store((uid,), "-", "\\Seen")
        assert "\\seen" in bed.flags(uid)

    def test_uid_validity_is_never_used_again(self, bed):
        seen = set()
        for _ in range(5):
            meta = bed.do(CreateMailbox("Box"))
            assert meta.uid_validity not in seen
            seen.add(meta.uid_validity)
            bed.do(DeleteMailbox("Box"))
        bed.do(CreateMailbox("Box"))
        before = bed.account.find("Box")
        bed.do(RenameMailbox("Box", "Other"))
        assert bed.account.find("Other").uid_validity == before.uid_validity


class TestClause2NothingChanged:
    @pytest.mark.parametrize(
        ("mode", "flags"),
        [
            ("+", ("\\Seen",)),
            ("+", ("$a",)),
            ("-", ("\\Flagged",)),
            ("-", ("$never",)),
            ("=", ("$A", "\\seen")),
            ("+", ()),
            ("-", ()),
        ],
    )
    def test_a_change_that_changes_nothing_takes_no_number(self, bed, mode, flags):
        uid = bed.append("\\Seen", "$A")
        outcome = bed.store((uid,), mode, *flags)
        assert bed.state().mod_seq == bed.mod_seq(uid) == 2
        assert (outcome.present, outcome.applied) == (uids(uid), NumSet.EMPTY)
        assert bed.state().flag_table.keywords == ("$A",)

    def test_a_flag_that_was_set_already_keeps_its_number_beside_one_that_changes(self, bed):
        uid = bed.append("\\Seen")
        bed.store((uid,), "+", "\\Seen", "\\Flagged")
        assert (bed.item(uid, "\\Seen"), bed.item(uid, "\\Flagged")) == (2, 3)

    def test_an_expunge_or_copy_of_nothing_takes_no_number(self, bed):
        bed.append()
        bed.do(Expunge(bed.inbox))
        bed.do(Purge(bed.inbox, uids(7)))
        bed.do(Transfer(bed.inbox, uids(7), bed.inbox, move=True))
        assert bed.state().mod_seq == 2


class TestClause3AppearAndVanish:
    def test_a_new_message_is_above_every_other(self, bed):
        first = bed.append()
        bed.store((first,), "+", "\\Seen")
        assert bed.mod_seq(bed.append()) == 4

    def test_copies_are_above_every_other_of_the_target(self, bed):
        bed.do(CreateMailbox("Box"))
        for _ in range(6):
            bed.append(to="Box")
        uid = bed.append()
        outcome = bed.do(Transfer(bed.inbox, uids(uid), bed.id("Box"), move=False))
        (copy,) = outcome.target_uids
        assert bed.mod_seq(copy, "Box") == 8 == bed.state("Box").mod_seq
        assert bed.state().mod_seq == 2

    @pytest.mark.parametrize(
        "away", ["expunge", "uid expunge", "purge", "move", "move within", "rename of INBOX"]
    )
    def test_expunged_uids_get_a_number_and_are_remembered(self, bed, away):
        bed.do(CreateMailbox("Box"))
        for _ in range(3):
            bed.append("\\Deleted")
        before = bed.state().mod_seq
        everything = uids(1, 2, 3)
        operation = {
            "expunge": Expunge(bed.inbox),
            "uid expunge": Expunge(bed.inbox, everything),
            "purge": Purge(bed.inbox, everything),
            "move": Transfer(bed.inbox, everything, bed.id("Box"), move=True),
            "move within": Transfer(bed.inbox, everything, bed.inbox, move=True),
            "rename of INBOX": RenameMailbox("INBOX", "Old", inbox_id=bed.inbox),
        }[away]
        bed.do(operation)
        changes = bed.state().changes_since(before)
        assert bed.state().mod_seq == before + 1
        assert changes.vanished == everything
        assert changes.vanished_mod_seq_min == before + 1
        assert bed.state().changes_since(before + 1).vanished == NumSet.EMPTY


class TestClause4ItemsOfTheirOwn:
    def test_every_system_flag_exists_from_creation_on(self, bed):
        uid = bed.append("\\Seen")
        assert [bed.item(uid, name) for name in SYSTEM_FLAGS] == [2] * 5

    def test_a_keyword_has_a_number_from_when_it_is_set(self, bed):
        uid = bed.append("$Old")
        other = bed.append("$New")
        assert (bed.item(uid, "$Old"), bed.item(uid, "$New")) == (2, None)
        bed.store((uid,), "+", "$New")
        assert (bed.item(uid, "$New"), bed.item(other, "$New"), bed.item(uid, "$Old")) == (4, 3, 2)

    def test_a_removed_keyword_keeps_the_number_of_its_removal(self, bed):
        uid = bed.append("$A")
        bed.store((uid,), "-", "$A")
        assert bed.item(uid, "$A") == 3 == bed.mod_seq(uid)
        bed.store((uid,), "+", "\\Seen")
        assert (bed.item(uid, "$A"), bed.item(uid, "\\Seen")) == (3, 4)
        assert bed.store((uid,), "+", "$A", m=2).modified == uids(uid)
        assert bed.store((uid,), "+", "$A", m=3).applied == uids(uid)

    def test_the_number_of_a_message_is_the_highest_of_its_items_and_never_falls(self, bed):
        uid = bed.append()
        last = bed.mod_seq(uid)
        for mode, flag in (
            ("+", "$A"),
            ("+", "\\Seen"),
            ("-", "$A"),
            ("=", "\\Seen"),
            ("=", "$B"),
            ("-", "$B"),
        ):
            bed.store((uid,), mode, flag)
            items = [bed.item(uid, name) or 0 for name in (*SYSTEM_FLAGS, "$A", "$B")]
            assert bed.mod_seq(uid) == max(items) >= last
            last = bed.mod_seq(uid)

    def test_copies_and_moves_start_anew(self, bed):
        bed.do(CreateMailbox("Box"))
        uid = bed.append("$A")
        bed.store((uid,), "+", "\\Seen", "$B")
        bed.store((uid,), "-", "$A")
        (copy,) = bed.do(Transfer(bed.inbox, uids(uid), bed.id("Box"), move=True)).target_uids
        assert bed.flags(copy, "Box") == {"\\seen", "$b"}
        assert [bed.item(copy, name, "Box") for name in ("\\Seen", "\\Flagged", "$B", "$A")] == [
            2,
            2,
            2,
            None,
        ]

    def test_keywords_are_the_same_whatever_their_case(self, bed):
        uid = bed.append("$Work")
        assert not bed.store((uid,), "+", "$WORK").applied
        assert bed.store((uid,), "+", "$work", m=1).modified == uids(uid)
        bed.store((uid,), "-", "$wOrK")
        assert bed.flags(uid) == set()


class TestClause5CompareFirst:
    def test_only_the_named_items_are_compared(self, bed):
        uid = bed.append()
        m = bed.state().mod_seq
        bed.store((uid,), "+", "\\Seen", "$Other")
        assert bed.store((uid,), "+", "\\Flagged", m=m).applied == uids(uid)
        assert bed.store((uid,), "+", "$A", m=m).applied == uids(uid)
        assert bed.store((uid,), "-", "\\Seen", m=m).modified == uids(uid)
        assert bed.store((uid,), "-", "$Other", "\\Deleted", m=m).modified == uids(uid)

    def test_equal_passes_and_newer_is_refused(self, bed):
        uid = bed.append()
        m = bed.store((uid,), "+", "\\Seen").mod_seq
        assert bed.store((uid,), "-", "\\Seen", m=m - 1).modified == uids(uid)
        assert bed.store((uid,), "-", "\\Seen", m=m).applied == uids(uid)

    @pytest.mark.parametrize("changed", ["\\Flagged", "$Set"])
    def test_replacing_compares_every_flag_and_every_keyword_ever_set(self, bed, changed):
        uid = bed.append()
        m = bed.state().mod_seq
        bed.store((uid,), "+", changed)
        assert bed.store((uid,), "=", "\\Seen", m=m).modified == uids(uid)
        removed = bed.store((uid,), "-", changed).mod_seq
        assert bed.store((uid,), "=", "\\Seen", m=removed - 1).modified == uids(uid)
        assert bed.store((uid,), "=", "\\Seen", m=removed).applied == uids(uid)

    def test_never_all_or_nothing(self, bed):
        for _ in range(3):
            bed.append()
        m = bed.state().mod_seq
        bed.store((2,), "+", "\\Deleted")
        outcome = bed.store((1, 2, 3), "+", "\\Deleted", m=m)
        assert (outcome.applied, outcome.modified) == (uids(1, 3), uids(2))
        assert not outcome.refused

    def test_the_comparison_precedes_the_rule_that_nothing_would_change(self, bed):
        uid = bed.append()
        m = bed.state().mod_seq
        bed.store((uid,), "+", "\\Seen")
        assert bed.store((uid,), "+", "\\Seen", m=m).modified == uids(uid)

    @pytest.mark.parametrize("claimants", [2, 9])
    def test_of_any_number_of_claims_with_one_m_one_succeeds(self, bed, claimants):
        uid = bed.append()
        m = bed.state().mod_seq
        claim = [StoreFlags(bed.inbox, uids(uid), "+", ("$Claim",), m) for _ in range(claimants)]
        outcomes = bed.batch(*claim)
        assert [bool(outcome.applied) for outcome in outcomes] == [True] + [False] * (claimants - 1)
        assert all(outcome.modified == uids(uid) for outcome in outcomes[1:])

    def test_a_claim_based_on_an_old_m_survives_other_changes(self, bed):
        uid = bed.append()
        bed.append()
        m = bed.state().mod_seq
        for flag in ("\\Seen", "$Else", "\\Flagged"):
            bed.store((uid,), "+", flag)
        assert bed.store((uid,), "+", "$Claim", m=m).applied == uids(uid)


class TestClause6Zero:
    @pytest.mark.parametrize("mode", ["+", "-"])
    def test_a_system_flag_always_exists(self, bed, mode):
        uid = bed.append()
        assert bed.store((uid,), mode, "\\Draft", m=0).modified == uids(uid)

    def test_replacing_always_fails(self, bed):
        uid = bed.append()
        for flags in ((), ("$A",), ("\\Seen",)):
            assert bed.store((uid,), "=", *flags, m=0).modified == uids(uid)

    def test_a_keyword_exists_while_it_is_set(self, bed):
        uid = bed.append()
        assert bed.store((uid,), "+", "$Claimed", m=0).applied == uids(uid)
        assert bed.store((uid,), "+", "$claimed", m=0).modified == uids(uid)
        assert bed.store((uid,), "-", "$Claimed", m=0).modified == uids(uid)
        bed.store((uid,), "-", "$Claimed")
        assert bed.store((uid,), "+", "$Claimed", m=0).applied == uids(uid)

    def test_one_existing_item_refuses_all_of_the_command(self, bed):
        uid = bed.append()
        assert bed.store((uid,), "+", "$A", "\\Seen", m=0).modified == uids(uid)
        assert bed.flags(uid) == set()


class TestClause7And8WhatAnOutcomeTells:
    def test_a_message_that_is_gone_is_missing_and_nothing_else(self, bed):
        for _ in range(3):
            bed.append()
        bed.do(Purge(bed.inbox, uids(2)))
        outcome = bed.store((1, 2, 9), "+", "$A", m=0)
        assert outcome.missing == uids(2, 9)
        assert (outcome.present, outcome.applied, outcome.modified) == (uids(1), uids(1), NumSet.EMPTY)

    def test_present_names_every_message_that_gets_a_fetch(self, bed):
        for flags in ((), ("$A",), ("\\Seen",)):
            bed.append(*flags)
        m = bed.state().mod_seq
        bed.store((3,), "+", "$A")
        outcome = bed.store((1, 2, 3), "+", "$A", m=m)
        assert (outcome.present, outcome.applied, outcome.modified) == (uids(1, 2, 3), uids(1), uids(3))


class TestClause9StoredOrRefused:
    @pytest.mark.parametrize("m", [None, 0, 99])
    def test_a_keyword_that_cannot_be_kept_refuses_everything(self, bed, monkeypatch, m):
        uid = bed.append("$A")
        monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", 1)
        for mode in ("+", "="):
            with pytest.raises(KeywordLimitReached):
                bed.store((uid,), mode, "\\Seen", "$Claim", m=m)
        assert bed.flags(uid) == {"$a"}
        assert bed.state().mod_seq == 2

    def test_a_prepared_claim_is_refused_when_it_is_applied(self, bed, monkeypatch):
        uid = bed.append("$A")
        monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", 1)
        monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 1)
        claim = StoreFlags(bed.inbox, uids(uid), "+", ("$Claim",), 0)
        assert list(claim.prepare(bed.state())) == []
        with pytest.raises(KeywordLimitReached):
            bed.do(claim)

    def test_a_refused_claim_leaves_no_keyword_behind(self, bed):
        uid = bed.append()
        assert bed.store((uid,), "+", "$A", "\\Seen", m=0).modified
        assert bed.state().flag_table.keywords == ()


class TestClause10Leases:
    def test_a_lease_is_taken_over_by_removing_the_old_one_under_its_number(self, bed):
        uid = bed.append()
        m = bed.store((uid,), "+", "$Lease1", m=0).mod_seq
        first, second = bed.batch(
            StoreFlags(bed.inbox, uids(uid), "-", ("$Lease1",), m),
            StoreFlags(bed.inbox, uids(uid), "-", ("$Lease1",), m),
        )
        assert (first.applied, second.modified) == (uids(uid), uids(uid))

    def test_another_keyword_under_the_same_m_excludes_nobody(self, bed):
        uid = bed.append()
        m = bed.state().mod_seq
        assert bed.store((uid,), "+", "$Worker1", m=m).applied
        assert bed.store((uid,), "+", "$Worker2", m=m).applied

    def test_a_replacement_under_one_m_has_one_winner(self, bed):
        uid = bed.append("$Lease1")
        m = bed.state().mod_seq
        outcomes = bed.batch(*(StoreFlags(bed.inbox, uids(uid), "=", (f"$Worker{n}",), m) for n in range(4)))
        assert sum(bool(outcome.applied) for outcome in outcomes) == 1
        assert bed.flags(uid) == {"$worker0"}


class TestClause11WhatTheSessionWasTold:
    def test_the_view_and_not_the_counter_is_the_end(self, bed):
        bed.append()
        view = SessionView(bed.state())
        bed.append()
        assert view.safe == view.announced == 2

    def test_a_withheld_expunge_keeps_the_safe_number_below_its_own(self, bed):
        for _ in range(3):
            bed.append()
        view = SessionView(bed.state())
        vanished_at = bed.do(Purge(bed.inbox, uids(2))).mod_seq
        bed.store((3,), "+", "\\Seen")
        view.advance(bed.state(), bed.state().changes_since(view.announced), may_vanish=False)
        assert view.announced == vanished_at + 1
        assert view.highest_mod_seq_due() == view.safe == vanished_at - 1
        view.advance(bed.state(), bed.state().changes_since(view.announced), may_vanish=True)
        assert view.highest_mod_seq_due() == view.announced == vanished_at + 1
        assert view.highest_mod_seq_due() is None


class TestClause13Horizon:
    def test_an_answer_below_the_horizon_says_that_it_is_not_all(self, bed):
        for _ in range(4):
            bed.append()
        first = bed.do(Purge(bed.inbox, uids(1))).mod_seq
        bed.do(Purge(bed.inbox, uids(2)))
        state = bed.state().copy()
        state.horizon = first
        assert not state.changes_since(first - 1).history_complete
        assert state.changes_since(first).history_complete
        assert state.changes_since(first).vanished == uids(2)


class TestClause14AllOrNone:
    def test_one_refused_message_stops_all(self, bed):
        for _ in range(3):
            bed.append()
        m = bed.state().mod_seq
        bed.store((2,), "+", "$A")
        before = bed.state().mod_seq
        outcome = bed.store((1, 2, 3), "+", "$A", m=m, all_or_none=True)
        assert outcome.refused
        assert (outcome.applied, outcome.modified, outcome.mod_seq) == (NumSet.EMPTY, uids(2), before)
        assert [bed.flags(uid) for uid in (1, 3)] == [set(), set()]

    def test_without_a_refused_one_all_are_changed(self, bed):
        for _ in range(3):
            bed.append()
        outcome = bed.store((1, 2, 3), "+", "$A", m=0, all_or_none=True)
        assert outcome.applied == uids(1, 2, 3)
        assert not outcome.refused

    def test_missing_uids_are_ignored_and_missing_sequence_numbers_refuse_all(self, bed):
        bed.append()
        assert bed.store((1, 7), "+", "$A", m=0, all_or_none=True).applied == uids(1)
        outcome = bed.store((1, 7), "+", "$B", m=0, all_or_none=True, missing_refuses=True)
        assert outcome.refused
        assert (outcome.applied, outcome.modified, outcome.missing) == (NumSet.EMPTY, NumSet.EMPTY, uids(7))

    def test_one_message_alone_is_judged_as_among_others(self, bed):
        bed.append()
        m = bed.state().mod_seq
        assert bed.store((7,), "+", "$A", m=0, all_or_none=True, missing_refuses=True).refused
        assert not bed.store((7,), "+", "$A", m=0, all_or_none=True).refused
        assert bed.store((1,), "+", "$A", m=m, all_or_none=True).applied == uids(1)
        outcome = bed.store((1,), "-", "$A", m=m, all_or_none=True)
        assert outcome.refused
        assert (outcome.applied, outcome.modified) == (NumSet.EMPTY, uids(1))

    def test_missing_refuses_nothing_where_the_others_are_changed(self, bed):
        bed.append()
        assert bed.store((1, 7), "+", "$A", m=0, missing_refuses=True).applied == uids(1)


def test_an_append_of_several_is_one_operation(bed):
    from core.bed import new_message

    outcome = bed.do(Append(bed.inbox, (new_message("$A"), new_message("$a", "\\Seen"))))
    assert (outcome.uids, outcome.mod_seq) == ((1, 2), 2)
    assert bed.state().changes_since(1).appeared == uids(1, 2)
    assert bed.state().changes_since(1).keywords_added
