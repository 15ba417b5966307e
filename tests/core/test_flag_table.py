"""Flags by name and by bit, and the palette of masks."""

import pytest

from modseq import limits
from modseq.core.errors import KeywordLimitReached
from modseq.core.flags import DELETED, FLAGGED, SEEN, FlagTable, Palette, bits


def test_system_flags_have_their_bits_whatever_their_case():
    table = FlagTable()
    assert table.mask(["\\SEEN", "\\deleted"]) == SEEN | DELETED
    assert table.names(SEEN | FLAGGED) == ("\\Flagged", "\\Seen")
    assert table.with_keywords(["\\Seen"]) is table


def test_a_keyword_is_told_as_it_was_first_spelled_and_keeps_its_bit():
    table = FlagTable().with_keywords(["$Work", "$work", "Zebra"])
    assert table.keywords == ("$Work", "Zebra")
    assert table.with_keywords(["$WORK"]) is table
    wider = table.with_keywords(["alpha"])
    assert wider.keywords == ("$Work", "Zebra", "alpha")
    assert wider.bit("ZEBRA") == table.bit("zebra") == 6
    assert wider.names(wider.known_mask(["ALPHA", "$work"])) == ("$Work", "alpha")
    assert table.keywords == ("$Work", "Zebra")


def test_an_unknown_keyword_has_no_mask():
    table = FlagTable().with_keywords(["a"])
    assert table.mask(["a", "b"]) is None
    assert table.bit("b") is None
    assert table.known_mask(["a", "b"]) == 1 << 5
    assert table != FlagTable()
    assert table == FlagTable(("a",))


def test_a_keyword_too_many_leaves_the_table_alone(monkeypatch):
    monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", 2)
    table = FlagTable().with_keywords(["a", "b"])
    with pytest.raises(KeywordLimitReached):
        table.with_keywords(["a", "c"])
    assert table.with_keywords(["A", "B"]) is table


def test_the_palette_numbers_masks_in_order_of_appearance():
    palette = Palette()
    huge = 1 << 254
    numbers = [palette.index(mask) for mask in (0, 5, huge, 5, 0)]
    assert numbers == [0, 1, 2, 1, 0]
    assert palette.masks == [0, 5, huge]


def test_bits():
    assert bits(0) == []
    assert bits(1 << 200 | 6) == [1, 2, 200]
