"""
A mirror against a real server, with everything that may go wrong in between.

    with Proxy(server.address) as proxy:              records what the client says, line by line
        proxy.commands, proxy.round_trips
        proxy.tamper = lambda line: [line]            changes what the server says: none, one or more lines
        proxy.cut_after = 1234                        octets in both directions, then both sides are closed
        proxy.swallow = re.compile(rb"^m7 OK")        a line of the server that is lost with the connection

    other = Other(address)                            somebody else who changes the account
    account(address)                                  what a full fetch says
    mirrored(replica)                                 the same of a mirror

Written apart from modseq.client, so that it can judge the mirror.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

from modseq.client import connect
from modseq.mirror.replica import Replica
from modseq.mirror.sync import Report, synchronise

USER, PASSWORD = "alice", "secret"
Address = tuple[str, int]


class Proxy:
    """Stands between a client and a server on the loopback."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stopping = False
        self._drop = False
        self.said: list[bytes] = []
        self.round_trips = 0
        self.tampered = 0
        self.tamper: Callable[[bytes], list[bytes]] | None = None
        self.cut_after: int | None = None
        self.swallow: re.Pattern[bytes] | None = None

    @property
    def commands(self) -> list[str]:
        """Command names with their UID, without tags: `SELECT`, `UID FETCH`."""
        found = []
        for line in self.said:
            words = line.decode("utf-8", "replace").split()
            if len(words) > 1 and re.fullmatch(r"[A-Za-z]{1,4}\d+", words[0]):
                name = words[1].upper()
                found.append(f"UID {words[2].upper()}" if name == "UID" else name)
        return found

    def drop(self) -> None:
        """Close the connection that is open now."""
        self._drop = True

    def forget(self) -> None:
        self.said.clear()
        self.round_trips = 0
        self.tampered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, 1).close()
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._stopping:
                client.close()
                return
            try:
                with client, socket.create_connection(self._target, 10) as server:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._relay(client, server)
            except OSError:
                continue

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Pass octets on until one side ends or the cut is due: one connection at a time."""
        heard, spoken = bytearray(), bytearray()
        passed = 0
        is_servers_turn = True
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while not self._stopping:
                if self._drop:
                    self._drop = False
                    return
                for key, _ in selector.select(0.1):
                    octets = key.fileobj.recv(65536)
                    if not octets:
                        return
                    if self.cut_after is not None:
                        octets = octets[: max(0, self.cut_after - passed)]
                    passed += len(octets)
                    if key.fileobj is client:
                        if is_servers_turn:
                            self.round_trips += 1
                        is_servers_turn = False
                        self._note(heard, octets)
                        server.sendall(octets)
                    else:
                        is_servers_turn = True
                        if self.swallow is not None and (found := self._swallowed(octets)) is not None:
                            client.sendall(octets[:found])
                            return
                        client.sendall(self._changed(spoken, octets))
                    if self.cut_after is not None and passed >= self.cut_after:
                        return

    def _note(self, buffer: bytearray, octets: bytes) -> None:
        buffer += octets
        while (end := buffer.find(b"\r\n")) >= 0:
            self.said.append(bytes(buffer[:end]))
            del buffer[: end + 2]

    def _swallowed(self, octets: bytes) -> int | None:
        """Return where the line begins with which the connection is lost."""
        assert self.swallow is not None
        start = 0
        for line in octets.split(b"\r\n"):
            if self.swallow.search(line):
                return start
            start += len(line) + 2
        return None

    def _changed(self, buffer: bytearray, octets: bytes) -> bytes:
        tamper = self.tamper
        if tamper is None:
            octets = bytes(buffer) + octets
            buffer.clear()
            return octets
        buffer += octets
        out = bytearray()
        while (end := buffer.find(b"\r\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            lines = tamper(line)
            self.tampered += lines != [line]
            out += b"".join(each + b"\r\n" for each in lines)
        return bytes(out)


class Other:
    """Somebody else who changes the account."""

    def __init__(self, address: Address, user: str = USER, password: str = PASSWORD) -> None:
        self.imap = imaplib.IMAP4(*address)
        # A literal goes out in two pieces, and the second would wait for the kernel's ACK of the first.
        self.imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.imap.login(user, password)
        self._selected: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self.imap.logout()

    def do(self, name: str, *arguments: str) -> list[bytes]:
        kind, data = getattr(self.imap, name)(*arguments)
        assert kind == "OK", (name, arguments, data)
        return data

    def append(self, mailbox: str, octets: bytes, flags: str = "") -> None:
        kind, data = self.imap.append(f'"{mailbox}"', f"({flags})", '"02-Nov-2026 10:00:00 +0100"', octets)
        assert kind == "OK", data

    def uid(self, mailbox: str, *words: str) -> list[bytes]:
        if self._selected != mailbox:
            self.do("select", f'"{mailbox}"')
            self._selected = mailbox
        return self.do("uid", *words)

    def store(self, mailbox: str, uids: str, change: str) -> None:
        self.uid(mailbox, "STORE", uids, *change.split(" ", 1))

    def expunge(self, mailbox: str, uids: str) -> None:
        self.store(mailbox, uids, "+FLAGS.SILENT (\\Deleted)")
        self.uid(mailbox, "EXPUNGE", uids)

    def uids(self, mailbox: str) -> list[int]:
        return [int(each) for each in self.uid(mailbox, "SEARCH", "ALL")[0].split()]


_LIST = re.compile(rb'\((?P<attributes>[^)]*)\) (?:"[^"]*"|NIL) (?P<name>"(?:[^"\\]|\\.)*"|\S+)')
_FETCH = re.compile(rb"\d+ \(UID (\d+) FLAGS \(([^)]*)\)(?: MODSEQ \((\d+)\))? RFC822.SIZE (\d+)\)")


def account(
    address: Address, user: str = USER, password: str = PASSWORD
) -> dict[str, dict[int, tuple[str, int]]]:
    """Return by mailbox and UID the flags and size of every message, by a full fetch."""
    found: dict[str, dict[int, tuple[str, int]]] = {}
    with imaplib.IMAP4(*address) as imap:
        imap.login(user, password)
        for line in imap.list()[1]:
            match = _LIST.match(line)
            if match and b"\\noselect" not in match["attributes"].lower():
                name = match["name"].strip(b'"').decode()
                assert imap.select(f'"{name}"', readonly=True)[0] == "OK"
                _, lines = imap.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE)")
                found[name] = {}
                for each in lines:
                    if each is not None:
                        uid, flags, _, size = _FETCH.fullmatch(each).groups()
                        found[name][int(uid)] = (_flags(flags.decode()), int(size))
    return found


def _flags(text: str) -> str:
    return " ".join(sorted(flag for flag in text.split() if flag != "\\Recent"))


def mirrored(replica: Replica) -> dict[str, dict[int, tuple[str, int]]]:
    """Return the same of a mirror."""
    return {
        row.name: {each.uid: (each.flags, each.size) for each in replica.messages(row.mailbox_id)}
        for row in replica.mailboxes()
    }


def url(address: Address) -> str:
    return f"imap+insecure://{address[0]}:{address[1]}/"


async def sync(replica: Replica, address: Address, **options: object) -> Report:
    """Connect, bring the mirror up to date, and leave."""
    user = options.pop("user", USER)
    password = options.pop("password", PASSWORD)
    async with await connect(url(address), user=user, password=password) as client:
        return await synchronise(replica, client, **options)


@contextlib.contextmanager
def proxied(address: Address) -> Iterator[Proxy]:
    with Proxy(address) as proxy:
        yield proxy


# --- servers that can less, made of one that can more ----------------------------------------------

Tamper = Callable[[bytes], list[bytes]]


def without(*capabilities: str) -> Tamper:
    """Hide capabilities wherever the server tells them."""
    names = {name.encode() for name in capabilities}

    def change(line: bytes) -> list[bytes]:
        if b"CAPABILITY " not in line:
            return [line]
        return [b" ".join(word for word in line.split(b" ") if word.rstrip(b"]") not in names)]

    return change


def replaced(pattern: bytes, by: bytes) -> Tamper:
    """Change what matches in every line."""
    compiled = re.compile(pattern)
    return lambda line: [compiled.sub(by, line)]


def dropped(pattern: bytes) -> Tamper:
    """Drop lines that match."""
    compiled = re.compile(pattern)
    return lambda line: [] if compiled.search(line) else [line]


def both(*tampers: Tamper) -> Tamper:
    def change(line: bytes) -> list[bytes]:
        lines = [line]
        for tamper in tampers:
            lines = [changed for each in lines for changed in tamper(each)]
        return lines

    return change


NO_CONDSTORE = both(
    without("CONDSTORE", "QRESYNC"),
    dropped(rb"^\* (OK \[HIGHESTMODSEQ|ENABLED)"),
    replaced(rb" MODSEQ \(\d+\)| HIGHESTMODSEQ \d+", b""),
)
"""A server of the nineties."""

NO_QRESYNC = both(without("QRESYNC"), replaced(rb"^(\* ENABLED.*) QRESYNC", rb"\1"))
