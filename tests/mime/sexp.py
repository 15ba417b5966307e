"""A strict reader of IMAP's parenthesised lists, and the part tree of a BODYSTRUCTURE, for the tests."""

from typing import NamedTuple


def parse(data: bytes):
    """The one value in `data`: list, bytes, int or None (NIL); AssertionError where the grammar is broken."""
    value, end = _value(data, 0)
    assert end == len(data), data[end : end + 40]
    return value


def _value(data, at):
    head = data[at : at + 1]
    if head == b"(":
        return _list(data, at)
    if head == b'"':
        return _quoted(data, at)
    if head == b"{":
        close = data.index(b"}\r\n", at)
        size = int(data[at + 1 : close])
        start = close + 3
        value = data[start : start + size]
        assert len(value) == size
        assert b"\0" not in value
        return value, start + size
    if data[at : at + 3] == b"NIL":
        return None, at + 3
    end = at
    while data[end : end + 1].isdigit():
        end += 1
    assert end > at, data[at : at + 40]
    return int(data[at:end]), end


def _list(data, at):
    # Without recursion: the depth of nesting is what some tests are about.
    stack = [[]]
    at += 1
    while True:
        assert at < len(data), "unbalanced"
        head = data[at : at + 1]
        if head == b"(":
            stack.append([])
            at += 1
            continue
        if head == b")":
            done = stack.pop()
            at += 1
            assert done, "empty list"
            if not stack:
                return done, at
            stack[-1].append(done)
        else:
            value, at = _value(data, at)
            stack[-1].append(value)
        following = data[at : at + 1]
        assert following in (b" ", b")", b"("), data[at : at + 40]
        if following == b"(":
            assert isinstance(stack[-1][-1], list), "only bodies and addresses follow without space"
        if following == b" ":
            at += 1
            assert data[at : at + 1] not in (b" ", b")", b"")


def _quoted(data, at):
    out = bytearray()
    at += 1
    while True:
        octet = data[at]
        assert octet not in b"\r\n\0", "not for a quoted string"
        assert octet < 128, "not for a quoted string"
        if octet == ord('"'):
            return bytes(out), at + 1
        if octet == ord("\\"):
            at += 1
            octet = data[at]
            assert octet in b'"\\'
        out.append(octet)
        at += 1


class Node(NamedTuple):
    """One numbered part as a client sees it."""

    path: tuple[int, ...]
    type: str
    octets: int | None
    lines: int | None


def nodes(structure, *, extended=True):
    """The numbered parts of a parsed BODYSTRUCTURE (or with `extended` False, BODY), checked for its grammar."""
    out = []
    pending = [(structure, (), True)]  # value, path, whether it is the content of a message
    while pending:
        value, path, is_content = pending.pop()
        if isinstance(value[0], list):
            children = [child for child in value if isinstance(child, list)][: _bodies(value)]
            rest = value[len(children) :]
            assert isinstance(rest[0], bytes)
            assert len(rest) == (5 if extended else 1)
            if extended:
                check_parameters(rest[1])
                check_placing(rest[2:])
            if path and not is_content:
                out.append(Node(path, "multipart/" + rest[0].decode("latin-1").lower(), None, None))
            for number, child in enumerate(children, 1):
                pending.append((child, (*path, number), False))
            continue
        here = (*path, 1) if is_content else path
        main, sub = value[0].decode("latin-1").lower(), value[1].decode("latin-1").lower()
        check_parameters(value[2])
        assert all(item is None or isinstance(item, bytes) for item in value[3:5])
        assert isinstance(value[5], bytes)
        octets, rest, lines = value[6], value[7:], None
        assert isinstance(octets, int)
        if main == "text":
            lines, rest = rest[0], rest[1:]
        elif (main, sub) == ("message", "rfc822"):
            check_envelope(rest[0])
            pending.append((rest[1], here, True))
            lines, rest = rest[2], rest[3:]
        assert lines is None or isinstance(lines, int)
        assert len(rest) == (4 if extended else 0), rest
        if extended:
            assert rest[0] is None or isinstance(rest[0], bytes)
            check_placing(rest[1:])
        out.append(Node(here, f"{main}/{sub}", octets, lines))
    return sorted(out)


def _bodies(value):
    """How many leading elements of a multipart are bodies."""
    return next(index for index, item in enumerate(value) if not isinstance(item, list))


def check_parameters(value):
    assert value is None or (len(value) % 2 == 0 and all(isinstance(item, bytes) for item in value))


def check_placing(value):
    disposition, language, location = value
    if disposition is not None:
        kind, parameters = disposition
        assert isinstance(kind, bytes)
        check_parameters(parameters)
    assert language is None or isinstance(language, bytes) or all(isinstance(tag, bytes) for tag in language)
    assert location is None or isinstance(location, bytes)


def check_envelope(value):
    assert len(value) == 10
    for index, member in enumerate(value):
        if index in (0, 1, 8, 9):
            assert member is None or isinstance(member, bytes)
        elif member is not None:
            for address in member:
                assert len(address) == 4
                assert all(item is None or isinstance(item, bytes) for item in address)
                if address[3] is None:
                    assert address[:2] == [None, None]
