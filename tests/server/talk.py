r"""Tests that read like conversations.

    talk = Conversation(server)          # logs session 1 in as alice; login=False for a bare connection
    talk.run('''
        C: a1 STATUS INBOX (MESSAGES UIDVALIDITY)
        S: * STATUS INBOX (MESSAGES 0 UIDVALIDITY $v)
        S: a1 OK
        C2: b1 NOOP
        S2: b1 OK
    ''')

- `C:` is sent with CRLF, `S:` is what must come back. A number names the session: `C2:` opens a second
  one, logged in, when it is first used.
- A block of `S:` lines ends with a tagged line, a `+` line or, for a connection that closes,
  `S: <closed>`. The untagged lines between may come in any order, and others between them; `S>:` comes
  after the line written before it.
- `!S:` (`!S2:`) must not come before that end.
- `$name` (small letters) takes what stands there, and must find the same where it stands again, also in
  what is sent. A name that ends in `_` takes anything, spaces too, and is never compared. `...` stands
  for anything.
- A tagged or status line may be longer than what is written: `S: a1 OK` finds `a1 OK [READ-ONLY] done`.
- `{{name}}` in a `C:` line sends the octets given as `talk.run(script, name=b"...")` as a literal;
  `{{{name}}}` sends them as they are. In a line that came, a literal stands as its marker, then its octets
  with CRLF shown as `\r\n`.
- `S:` lines without an end wait for what comes unasked, until all of them came: `S: * 2 EXISTS` alone.

`talk.captures` holds what names took; `talk.came` all lines of the last block.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

_LINE = re.compile(r"(?P<not>!)?(?P<who>[CS])(?P<number>\d*)(?P<after>>)?: ?(?P<text>.*)\Z")
_NAME = re.compile(r"\$([a-z][a-z0-9_]*)")
_TOKEN = re.compile(r"\.\.\.|\$[a-z][a-z0-9_]*")
_GIVEN = re.compile(r"\{\{(\w+)\}\}|\{\{\{(\w+)\}\}\}")
_STATUS = re.compile(r"(\* )?(OK|NO|BAD|BYE|PREAUTH)\b|[A-Za-z0-9.]+ (OK|NO|BAD)\b")
CLOSED = "<closed>"


class Reachable(Protocol):
    """What a conversation needs of a server."""

    def connect(self) -> Any:
        """Return a connected socket."""


class Peer:
    """One connection, read line by line."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._buffer = bytearray()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def read_response(self, seconds_max: float = 10.0) -> str:
        """Return the next whole response, literals included, as text; CLOSED when there is no more."""
        self.socket.settimeout(seconds_max)
        response = ""
        while True:
            line = self._read_line()
            if line is None:
                assert not response, f"the connection closed inside {response!r}"
                return CLOSED
            response += _shown(line)
            marker = re.search(rb"\{(\d+)\}\Z", line)
            if marker is None:
                return response
            response += _shown(self._read_octets(int(marker[1])))

    def _read_line(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not self._fill():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            assert self._fill(), "the connection closed inside a literal"
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        return octets

    def _fill(self) -> bool:
        try:
            octets = self.socket.recv(65536)
        except ConnectionResetError:
            octets = b""
        self._buffer += octets
        return bool(octets)

    def close(self) -> None:
        self.socket.close()


def _shown(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace").replace("\r", "\\r").replace("\n", "\\n")


@dataclass
class Expected:
    text: str
    is_forbidden: bool
    is_after: bool


@dataclass
class Block:
    """What one session is to say until a line that ends it."""

    number: int
    lines: list[Expected] = field(default_factory=list)


class Conversation:
    """Runs scripts against a server; see the module's docstring."""

    def __init__(
        self, server: Reachable, *, login: bool = True, user: str = "alice", password: str = "secret"
    ) -> None:
        self._server = server
        self._login = (user, password) if login else None
        self._peers: dict[int, Peer] = {}
        self.captures: dict[str, str] = {}
        self.came: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()

    def peer(self, number: int = 1) -> Peer:
        """Return a session's connection, opened and logged in if it is new."""
        if number not in self._peers:
            peer = self._peers[number] = Peer(self._server.connect())
            greeting = peer.read_response()
            if self._login is not None:
                assert greeting.startswith("* OK"), greeting
                user, password = self._login
                peer.send(f'login LOGIN "{user}" "{password}"\r\n'.encode())
                reply = peer.read_response()
                assert reply.startswith("login OK"), reply
            else:
                self.came = [greeting]
        return self._peers[number]

    def run(self, script: str, **given: bytes) -> None:
        """Run a script; raises AssertionError at the first line that does not come."""
        block: Block | None = None
        for line in filter(None, map(str.strip, script.splitlines())):
            if line.startswith("#"):
                continue
            match = _LINE.match(line)
            assert match is not None, f"not a line of a conversation: {line!r}"
            number = int(match["number"] or 1)
            if match["who"] == "C":
                if block is not None:
                    self._hear(block)
                    block = None
                self.peer(number).send(self._filled(match["text"], given))
                continue
            if block is None or block.number != number:
                if block is not None:
                    self._hear(block)
                block = Block(number)
            block.lines.append(Expected(match["text"], bool(match["not"]), bool(match["after"])))
            if not match["not"] and _ends(match["text"]):
                self._hear(block)
                block = None
        if block is not None:
            self._hear(block)

    # --- saying ---

    def _filled(self, text: str, given: dict[str, bytes]) -> bytes:
        text = _NAME.sub(lambda name: self.captures.get(name[1], name[0]), text)
        octets = b""
        at = 0
        for place in _GIVEN.finditer(text):
            octets += text[at : place.start()].encode()
            value = given[place[1] or place[2]]
            octets += b"{%d+}\r\n%b" % (len(value), value) if place[1] else value
            at = place.end()
        return octets + text[at:].encode() + b"\r\n"

    # --- hearing ---

    def _hear(self, block: Block) -> None:
        """Read up to the line that ends the block and match everything that came."""
        wanted = [each for each in block.lines if not each.is_forbidden]
        last = wanted[-1]
        ends = _ends(last.text)
        self.came = []
        peer = self.peer(block.number)
        waiting = wanted[:-1] if ends else wanted
        while True:
            try:
                came = peer.read_response()
            except TimeoutError:
                raise AssertionError(self._report("nothing more came", block, waiting)) from None
            self.came.append(came)
            if ends and _is_end(came):
                break
            waiting = self._without(waiting, came)
            for each in block.lines:
                if each.is_forbidden and self._pattern(each.text).fullmatch(came):
                    raise AssertionError(self._report(f"{came!r} must not come", block, waiting))
            if not ends and not waiting:
                return
            if came == CLOSED:
                break
        if waiting:
            raise AssertionError(self._report("not everything came", block, waiting))
        if not self._take(last.text, self.came[-1]):
            raise AssertionError(self._report(f"expected {last.text!r}", block, []))

    def _without(self, waiting: list[Expected], came: str) -> list[Expected]:
        """Return what is still to come after this line; a line marked `>` waits for those before it."""
        for index, each in enumerate(waiting):
            if each.is_after and index > 0:
                continue
            if self._take(each.text, came):
                return waiting[:index] + waiting[index + 1 :]
        return waiting

    def _take(self, text: str, came: str) -> bool:
        match = self._pattern(text).fullmatch(came)
        if match is None:
            return False
        self.captures.update(
            {name: value for name, value in match.groupdict().items() if not name.endswith("_")}
        )
        return True

    def _pattern(self, text: str) -> re.Pattern[str]:
        built = ""
        at = 0
        seen: set[str] = set()
        for token in _TOKEN.finditer(text):
            built += re.escape(text[at : token.start()])
            at = token.end()
            name = token[0][1:]
            if token[0] == "...":
                built += ".*"
            elif name in self.captures:
                built += re.escape(self.captures[name])
            elif name in seen:
                built += f"(?P={name})"
            else:
                seen.add(name)
                built += f"(?P<{name}>.*)" if name.endswith("_") else rf"(?P<{name}>[^\s()\[\]]+)"
        built += re.escape(text[at:])
        if _STATUS.match(text) or text.startswith("+"):
            built += r"(?:(?<=\+)|\b|(?<=\])).*" if text != "+" else ".*"
        return re.compile(built, re.DOTALL)

    def _report(self, problem: str, block: Block, waiting: list[Expected]) -> str:
        lines = [f"session {block.number}: {problem}"]
        lines += [f"  missing: {each.text}" for each in waiting]
        lines += [f"  came: {each}" for each in self.came]
        return "\n".join(lines)


def _ends(text: str) -> bool:
    return text == CLOSED or not text.startswith("* ")


def _is_end(came: str) -> bool:
    return came == CLOSED or not came.startswith("* ")
