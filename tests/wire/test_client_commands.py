"""What the client writes is what the server reads: parse, write, parse again."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.wire import values as v
from modseq.wire.command_writer import CommandWriter, raw_name
from modseq.wire.messages import parse_command
from modseq.wire.response import _WRITERS, write_command
from wire.framing_support import parse

EXAMPLES = [
    line.split("\t") for line in (Path(__file__).parent / "rfc_commands.tsv").read_text().splitlines()
]


def returned(command):
    """Write a command and read it as the server would."""
    return parse_command(write_command(command))


@pytest.mark.parametrize(("rfc", "section", "text"), EXAMPLES)
def test_the_examples_of_the_rfcs_come_back(rfc, section, text):
    command = parse(text.encode())
    if command.args is not None and type(command.args) not in _WRITERS:
        pytest.skip(f"the client has no verb for {command.name}")
    assert returned(command) == command


def one(low, high=None):
    return v.SequenceSet(((low, low if high is None else high),))


@pytest.mark.parametrize(
    ("name", "uid", "args", "octets"),
    [
        ("NOOP", False, None, b"t NOOP"),
        ("LOGIN", False, v.Login("ann", b'p"w'), b't LOGIN ann "p\\"w"'),
        ("SELECT", False, v.Select("INBOX", False), b"t SELECT INBOX"),
        ("EXAMINE", False, v.Select("Entwürfe", True, True), b"t EXAMINE Entw&APw-rfe (CONDSTORE)"),
        (
            "SELECT",
            False,
            v.Select("a b", False, False, v.QResync(7, 9, one(1, 3), (one(1), one(2)))),
            b't SELECT "a b" (QRESYNC (7 9 1:3 (1 2)))',
        ),
        ("EXPUNGE", True, v.Expunge(one(3, v.STAR)), b"t UID EXPUNGE 3:*"),
        (
            "STORE",
            True,
            v.Store(one(7), "+", True, ("$Claimed",), 0),
            b"t UID STORE 7 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Claimed)",
        ),
        (
            "STORE",
            True,
            v.Store(one(7), "=", False, ("\\Seen", "x"), 5, True),
            b"t UID STORE 7 (UNCHANGEDSINCE 5 XALLORNONE) FLAGS (\\Seen x)",
        ),
        (
            "FETCH",
            True,
            v.Fetch(one(1, v.STAR), ("UID", "FLAGS"), 9, True),
            b"t UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 9 VANISHED)",
        ),
        ("COPY", True, v.Copy(v.SequenceSet((), True), "Sent"), b"t UID COPY $ Sent"),
        ("ENABLE", False, v.Enable(("QRESYNC", "UTF8=ACCEPT")), b"t ENABLE QRESYNC UTF8=ACCEPT"),
        ("AUTHENTICATE", False, v.Authenticate("PLAIN", b""), b"t AUTHENTICATE PLAIN ="),
        ("ID", False, v.Id(((b"name", b"x"), (b"version", None))), b't ID ("name" "x" "version" NIL)'),
    ],
)
def test_commands_as_they_stand_on_the_wire(name, uid, args, octets):
    command = v.Command(b"t", name, uid, args)
    assert write_command(command) == (octets,)
    assert returned(command) == command


def test_an_append_is_text_and_literals():
    messages = (v.AppendMessage(("\\Seen",), (0, 60), b"Subject: x\r\n\r\n"), v.AppendMessage((), None, b""))
    command = v.Command(b"t", "APPEND", False, v.Append("INBOX", messages))
    assert write_command(command) == (
        b't APPEND INBOX (\\Seen) " 1-Jan-1970 01:00:00 +0100" {14}',
        b"Subject: x\r\n\r\n",
        b" {0}",
        b"",
        b"",
    )
    assert returned(command) == command


TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20)
WORD = st.text("abcXYZ09$_-", min_size=1, max_size=8).filter(lambda word: word.upper() != "NIL")
NUMBER = st.integers(1, 2**32 - 1)
SETS = st.lists(st.tuples(NUMBER, NUMBER).map(sorted).map(tuple), min_size=1, max_size=5).map(
    lambda ranges: v.SequenceSet(tuple(ranges))
)
LEAVES = st.one_of(
    st.just(v.SearchAll()),
    st.builds(v.SearchFlag, st.sampled_from(["\\Seen", "\\Deleted", "$x"]), st.booleans()),
    st.builds(v.SearchText, st.sampled_from(["BODY", "FROM", "SUBJECT"]), TEXT.map(str.encode)),
    st.builds(v.SearchHeader, WORD.map(str.encode), TEXT.map(str.encode)),
    st.builds(
        v.SearchDate,
        st.sampled_from(["INTERNAL", "SENT", "SAVED"]),
        st.sampled_from(["BEFORE", "ON", "SINCE"]),
        st.dates(dt.date(1, 1, 1)),
    ),
    st.just(v.SearchSaveDateSupported()),
    st.builds(v.SearchSize, st.booleans(), NUMBER),
    st.builds(v.SearchAge, st.booleans(), NUMBER),
    st.builds(v.SearchModSeq, st.integers(0, 2**63 - 1)),
    st.builds(
        v.SearchModSeq,
        NUMBER,
        st.sampled_from(["\\Seen", "$x"]),
        st.sampled_from(["priv", "shared", "all"]),
    ),
    st.builds(v.SearchObjectId, st.sampled_from(["EMAILID", "THREADID"]), WORD),
    st.builds(v.SearchSequence, SETS, st.booleans()),
)
KEYS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(v.SearchNot, inner),
        st.builds(v.SearchOr, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda keys: v.SearchAnd(tuple(keys))),
    ),
    max_leaves=6,
)


@given(KEYS, st.none() | st.builds(v.SearchReturn, everything=st.just(value=True), count=st.booleans()))
def test_every_search_comes_back(key, returns):
    args = v.Search(v.SearchProgram(key, False, False), returns, b"UTF-8")
    back = returned(v.Command(b"t", "SEARCH", True, args)).args
    assert back.program.key == key
    assert back.returns == returns


@given(TEXT, WORD)
def test_every_name_comes_back(name, tag):
    expected = "INBOX" if name.upper() == "INBOX" else name
    assert returned(v.Command(tag.encode(), "DELETE", False, v.Delete(name))).args.mailbox == expected


def test_a_name_that_is_no_text_is_written_as_its_octets():
    assert write_command(v.Command(b"t", "DELETE", False, v.Delete(raw_name(b"a&b")))) == (b"t DELETE a&b",)


def test_utf8_names_where_they_are_enabled():
    command = v.Command(b"t", "DELETE", False, v.Delete("Entwürfe & mehr"))
    assert write_command(command, utf8=True) == ('t DELETE "Entwürfe & mehr"'.encode(),)


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.string(b"a\0b"),
        lambda w: w.atom("a b"),
        lambda w: w.atom("a\r\nb NOOP"),
        lambda w: w.atom(""),
        lambda w: w.flag_list(["a)"]),
        lambda w: w.flag_list(["\\Seen x"]),
        lambda w: w.flag_list(["ü"]),
        lambda w: w.sequence_set(v.SequenceSet(())),
    ],
)
def test_what_would_break_out_of_its_place_is_never_written(write):
    with pytest.raises(ValueError):
        write(CommandWriter(b"t", "X"))


@pytest.mark.parametrize("name", ["a\r\nb NOOP", "a\nb", "a\0b"])
def test_line_ends_in_names_stay_inside(name):
    assert returned(v.Command(b"t", "DELETE", False, v.Delete(name))).args.mailbox == name
