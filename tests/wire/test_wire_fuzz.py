"""Any octets at all: only the documented errors and events, in any pieces, in bounded memory."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modseq.limits import LINE_BYTES_MAX
from modseq.wire.abnf import ParseError
from modseq.wire.framing import CommandFramer, CommandReceived
from modseq.wire.grammar import store as store_grammar
from modseq.wire.messages import COMMAND_NAMES, parse_command
from wire.framing_support import events_of, feed_whole

EXAMPLES = [
    line.split("\t")[2].encode()
    for line in (Path(__file__).parent / "rfc_commands.tsv").read_text().splitlines()
]
TOKENS = [
    *(name.encode() for name in sorted(COMMAND_NAMES)),
    *(b"a", b" ", b"  ", b"(", b")", b"()", b'"', b'"x"', b'"\\"', b"{3}\r\n", b"{3+}\r\n", b"~{3+}\r\n"),
    *(b"{0+}\r\n", b"abc", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"*", b"$", b"1", b"0", b"1:*", b"2,4:1"),
    *(b"99999999999999999999", b"NIL", b"INBOX", b"&", b"&-", b"%", b"\\Seen", b"\\", b"FLAGS", b"BODY["),
    *(b"]", b"<", b">", b".", b"HEADER.FIELDS", b"MODSEQ", b"UNCHANGEDSINCE", b"CHANGEDSINCE", b"VANISHED"),
    *(b"QRESYNC", b"CONDSTORE", b"RETURN", b"NOT", b"OR", b"STATUS", b"1-Feb-1994", b"CHARSET", b"UID"),
]
RUBBISH = (
    st.binary(max_size=200)
    | st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)
    | st.lists(st.sampled_from(TOKENS), max_size=20).map(b" ".join)
)


@st.composite
def spoilt(draw):
    """An example of an RFC with a few octets cut out, doubled or replaced."""
    octets = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(octets)))
        stop = draw(st.integers(start, min(len(octets), start + 8)))
        middle = draw(st.sampled_from(TOKENS) | st.just(b"") | st.just(2 * octets[start:stop]))
        octets = octets[:start] + middle + octets[stop:]
    return octets


def obey(events):
    """Parse each command there is and return what came of it."""
    outcomes = []
    for event in events:
        if isinstance(event, CommandReceived):
            try:
                outcomes.append(parse_command(event.parts))
            except ParseError as error:
                outcomes.append((type(error), str(error), error.tag))
        else:
            outcomes.append(event)
    return outcomes


@given(RUBBISH | spoilt())
@settings(max_examples=1_000, deadline=None)
def test_only_documented_errors(octets):
    framer = CommandFramer()
    for outcome in obey(feed_whole(octets + b"\r\n", framer)):
        if isinstance(outcome, tuple):
            assert outcome[1].startswith("expected ")
    assert framer.held_bytes <= len(octets) + 2


@given(st.lists(RUBBISH | spoilt(), max_size=4).map(b"\r\n".join), st.data())
@settings(max_examples=500, deadline=None)
def test_pieces_make_no_difference(octets, data):
    whole = obey(feed_whole(octets, CommandFramer()))
    framer = CommandFramer()
    outcomes = []
    rest = octets
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        framer.feed(rest[:cut])
        outcomes += obey(events_of(framer))
        rest = rest[cut:]
    assert outcomes == whole


@pytest.mark.parametrize(
    "octets",
    [
        b"a SEARCH " + b"(" * 60_000,
        b"a SEARCH " + b"OR " * 30_000,
        b"a SEARCH " + b"NOT " * 30_000,
        b'a LIST "" (' + b"( " * 40_000,
        b"a FETCH 1 BODY[" + b"1." * 50_000,
        b"a FETCH 1 (" + b"BODY[HEADER.FIELDS (" * 5_000,
        b"a FETCH " + b"1:" * 50_000,
        b"a FETCH " + b"1," * 60_000,
        b"a FETCH " + b"9" * 100_000,
        b"a STORE 1 (UNCHANGEDSINCE " + b"9" * 100_000,
        b"a STORE 1 FLAGS (" + b"x " * 60_000,
        b'a LOGIN "' + b"\\" * 100_000,
        b'a LOGIN "' + b'\\"' * 50_000,
        b"a SELECT " + b"&AAAA" * 20_000,
        b"a SELECT " + b"&-" * 50_000,
        b"a X {" + b"1" * 100_000 + b"}",
        b"{" * 120_000 + b"}",
        b"a" * 120_000,
        b" " * 120_000,
    ],
    ids=lambda octets: repr(octets[:30]),
)
def test_monsters_are_refused_at_once(octets):
    assert len(octets) < LINE_BYTES_MAX
    outcomes = obey(feed_whole(octets + b"\r\n", CommandFramer()))
    assert len(outcomes) == 1
    assert not isinstance(outcomes[0], CommandReceived)


STORES = st.tuples(
    st.sampled_from([b"5", b"05", b"0", b"123456789", b"1234567890", b"$", b"1,2", b"*"]),
    st.sampled_from([b"", b"(UNCHANGEDSINCE 12) ", b"(unchangedsince 0) ", b"(UNCHANGEDSINCE 00) "])
    | st.integers(2**63 - 2, 2**63 + 1).map(lambda n: b"(UNCHANGEDSINCE %d) " % n),
    st.sampled_from([b"", b"+", b"-", b"="]),
    st.sampled_from([b"FLAGS", b"flags.silent", b"FLAGS.SILENTLY"]),
    st.sampled_from([b" (\\seen a)", b" ()", b" a", b"(a)", b" (a b) ", b" (\\Recent)"]),
).map(lambda p: b"a UID STORE %b %b%b%b%b" % p)


@given(STORES)
def test_the_common_store_is_read_as_every_other(octets):
    fast = obey([CommandReceived((octets,))])
    pattern = store_grammar._COMMON
    store_grammar._COMMON = store_grammar.re.compile(rb"(?!)")
    try:
        assert obey([CommandReceived((octets,))]) == fast
    finally:
        store_grammar._COMMON = pattern
