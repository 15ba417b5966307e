"""The newest changes, and the expunges before them."""

import pytest

from core.bed import uids
from modseq import limits
from modseq.core.change import Change, FlagEdit
from modseq.core.errors import ExpungesNotLoaded
from modseq.core.history import ExpungeLog, History


def expunge(mod_seq: int, *numbers: int) -> Change:
    return Change(mod_seq, vanished=uids(*numbers))


def test_an_expunge_log_keeps_each_number():
    log = ExpungeLog()
    log.extend(5, uids(1, 2))
    log.extend(9, uids(7))
    for mod_seq, found, lowest in (
        (0, {1, 2, 7}, 5),
        (4, {1, 2, 7}, 5),
        (5, {7}, 9),
        (8, {7}, 9),
        (9, set(), 0),
    ):
        bitmap, least = log.between(mod_seq, 100)
        assert (set(bitmap), least) == (found, lowest)
    assert set(log.between(0, 8)[0]) == {1, 2}
    assert log.between(9, 4) == (uids().bitmap, 0)
    log.forget(5)
    assert set(log.between(0, 100)[0]) == {7}
    log.forget(9)
    assert log.between(0, 100) == (uids().bitmap, 0)


def test_changes_between_two_numbers():
    history = History(floor=1)
    changes = [expunge(number, number) for number in (3, 4, 9)]
    for change in changes:
        history.append(change)
    assert history.after(1, 9) == changes
    assert history.after(3, 9) == changes[1:]
    assert history.after(3, 8) == changes[1:2]
    assert list(history.after(9, 9)) == []
    assert history.floor == 1


def test_what_leaves_memory_raises_the_floor_and_leaves_its_expunges():
    history = History(floor=1, expunged=ExpungeLog())
    for number in range(2, 12):
        history.append(expunge(number, number))
    taken = history.after(1, 11)
    history.trim(4, 1_000)
    assert history.floor == 7
    assert [change.mod_seq for change in history.after(7, 99)] == [8, 9, 10, 11]
    assert [change.mod_seq for change in taken] == list(range(2, 12))
    assert set(history.expunged_after(3, 99)[0]) == {4, 5, 6, 7}
    assert history.expunged_after(3, 99)[1] == 4
    assert set(history.expunged_after(3, 5)[0]) == {4, 5}
    assert history.expunged_after(7, 99) == (uids().bitmap, 0)


def test_few_but_huge_changes_are_bounded_by_their_weight():
    history = History(floor=1)
    for number in range(2, 8):
        history.append(Change(number, edits=(FlagEdit(uids(*range(1, 11)), 1, 0),)))
    history.trim(100, 25)
    assert history.floor == 5
    assert len(history.after(5, 99)) == 2


def test_appending_trims_by_itself(monkeypatch):
    monkeypatch.setattr(limits, "LOG_CHANGES_IN_MEMORY_MAX", 8)
    history = History(floor=1, expunged=ExpungeLog())
    kept = []
    for number in range(2, 100):
        history.append(expunge(number, number))
        kept.append(len(history.after(history.floor, number)))
    assert 8 <= max(kept) <= 10
    assert set(history.expunged_after(1, 99)[0]) == set(range(2, history.floor + 1))


def test_weight_bounds_what_appending_keeps(monkeypatch):
    monkeypatch.setattr(limits, "LOG_WEIGHT_IN_MEMORY_MAX", 20)
    history = History(floor=1, expunged=ExpungeLog())
    for number in range(2, 30):
        history.append(expunge(number, *range(number * 10, number * 10 + 4)))
        assert sum(change.weight for change in history.after(history.floor, number)) <= 25


def test_older_expunges_that_are_only_stored_are_asked_for():
    history = History(floor=10)
    assert history.expunged_after(10, 99) == (uids().bitmap, 0)
    with pytest.raises(ExpungesNotLoaded):
        history.expunged_after(9, 99)
