"""
Where fuzzing begins: computed from the command rows and from the tables of the grammar tests.

Nothing here names a command: a command that is added to the registry brings its seeds with the table of
its tests, and one without any is an error.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import modseq.server.commands as handlers
from modseq.server import registry

assert handlers.access is not None

_TESTS = Path(__file__).parent.parent
_COMMAND = re.compile(rb"\S+ ((?:UID )?[A-Z-]+)", re.IGNORECASE)
SEED_BYTES_MAX = 4_000


def table_octets(module: ModuleType) -> Iterator[bytes]:
    """Yield the octets that stand in the parametrize tables of a test module."""
    for name in dir(module):
        for mark in getattr(getattr(module, name), "pytestmark", ()):
            if mark.name == "parametrize":
                yield from _octets_in(mark.args[1])


def _octets_in(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _octets_in(each)


def tables(*names: str) -> list[bytes]:
    """Return the octets of the tables in test modules."""
    return [octets for name in names for octets in table_octets(importlib.import_module(name))]


def examples_of_commands() -> dict[str, list[bytes]]:
    """Return for each command row the lines that are known of it, without their ends."""
    lines = tables("wire.test_command_tables")
    rfc = (_TESTS / "wire" / "rfc_commands.tsv").read_text("utf-8")
    lines += [line.split("\t")[2].encode() for line in rfc.splitlines()]
    found: dict[str, list[bytes]] = {row.name: [] for row in registry.rows()}
    for line in lines:
        match = _COMMAND.match(line)
        name = match[1].decode().upper() if match else ""
        if name in found and len(line) < SEED_BYTES_MAX:
            found[name].append(line)
    missing = [name for name, known in found.items() if not known]
    if missing:
        raise LookupError(f"the tables of the grammar tests show no {', '.join(missing)}")
    return found


def _commands() -> Iterator[bytes]:
    examples = examples_of_commands()
    for row in registry.rows():
        stages = [0] * (registry.State.NOT_AUTHENTICATED in row.states)
        stages += [1] * (registry.State.AUTHENTICATED in row.states)
        stages += [2, 3] * (registry.State.SELECTED in row.states)
        for at, line in enumerate(examples[row.name]):
            yield bytes([stages[at % len(stages)] | at % 4 << 2]) + line + b"\r\n"
    every = [line for lines in examples.values() for line in lines[:2]]
    for stage in range(4):
        yield bytes([stage]) + b"\r\n".join(every[stage::4]) + b"\r\n"


def _lmtp() -> Iterator[bytes]:
    lines = [
        b"LHLO mx",
        b"MAIL FROM:<a@example.org> SIZE=10 BODY=8BITMIME SMTPUTF8",
        b"RCPT TO:<alice>",
        b"DATA",
    ]
    lines += [
        b"Subject: x",
        b"",
        b"..",
        b".",
        b"RSET",
        b"NOOP x",
        b"VRFY a",
        b"HELP",
        b"BDAT 3 LAST",
        b"QUIT",
    ]
    lines += [octets for octets in tables("wire.test_lmtp") if len(octets) < SEED_BYTES_MAX]
    for way in range(8):
        yield bytes([way]) + b"\r\n".join(lines) + b"\r\n"
    for at, line in enumerate(lines):
        yield bytes([at % 32]) + line + b"\r\n"


def _mail() -> Iterator[bytes]:
    weird = importlib.import_module("mime.test_mime_hostile").WEIRD.values()
    yield from tables("mime.test_rfc3501_envelope", "mime.test_rfc3501_bodystructure", "mime.test_mime_text")
    yield from weird
    yield from (each.data for each in importlib.import_module("mailgen").messages(30, seed=1))
    yield b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n"
    yield b"Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: x\r\n\r\nz\r\n--a--"
    yield b"From: =?utf-8?q?J=C3=BCrgen?= <j@x>, g: a@b (c), d;\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\n"


def _responses() -> Iterator[bytes]:
    lines = [each for each in tables("wire.test_responses", "wire.test_response_framing") if each]
    for at, line in enumerate(lines):
        ended = line if line.endswith(b"\n") else line + b"\r\n"
        yield bytes([at % 64]) + ended
    lines = [b"* %d FETCH (UID %d FLAGS (\\Seen $x) MODSEQ (%d))" % (n, 2 * n, 3 * n) for n in range(1, 9)]
    lines += [b"* VANISHED (EARLIER) 1:3,7", b"* OK [HIGHESTMODSEQ 7] x", b"a OK [MODIFIED 7,9] x"]
    yield b"\3" + b"\r\n".join(lines) + b"\r\n"


def _mbox() -> Iterator[bytes]:
    separators = [each for each in tables("mailfiles.test_mbox") if len(each) < SEED_BYTES_MAX]
    yield from separators
    body = b"Status: RO\nX-Keywords: a b\nContent-Length: 4\n\n>From x\n\n"
    yield b"".join(each + body for each in separators if each.startswith(b"From "))


def seeds(name: str) -> list[bytes]:
    """Return the seeds of a target, each once."""
    makers = {
        "command_stream": _commands,
        "lmtp_stream": _lmtp,
        "mime_scan": _mail,
        "mbox_import": _mbox,
        "response_stream": _responses,
        "sequence_set": lambda: tables("wire.test_sequence_set"),
        "utf7": lambda: tables("wire.test_utf7"),
    }
    return [each for each in dict.fromkeys(makers[name]()) if len(each) <= SEED_BYTES_MAX]


def words() -> list[bytes]:
    """Return what a mutation may put in: names of commands and capabilities, and the grammar's tokens."""
    tokens = importlib.import_module("wire.test_wire_fuzz").TOKENS
    rows = [row.name.encode() for row in registry.rows()]
    shown = [each.name.encode() for each in registry.capabilities()]
    return list(dict.fromkeys([*rows, *shown, *(each for each in tokens if each)]))
