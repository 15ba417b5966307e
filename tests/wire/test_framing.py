"""Lines and literals before grammar. RFC 3501 sections 4.3 and 7.5, RFC 7888, RFC 7162 section 4."""

import pytest

from modseq.limits import (
    COMMAND_LITERAL_BYTES_MAX,
    LINE_BYTES_MAX,
    LITERAL_BYTES_BEFORE_LOGIN_MAX,
    LITERALS_PER_COMMAND_MAX,
)
from modseq.wire.framing import (
    CommandFramer,
    CommandReceived,
    FramingFailed,
    LineReceived,
    LineTooLong,
    LiteralRequested,
    LiteralTooLarge,
    read_tag,
)
from wire.framing_support import WAYS, events_of, feed_by_octet, feed_whole

ways = pytest.mark.parametrize("way", WAYS)


def framer_of(limit=100, skip=1_000):
    framer = CommandFramer(lambda _tag, _name: limit)
    framer.skip_bytes_max = skip
    return framer


def kinds(events):
    return [type(event) for event in events]


@ways
@pytest.mark.parametrize(
    ("octets", "parts"),
    [
        (b"a NOOP\r\n", (b"a NOOP",)),
        (b"a NOOP\n", (b"a NOOP",)),
        (b"\r\n", (b"",)),
        (b"a\rb\r\n", (b"a\rb",)),
        (b"a {3}\r\nx\r\n b\r\n", (b"a {3}", b"x\r\n", b" b")),
        (b"a {3+}\r\n{1} ~{0+}\n\r\n", (b"a {3+}", b"{1}", b" ~{0+}", b"", b"")),
        (b"a {0}\r\n\r\n", (b"a {0}", b"", b"")),
        (b"a {003}\r\nxyz\r\n", (b"a {003}", b"xyz", b"")),
        (b"a {3} \r\n", (b"a {3} ",)),
        (b"a {x}\r\n", (b"a {x}",)),
        (b"a {}\r\n", (b"a {}",)),
        (b"a {3-}\r\n", (b"a {3-}",)),
        (b"}\r\n", (b"}",)),
    ],
)
def test_a_command_is_text_and_literals_in_turn(way, octets, parts):
    framer = framer_of()
    events = [event for event in WAYS[way](octets, framer) if not isinstance(event, LiteralRequested)]
    assert events == [CommandReceived(parts)]
    assert framer.is_between_commands
    assert framer.held_bytes == 0


@ways
def test_pipelined_commands_come_one_by_one(way):
    events = WAYS[way](b"a NOOP\r\nb LOGIN {1+}\r\nx y\r\nc NOOP\r\n", framer_of())
    assert events == [
        CommandReceived((b"a NOOP",)),
        CommandReceived((b"b LOGIN {1+}", b"x", b" y")),
        CommandReceived((b"c NOOP",)),
    ]


@ways
def test_a_synchronizing_literal_waits_for_leave(way):
    framer = framer_of()
    framer.feed(b"a uid fetch {4}\r\n")
    assert framer.next_event() == LiteralRequested(b"a", "UID FETCH", 4)
    assert framer.next_event() is None
    framer.feed(b"x")
    assert framer.next_event() is None, "octets sent too early wait as well"
    framer.accept_literal()
    assert WAYS[way](b"yz!\r\n", framer) == [CommandReceived((b"a uid fetch {4}", b"xyz!", b""))]


def test_a_refused_literal_ends_its_command():
    framer = framer_of()
    framer.feed(b"a LOGIN {4}\r\n")
    assert framer.next_event() == LiteralRequested(b"a", "LOGIN", 4)
    framer.refuse_literal()
    assert feed_whole(b"b NOOP\r\n", framer) == [CommandReceived((b"b NOOP",))]


def test_leave_without_a_request_is_an_error_of_the_driver():
    framer = framer_of()
    with pytest.raises(ValueError, match="no literal"):
        framer.accept_literal()
    with pytest.raises(ValueError, match="no literal"):
        framer.refuse_literal()


@ways
def test_a_synchronizing_literal_too_large_is_refused_without_its_octets(way):
    framer = framer_of(limit=3)
    events = WAYS[way](b"a LOGIN {4}\r\nb NOOP\r\n", framer)
    assert events == [
        LiteralTooLarge(b"a", "LOGIN", 4, "a literal may have 3 octets here"),
        CommandReceived((b"b NOOP",)),
    ]


@ways
def test_a_literal_that_nobody_waits_for_is_skipped_with_the_rest_of_its_command(way):
    framer = framer_of(limit=3)
    events = WAYS[way](b"a LOGIN {9+}\r\nx NOOP\r\n\r {8+}\r\ny NOOP\r\n rest\r\nb NOOP\r\n", framer)
    assert events == [
        LiteralTooLarge(b"a", "LOGIN", 9, "a literal may have 3 octets here"),
        CommandReceived((b"b NOOP",)),
    ]
    assert framer.held_bytes == 0


@ways
def test_a_refused_command_ends_where_its_client_would_wait(way):
    events = WAYS[way](b"a LOGIN {4+}\r\nabcd {5}\r\nb NOOP\r\n", framer_of(limit=3))
    assert kinds(events) == [LiteralTooLarge, CommandReceived]


@ways
@pytest.mark.parametrize("size", [b"1001", b"9" * 5_000])
def test_a_literal_too_large_to_skip_ends_the_connection(way, size):
    framer = framer_of(limit=3)
    events = WAYS[way](b"a LOGIN {" + size + b"+}\r\nb NOOP\r\n", framer)
    assert events == [FramingFailed(b"a", "a literal may have 3 octets here")]


@ways
def test_skipped_octets_are_counted_over_the_whole_command(way):
    events = WAYS[way](b"a X {600+}\r\n" + b"x" * 600 + b" {500+}\r\n", framer_of(limit=3))
    assert kinds(events) == [LiteralTooLarge, FramingFailed]


def test_the_limit_is_asked_for_each_literal_with_tag_and_name():
    asked = []

    def limit(tag, name):
        asked.append((tag, name))
        return 5

    feed_whole(b"a append {1+}\r\nx {5+}\r\nhello\r\n({1+}\r\nx\r\nb {1+}\r\nx\r\n", CommandFramer(limit))
    assert asked == [(b"a", "APPEND"), (b"a", "APPEND"), (None, ""), (b"b", "")]


def test_somebody_unknown_may_send_little():
    framer = CommandFramer()
    events = feed_whole(b"a LOGIN {%d}\r\n" % (LITERAL_BYTES_BEFORE_LOGIN_MAX + 1), framer)
    assert kinds(events) == [LiteralTooLarge]


def test_the_number_of_literals_in_a_command_is_bounded():
    framer = framer_of(limit=1)
    events = feed_whole(b"a X" + b" {0+}\r\n" * LITERALS_PER_COMMAND_MAX + b"\r\n", framer)
    assert kinds(events) == [CommandReceived]
    events = feed_whole(b"a X" + b" {0+}\r\n" * (LITERALS_PER_COMMAND_MAX + 5) + b"\r\nb NOOP\r\n", framer)
    assert kinds(events) == [LiteralTooLarge, CommandReceived]


def test_all_literals_of_a_command_together_are_bounded():
    framer = CommandFramer(lambda _tag, _name: COMMAND_LITERAL_BYTES_MAX + 1)
    events = feed_whole(b"a X {2+}\r\nxy {%d}\r\n" % (COMMAND_LITERAL_BYTES_MAX - 1), framer)
    assert kinds(events) == [LiteralTooLarge]


@ways
def test_a_line_at_its_bound_passes_and_one_above_is_dropped(way):
    framer = framer_of(skip=LINE_BYTES_MAX)
    longest = b"a " + b"x" * (LINE_BYTES_MAX - 3)
    assert WAYS[way](longest + b"\r\n", framer) == [CommandReceived((longest,))]
    events = WAYS[way](longest + b"xx\r\nb NOOP\r\n", framer)
    assert events == [LineTooLong(b"a"), CommandReceived((b"b NOOP",))]


@ways
def test_the_texts_of_a_command_share_one_bound(way):
    half = b"x" * (LINE_BYTES_MAX // 2)
    framer = framer_of(skip=LINE_BYTES_MAX)
    events = WAYS[way](b"a " + half + b" {1+}\r\ny" + half + b"\r\nb NOOP\r\n", framer)
    assert events == [LineTooLong(b"a"), CommandReceived((b"b NOOP",))]


def test_a_literal_at_the_end_of_a_long_line_is_no_command():
    framer = framer_of(skip=LINE_BYTES_MAX)
    line = b"a " + b"x" * LINE_BYTES_MAX + b" {9+}\r\nx NOOP\r\n\n\r\nb NOOP\r\n"
    for events in (feed_whole(line, framer), feed_by_octet(line, framer)):
        assert events == [LineTooLong(b"a"), CommandReceived((b"b NOOP",))]


def test_a_line_without_end_costs_bounded_memory_and_then_the_connection():
    framer = framer_of(skip=10 * LINE_BYTES_MAX)
    seen = []
    for _ in range(30):
        framer.feed(b"x" * (LINE_BYTES_MAX // 2))
        seen += events_of(framer)
        assert framer.held_bytes <= LINE_BYTES_MAX
    assert kinds(seen) == [LineTooLong, FramingFailed]
    assert seen[0].tag is None


def test_octets_of_a_literal_take_no_room_of_their_own():
    framer = framer_of(limit=100_000)
    feed_whole(b"a X {100000+}\r\n", framer)
    for _ in range(50_000):
        framer.feed(b"x")
        framer.next_event()
    assert len(framer._literal) == 1
    framer.feed(b"y" * 50_000 + b"\r\n")
    assert framer.next_event() == CommandReceived((b"a X {100000+}", b"x" * 50_000 + b"y" * 50_000, b""))


@ways
def test_a_bare_line_where_one_is_expected(way):
    framer = framer_of()
    framer.feed(b"a IDLE\r\n")
    assert framer.next_event() == CommandReceived((b"a IDLE",))
    framer.expect_line()
    assert WAYS[way](b"DONE {3}\r\nb NOOP\r\n", framer) == [
        LineReceived(b"DONE {3}"),
        CommandReceived((b"b NOOP",)),
    ]


def test_a_long_bare_line_is_dropped_too():
    framer = framer_of(skip=2 * LINE_BYTES_MAX)
    framer.expect_line()
    events = feed_whole(b"x" * (LINE_BYTES_MAX + 1) + b"\r\nb NOOP\r\n", framer)
    assert events == [LineTooLong(None), CommandReceived((b"b NOOP",))]


def test_what_came_in_the_clear_is_forgotten():
    framer = framer_of()
    framer.feed(b"a STARTTLS\r\nb NOOP\r\nc LOG")
    framer.feed(b"IN x y\r\n")
    assert framer.next_event() == CommandReceived((b"a STARTTLS",))
    framer.discard_buffered()
    assert framer.buffered_bytes == 0
    assert framer.next_event() is None
    assert feed_whole(b"d NOOP\r\n", framer) == [CommandReceived((b"d NOOP",))]


def test_the_driver_sees_how_much_waits():
    framer = framer_of()
    framer.feed(b"a X {3}\r\n")
    framer.next_event()
    framer.feed(bytearray(b"12345"))
    framer.feed(memoryview(b"678"))
    framer.feed(b"")
    assert framer.buffered_bytes == 8
    assert framer.held_bytes == 7


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (b"a NOOP", b"a"),
        (b". NOOP", b"."),
        (b"a]", b"a]"),
        (b"a" * 255, b"a" * 255),
        (b"a" * 256, None),
        (b"* OK", None),
        (b"+ OK", None),
        (b"", None),
        (b'"a" NOOP', None),
    ],
)
def test_tags(text, tag):
    assert read_tag(text) == tag
