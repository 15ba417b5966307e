"""Lines and literals of responses. RFC 3501 sections 2.2.2, 4.3 and 7."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.limits import RESPONSE_LITERALS_MAX, RESPONSE_TEXT_BYTES_MAX
from modseq.wire.response_framing import (
    LiteralChunk,
    ResponseBroken,
    ResponseFramer,
    ResponseReader,
    TextReceived,
)
from wire.response_support import READ_WAYS, all_of

ways = pytest.mark.parametrize("way", READ_WAYS)


@ways
@pytest.mark.parametrize(
    ("octets", "parts"),
    [
        (b"* OK hello\r\n", (b"* OK hello",)),
        (b"* OK hello\n", (b"* OK hello",)),
        (b"\r\n", (b"",)),
        (b"* 1 FETCH (BODY[] {3}\r\nx\r\n)\r\n", (b"* 1 FETCH (BODY[] {3}", b"x\r\n", b")")),
        (b"* 1 FETCH (B {0}\r\n C {1}\r\nx)\r\n", (b"* 1 FETCH (B {0}", b"", b" C {1}", b"x", b")")),
        (b"* 1 FETCH (BINARY[1] ~{2}\r\n\0\n)\r\n", (b"* 1 FETCH (BINARY[1] ~{2}", b"\0\n", b")")),
        (b"* LIST () NIL {5}\r\n{3}\r\n\r\n", (b"* LIST () NIL {5}", b"{3}\r\n", b"")),
        # Human text announces nothing, a code may.
        (b"* OK see {5}\r\n", (b"* OK see {5}",)),
        (b"a1 NO {5}\r\n", (b"a1 NO {5}",)),
        (b"* OK [ALERT] see {5}\r\n", (b"* OK [ALERT] see {5}",)),
        (b"+ {5}\r\n", (b"+ {5}",)),
        (b"* NO [X {1}\r\n]] text\r\n", (b"* NO [X {1}", b"]", b"] text")),
        (b"* X {x}\r\n", (b"* X {x}",)),
        (b"* X {}\r\n", (b"* X {}",)),
        (b"* X }\r\n", (b"* X }",)),
    ],
)
def test_a_response_is_text_and_literals_in_turn(way, octets, parts):
    assert READ_WAYS[way](octets + b"* NO next\r\n", ResponseReader()) == [parts, (b"* NO next",)]


@given(st.lists(st.binary(max_size=30), max_size=4), st.integers(1, 7))
def test_any_cut_of_the_octets_gives_the_same(literals, step):
    octets = b"* X" + b"".join(b" {%d}\r\n%b" % (len(each), each) for each in literals) + b" end\r\n"
    reader = ResponseReader()
    found = []
    for at in range(0, len(octets), step):
        reader.feed(octets[at : at + step])
        found += all_of(reader)
    assert [parts[1::2] for parts in found] == [tuple(literals)]


def test_literals_come_in_the_chunks_in_which_they_arrive():
    framer = ResponseFramer()
    framer.feed(b"* 1 FETCH (BODY[] {6}\r\nab")
    assert framer.next_event() == TextReceived(b"* 1 FETCH (BODY[] {6}", 6)
    assert framer.next_event() == LiteralChunk(b"ab", 4)
    assert framer.next_event() is None
    framer.feed(b"cdef)\r\n")
    assert framer.next_event() == LiteralChunk(b"cdef", 0)
    assert framer.next_event() == TextReceived(b")", None)


def test_a_huge_literal_is_never_held_by_the_framer():
    framer = ResponseFramer()
    framer.feed(b"* 1 FETCH (BODY[] {%d}\r\n" % 2**50)
    framer.next_event()
    for _ in range(100):
        framer.feed(bytes(65_536))
        assert len(framer.next_event().data) == 65_536
        assert framer.held_bytes == framer.buffered_bytes == 0


@ways
def test_an_endless_line_is_refused_at_its_bound(way):
    reader = ResponseReader()
    reader.framer.text_bytes_max = 100
    with pytest.raises(ResponseBroken) as caught:
        READ_WAYS[way](b"* " + b"x" * 99, reader)
    assert caught.value.is_too_large
    assert reader.framer.held_bytes == 0
    with pytest.raises(ResponseBroken):
        reader.next()


def test_texts_between_literals_count_together():
    reader = ResponseReader()
    reader.framer.text_bytes_max = 100
    with pytest.raises(ResponseBroken):
        READ_WAYS["whole"](b"* X" + b" xxxxxxxx {1}\r\ny" * 10 + b"\r\n", reader)


def test_the_default_bound_holds():
    reader = ResponseReader()
    for _ in range(RESPONSE_TEXT_BYTES_MAX // 2**20):
        reader.feed(b"x" * 2**20)
        assert reader.next() is None
    reader.feed(b"x")
    with pytest.raises(ResponseBroken):
        reader.next()


@ways
@pytest.mark.parametrize(
    ("octets", "limit"),
    [(b"* X {11}\r\n", 10), (b"* X {6}\r\nxxxxxx {5}\r\n", 10), (b"* X {%d}\r\n" % 2**62, 10)],
)
def test_literals_over_the_bound_are_refused_when_they_are_announced(way, octets, limit):
    with pytest.raises(ResponseBroken):
        READ_WAYS[way](octets, ResponseReader(limit))


def test_empty_literals_are_counted():
    with pytest.raises(ResponseBroken):
        READ_WAYS["whole"](b"* X" + b" {0}\r\n" * (RESPONSE_LITERALS_MAX + 1), ResponseReader())


def test_what_came_before_tls_is_forgotten():
    framer = ResponseFramer()
    framer.feed(b"* X {5}\r\nab")
    framer.next_event()
    framer.next_event()
    framer.feed(b"* BYE\r\n")
    assert framer.discard_buffered() == 7
    framer.feed(b"a OK\r\n")
    assert framer.next_event() == TextReceived(b"a OK", None)


def test_a_run_takes_whole_lines_only_and_never_from_the_middle():
    line = re.compile(rb"\* (\d) X\r\n")
    run = re.compile(rb"(?:\* \d X\r\n)+")
    framer = ResponseFramer()
    framer.feed(b"* 1 X\r\n* 2 X\r\n* 3 ")
    assert framer.take_run(line, run) == [b"1", b"2"]
    assert framer.take_run(line, run) == []
    assert framer.next_event() is None
    framer.feed(b"X\r\n* 4 X\r\n")
    assert framer.take_run(line, run) == []
    assert framer.next_event() == TextReceived(b"* 3 X", None)
    assert framer.take_run(line, run) == [b"4"]
    framer.feed(b"* L {7}\r\n* 5 X\r\n\r\n")
    framer.next_event()
    assert framer.take_run(line, run) == []
    assert framer.next_event() == LiteralChunk(b"* 5 X\r\n", 0)
