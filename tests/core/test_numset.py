"""NumSet against plain sets of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bed import uids
from modseq.core import numset
from modseq.core.numset import NumSet

TOP = 2**32 - 1

spots = st.one_of(st.integers(0, 200), st.integers(TOP - 200, TOP), st.integers(65_500, 65_600))
ranges = st.lists(
    st.tuples(spots, st.integers(0, 90)).map(lambda r: (r[0], min(TOP, r[0] + r[1]))), max_size=9
)


def plain(pairs) -> set[int]:
    return {number for low, high in pairs for number in range(low, high + 1)}


def runs(numbers) -> list[tuple[int, int]]:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [(low, high) for low, high in found]


@given(ranges)
def test_ranges_are_the_runs_of_the_numbers(pairs):
    numbers = plain(pairs)
    made = NumSet.from_ranges(pairs)
    assert set(made) == numbers
    assert list(made) == list(made.to_array()) == sorted(numbers)
    assert list(made.ranges()) == runs(numbers)
    assert NumSet(numbers) == made == NumSet.deserialize(made.serialize())
    assert hash(NumSet(numbers)) == hash(made)
    assert len(made) == len(numbers)
    assert bool(made) == bool(numbers)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 60)), min_size=1, max_size=12))
def test_runs_of_any_length_are_found(steps):
    """Long runs are found by galloping, short ones one by one, whatever the sample suggests."""
    pairs, at = [], 1
    for length, gap in steps:
        pairs.append((at, at + length - 1))
        at += length + gap
    assert list(NumSet.from_ranges(pairs).ranges()) == pairs


def test_a_huge_run_behind_single_numbers_is_not_looked_through(monkeypatch):
    """The beginning of a set does not tell what its rest is like: this one took 16 seconds and 300 MB."""
    looked_at = []
    by_element = numset._ranges_by_element
    monkeypatch.setattr(
        numset, "_ranges_by_element", lambda numbers: (looked_at.append(len(numbers)), by_element(numbers))[1]
    )
    pairs = [(2, 2), (49, 73_292_994), (4_000_000_000, 4_100_000_000)]
    assert list(NumSet.from_ranges(pairs).ranges()) == pairs
    assert not looked_at
    apart = NumSet(range(1, 400_000, 2))
    assert list(apart.ranges()) == [(n, n) for n in range(1, 400_000, 2)]
    assert looked_at == [200_000]


def test_single_numbers_before_and_after_a_long_run():
    pairs = (
        [(n, n) for n in range(1, 400, 2)] + [(1_000, 90_000)] + [(n, n) for n in range(90_002, 90_300, 3)]
    )
    assert list(NumSet.from_ranges(pairs).ranges()) == pairs
    assert list(NumSet.from_ranges([(1, 50_000), (50_002, 50_002)]).ranges()) == [
        (1, 50_000),
        (50_002, 50_002),
    ]


@given(ranges, ranges)
def test_algebra(a, b):
    left, right = NumSet.from_ranges(a), NumSet.from_ranges(b)
    assert set(left | right) == plain(a) | plain(b)
    assert set(left & right) == plain(a) & plain(b)
    assert set(left - right) == plain(a) - plain(b)
    assert left.isdisjoint(right) == plain(a).isdisjoint(plain(b))
    assert left.issubset(right) == (plain(a) <= plain(b))


@given(ranges, spots, spots)
def test_clamp(pairs, low, high):
    assert set(NumSet.from_ranges(pairs).clamp(low, high)) == {n for n in plain(pairs) if low <= n <= high}


@given(st.lists(ranges, max_size=5))
def test_union_of_many(sets):
    made = [NumSet.from_ranges(pairs) for pairs in sets]
    assert set(NumSet.union(made)) == {number for pairs in sets for number in plain(pairs)}
    assert [set(each) for each in made] == [plain(pairs) for pairs in sets]


def test_the_ends_of_a_range_stand_in_either_order():
    assert NumSet.from_ranges([(5, 2)]) == uids(2, 3, 4, 5)


def test_spelling():
    assert NumSet.from_ranges([(1, 3), (7, 7)]).to_bytes() == b"1:3,7"
    assert NumSet.EMPTY.to_bytes() == b""
    assert NumSet.single(TOP).to_bytes() == b"4294967295"
    assert repr(uids(1, 2, 9)) == "NumSet(1:2,9)"


def test_ends_and_membership():
    some = uids(4, 9)
    assert (some.min, some.max) == (4, 9)
    assert 4 in some
    assert 5 not in some
    assert "4" not in some
    assert some != {4, 9}
    with pytest.raises(ValueError):
        _ = NumSet.EMPTY.min


@pytest.mark.parametrize("gap", [1, 2, 30, 63, 64])
def test_runs_below_the_highest_number_of_all(gap):
    """What is asked of the bitmap must not reach beyond 2^32, where it would wrap around."""
    pairs = [(1, 100), (TOP - 130, TOP - gap - 1), (TOP, TOP)]
    assert list(NumSet.from_ranges(pairs).ranges()) == pairs
