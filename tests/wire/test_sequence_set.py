"""Sequence sets. RFC 3501 section 9, RFC 5182 section 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.core.numset import NumSet
from modseq.limits import SET_RANGES_MAX
from modseq.wire.abnf import ParseError, Parser
from modseq.wire.values import STAR, SequenceSet


def read(octets, **allowed):
    parser = Parser((octets,))
    numbers = parser.sequence_set(**allowed)
    parser.end()
    return numbers


@pytest.mark.parametrize(
    ("octets", "ranges"),
    [
        (b"1", ((1, 1),)),
        (b"4294967295", ((4294967295, 4294967295),)),
        (b"2:4", ((2, 4),)),
        (b"4:2", ((2, 4),)),
        (b"*", ((STAR, STAR),)),
        (b"*:*", ((STAR, STAR),)),
        (b"3:*", ((3, STAR),)),
        (b"*:3", ((3, STAR),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),
        (b"7,7,1:9", ((7, 7), (7, 7), (1, 9))),
    ],
)
def test_sets(octets, ranges):
    assert read(octets) == SequenceSet(ranges)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"0",
        b"01",
        b"1:0",
        b"0:1",
        b",1",
        b"1,",
        b"1,,2",
        b":",
        b"1:",
        b":1",
        b"1:2:3",
        b"**",
        b"*1",
        b"1*",
        b"4294967296",
        b"1:4294967296",
        b"99999999999",
        b"-1",
        b"$1",
        b"1,$",
        b"$,1",
    ],
)
def test_sets_that_are_none(octets):
    with pytest.raises(ParseError):
        read(octets)


def test_star_and_dollar_only_where_they_may_stand():
    assert read(b"$").saved
    for octets in (b"*", b"1:*", b"$"):
        with pytest.raises(ParseError):
            read(octets, star=False, dollar=False)


@pytest.mark.parametrize(
    ("octets", "star", "members"),
    [
        (b"*", 5, b"5"),
        (b"*", 0, b""),
        (b"3:*", 5, b"3:5"),
        (b"9:*", 5, b"5:9"),
        (b"9:*", 0, b""),
        (b"1:4294967295", 5, b"1:4294967295"),
        (b"5:1,2,9", 0, b"1:5,9"),
    ],
)
def test_star_is_the_highest_number_in_use(octets, star, members):
    assert read(octets).resolve(star).to_bytes() == members


def test_a_ceiling_cuts_off_numbers_that_nobody_has():
    assert read(b"1:4294967295,7,9:*").resolve(8, ceiling=8) == NumSet.from_ranges([(1, 8)])


def test_a_set_that_repeats_itself_is_merged_before_it_costs_anything(monkeypatch):
    built = []
    from_ranges = NumSet.from_ranges
    monkeypatch.setattr(NumSet, "from_ranges", lambda pairs: (built.extend(pairs), from_ranges(pairs))[1])
    assert len(read(b",".join([b"1:4294967295"] * 10_000)).resolve(9)) == 4294967295
    assert read(b"5:6,1:3,2:9,9,20:*").resolve(30).to_bytes() == b"1:9,20:30"
    assert built == [(1, 4294967295), (1, 9), (20, 30)]


def test_a_saved_set_is_known_to_the_session_alone():
    with pytest.raises(ValueError, match="session"):
        read(b"$").resolve(5)


def test_the_number_of_ranges_is_bounded():
    assert len(read(b",".join([b"1"] * SET_RANGES_MAX)).ranges) == SET_RANGES_MAX
    with pytest.raises(ParseError, match="at most 65536 ranges"):
        read(b",".join([b"1"] * (SET_RANGES_MAX + 1)))


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1))
def test_every_set_of_numbers_comes_back(pairs):
    numbers = NumSet.from_ranges(pairs)
    octets = b",".join(b"%d:%d" % pair for pair in pairs)
    assert read(octets).resolve(300) == numbers
    assert read(numbers.to_bytes()).resolve(300) == numbers
