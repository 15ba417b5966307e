"""The fuzz targets with small budgets, and proof that they notice what they are there for."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from fuzz import run
from fuzz.seeds import examples_of_commands, seeds, words
from fuzz.targets import TARGETS
from modseq.mailfiles import mbox
from modseq.mime import scan
from modseq.server import registry
from modseq.wire import abnf, framing, lmtp, utf7

EXAMPLES = {
    "command_stream": 400,
    "lmtp_stream": 400,
    "response_stream": 300,
    "mime_scan": 300,
    "mbox_import": 400,
    "sequence_set": 400,
    "utf7": 400,
}


def spoilt(name):
    """Seeds of a target joined, cut, doubled and mixed with words of the protocol."""
    known = st.sampled_from(seeds(name))
    pieces = st.sampled_from(words()) | st.binary(max_size=8)

    @st.composite
    def build(draw):
        octets = draw(known)
        for _ in range(draw(st.integers(0, 4))):
            start = draw(st.integers(0, len(octets)))
            stop = draw(st.integers(start, min(len(octets), start + 40)))
            octets = octets[:start] + draw(pieces | known | st.just(2 * octets[start:stop])) + octets[stop:]
        return octets

    return build() | st.binary(max_size=300)


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed(name):
    for octets in seeds(name):
        TARGETS[name](octets)


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_seeds(name):
    @settings(max_examples=examples(EXAMPLES[name]))
    @given(spoilt(name))
    def each(octets):
        TARGETS[name](octets)

    each()


def test_every_command_has_seeds():
    assert set(examples_of_commands()) == {row.name for row in registry.rows()}


def test_a_command_without_examples_is_noticed(monkeypatch):
    row = registry.row_named("NOOP")
    monkeypatch.setitem(registry._rows, "XNEW", type(row)(**{**_fields(row), "name": "XNEW"}))
    with pytest.raises(LookupError, match="XNEW"):
        examples_of_commands()


def _fields(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_the_program_knows_every_target():
    assert set(run.NAMES) == set(TARGETS) == set(EXAMPLES)


def test_one_input_again(tmp_path):
    file = tmp_path / "input"
    file.write_bytes(b"&APw-")
    told = subprocess.run(
        [sys.executable, "-m", "fuzz.run", "--repeat", file, "utf7"],
        cwd="tests",
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stdout) == (0, "utf7 stands this input.\n"), told.stderr
    told = subprocess.run([sys.executable, "-m", "fuzz.run", "utf9"], cwd="tests", capture_output=True)
    assert told.returncode == 2


# --- broken on purpose ----------------------------------------------------------------------------


def raise_from(error):
    def broken(*_args, **_kwargs):
        raise error

    return broken


def test_a_handler_that_fails_is_found(monkeypatch):
    monkeypatch.setattr("modseq.server.telling.bound_mod_seq", raise_from(KeyError("bug")))
    with pytest.raises(AssertionError, match="bug"):
        TARGETS["command_stream"](b"\2a NOOP\r\n")


def test_a_parser_that_fails_is_found(monkeypatch):
    monkeypatch.setattr(abnf.Parser, "sequence_set", raise_from(IndexError("bug")))
    with pytest.raises(AssertionError, match="bug"):
        TARGETS["command_stream"](b"\2a FETCH 1 FLAGS\r\n")


def test_a_framer_that_swallows_the_next_command_is_found(monkeypatch):
    whole, swallowed = framing.CommandFramer.next_event, []

    def next_event(self):
        event = whole(self)
        if event and swallowed == [False]:
            swallowed[0] = True
            return whole(self)
        if isinstance(event, framing.CommandReceived) and len(event.parts) > 1:
            swallowed[:] = [False]
        return event

    monkeypatch.setattr(framing.CommandFramer, "next_event", next_event)
    TARGETS["command_stream"](b"\1a NOOP\r\n")
    with pytest.raises(AssertionError):
        TARGETS["command_stream"](b"\1a NOOP {3+}\r\nabc\r\n")


def test_half_a_response_is_found(monkeypatch):
    monkeypatch.setattr("modseq.server.session.status_response", lambda *_: b"* BAD a line\rin a line\r\n")
    with pytest.raises(AssertionError):
        TARGETS["command_stream"](b"\1\r\n")


def test_an_lmtp_server_that_stores_nothing_is_found(monkeypatch):
    from modseq.server import delivery

    async def deliver(_store, _data, recipients):
        return [delivery.STORED for _ in recipients]

    monkeypatch.setattr("modseq.server.lmtp.deliver", deliver)
    with pytest.raises(AssertionError):
        TARGETS["lmtp_stream"](b"\x1fx\r\n.\r\n")


def test_an_lmtp_command_that_fails_is_found(monkeypatch):
    monkeypatch.setattr(lmtp, "path", raise_from(IndexError("bug")))
    with pytest.raises(AssertionError):
        TARGETS["lmtp_stream"](b"\x0dx\r\n.\r\n")


def test_a_shortcut_that_reads_otherwise_is_found(monkeypatch):
    from fuzz import targets

    whole = targets.fetched_run
    monkeypatch.setattr(targets, "fetched_run", lambda take: whole(take)[:1])
    with pytest.raises(AssertionError):
        TARGETS["response_stream"](seeds("response_stream")[-1])


def test_a_client_that_fails_is_found(monkeypatch):
    monkeypatch.setattr("fuzz.targets.parse_response", raise_from(IndexError("bug")))
    with pytest.raises(IndexError):
        TARGETS["response_stream"](b"\1* OK x\r\n")


def test_a_wrong_part_table_is_found(monkeypatch):
    whole = scan._Walk._header_end
    monkeypatch.setattr(scan._Walk, "_header_end", lambda self, start: max(0, whole(self, start) - 1))
    with pytest.raises(AssertionError):
        TARGETS["mime_scan"](b"a: b\r\n\r\nx")


def test_a_set_read_wrongly_is_found(monkeypatch):
    monkeypatch.setattr(abnf, "_seq_range", lambda element: (1, 1))
    with pytest.raises(AssertionError):
        TARGETS["sequence_set"](b"1,3:4")


def test_a_name_with_two_spellings_is_found(monkeypatch):
    from base64 import b64decode

    monkeypatch.setattr(utf7, "_decode_base64", lambda run: b64decode(run + b"==").decode("utf-16-be"))
    with pytest.raises((AssertionError, ValueError)):
        TARGETS["utf7"](b"&AGE-")


def test_an_mbox_that_loses_octets_is_found(monkeypatch):
    monkeypatch.setattr(mbox, "_TO_QUOTE", mbox.re.compile(rb"(?!)"))
    with pytest.raises(AssertionError):
        TARGETS["mbox_import"](b"From - \n\n>From - \n")
