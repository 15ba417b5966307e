"""
The one reading of a message, at delivery: ENVELOPE, BODY, BODYSTRUCTURE and the part table.

The message is read from left to right with a stack of open entities. Only lines that begin like the delimiter
of an open multipart are looked at; a delimiter closes everything inside its multipart, so that an outer
boundary ends inner parts whose own end is missing. The work grows with the length of the message and not with
the depth of nesting, and every bound is in `limits`.
"""

from dataclasses import dataclass

from modseq import limits
from modseq.mime import parts as part_table
from modseq.mime.date import sent_day
from modseq.mime.envelope import envelope
from modseq.mime.header import BLANK_LINE, begins_header, unfold
from modseq.mime.parts import MESSAGE, MULTIPART, TEXT, Row
from modseq.mime.structure import OPAQUE, PLAIN, Entity, entity, entity_of_header, known_fields

_CR = 13
_HAS_PARTS = frozenset({MULTIPART, MESSAGE})
_UNKNOWN_ROW: Row = (0, 0, 0, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class Scanned:
    """
    What the store keeps beside a message.

    RFC: 3501 section 7.4.2
    `envelope`, `body` and `bodystructure` are the values of the FETCH items of those names, ready to be sent;
    they may hold literals. `parts` is the part table for `section`. `sent_date` is the day of the Date field
    in days since 1970-01-01, without regard to time and zone; None if there is none. `header_length` counts
    octets, with the blank line.
    """

    envelope: bytes
    body: bytes
    bodystructure: bytes
    parts: bytes
    sent_date: int | None
    header_length: int


class _Open:
    """A multipart or an encapsulated message whose end is not yet known."""

    __slots__ = (
        "body_at",
        "delimiter",
        "entity",
        "envelope",
        "header_at",
        "lines",
        "lines_counted_to",
        "ready_at",
        "row",
    )

    def __init__(self, entity: Entity, header_at: int, body_at: int, row: int, ready_at: int) -> None:
        self.entity = entity
        self.header_at = header_at
        self.body_at = body_at
        self.row = row
        self.ready_at = ready_at  # index of the ready piece that waits for the size
        self.delimiter: bytes | None = None
        self.envelope = b""
        self.lines = 0  # of an encapsulated message, up to lines_counted_to
        self.lines_counted_to = body_at


class _Walk:
    """
    One reading of one message.

    `stack` holds the open multiparts and messages. A leaf can only be the innermost open entity, so it is
    not on the stack but in `leaf`, as entity, offset of its header and offset of its body.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.stack: list[_Open] = []
        self.leaf: tuple[Entity, int, int] | None = None
        self.delimiters: dict[bytes, int] = {}  # delimiter line without its end: depth of its multipart
        self.needle = b"\n--"
        self.rows: list[Row] = []
        self.body: list[bytes] = []
        self.structure: list[bytes] = []
        self.headers_left = limits.MIME_HEADERS_BYTES_MAX
        self.delimiters_left = limits.MIME_DELIMITERS_EXAMINED_MAX
        # The next blank line from the newline before it to its end, found once for all headers before it.
        self.blank_at, self.blank_end = -1, 0

    def read(self) -> None:
        """Open the root, follow the delimiters, close what is open at the end."""
        message = self.message
        length = len(message)
        self.header_length = body_at = self._header_end(0)
        self.fields = known_fields(self._visible_header(0, body_at))
        self.envelope = envelope(self.fields)
        position = self._open(entity(self.fields, in_digest=False), 0, body_at)
        while self.delimiters:
            found = self._next_delimiter(position, length)
            if found is None:
                break
            at, line_end, depth, is_last = found
            if len(self.rows) + 1 >= limits.MIME_PARTS_MAX:  # the part that is open has no row yet
                break
            self._close_above(depth, at)
            outer = self.stack[depth]
            if is_last:
                self._forget_delimiter(outer)
                position = line_end
            else:
                start = min(line_end + 1, length)
                body_at = self._header_end(start)
                if depth + 1 >= limits.MIME_DEPTH_MAX:
                    part = OPAQUE
                else:
                    header = self._visible_header(start, body_at)
                    part = entity_of_header(header, in_digest=outer.entity.is_digest)
                position = self._open(part, start, body_at)
        self._close_above(-1, length)

    def _next_delimiter(self, position: int, end: int) -> tuple[int, int, int, bool] | None:
        """
        The next delimiter line of an open multipart whose beginning lies in message[position:end].

        Returns: the offset of the line end before it, which belongs to it; the offset of the newline that ends
            it; the depth of its multipart; whether it is the last one.
        """
        message = self.message
        delimiters = self.delimiters
        while self.delimiters_left > 0:
            at = message.find(self.needle, position, end)
            if at < 0:
                return None
            self.delimiters_left -= 1
            line_end = message.find(b"\n", at + 1)
            if line_end < 0:
                line_end = len(message)
            line = message[at + 1 : line_end].rstrip()
            depth = delimiters.get(line)
            is_last = depth is None and line.endswith(b"--")
            if is_last:
                depth = delimiters.get(line[:-2])
            if depth is not None:
                return at - 1 if message[at - 1] == _CR else at, line_end, depth, is_last
            position = line_end
        return None

    def _open(self, opened: Entity, start: int, body_at: int) -> int:
        """Open an entity and the message it may carry; return where to look for delimiters."""
        while opened.kind in _HAS_PARTS:
            entry = _Open(opened, start, body_at, len(self.rows), len(self.body))
            self.stack.append(entry)
            self.rows.append(_UNKNOWN_ROW)
            self.body.append(b"(")
            self.structure.append(b"(")
            if opened.kind == MULTIPART:
                if opened.boundary:
                    self._remember_delimiter(entry, b"--" + opened.boundary)
                return body_at - 1 if body_at else 0
            start = body_at
            body_at = self._header_end(start)
            found = known_fields(self._visible_header(start, body_at))
            entry.envelope = envelope(found)
            is_deep = len(self.stack) >= limits.MIME_DEPTH_MAX
            opened = OPAQUE if is_deep else entity(found, in_digest=False)
        self.leaf = (opened, start, body_at)
        return body_at - 1 if body_at else 0

    def _header_end(self, start: int) -> int:
        """Where the body begins of the entity whose header begins at `start`."""
        message = self.message
        if not begins_header(message, start):
            return start
        newline = start - 1
        if start == 0:
            if message.startswith((b"\n", b"\r\n")):
                return message.index(b"\n") + 1
            newline = 0
        if self.blank_at < newline:
            blank = BLANK_LINE.search(message, newline)
            self.blank_at, self.blank_end = (len(message),) * 2 if blank is None else blank.span()
        if self.delimiters and message.find(self.needle, newline, self.blank_at) >= 0:
            cut = self._next_delimiter(newline, self.blank_at)
            if cut is not None:
                return max(cut[0], start)
        return self.blank_end

    def _visible_header(self, start: int, end: int) -> bytes:
        """As much of a header as may be read."""
        length = min(end - start, limits.MIME_HEADER_BYTES_MAX, self.headers_left)
        self.headers_left -= length
        return self.message[start : start + length]

    def _remember_delimiter(self, entry: _Open, delimiter: bytes) -> None:
        """Look for the delimiter of a multipart from now on; an outer one of the same text goes first."""
        if delimiter in self.delimiters:
            return
        entry.delimiter = delimiter
        self.delimiters[delimiter] = len(self.stack) - 1
        self._choose_needle()

    def _forget_delimiter(self, entry: _Open) -> None:
        """A multipart has ended; what follows up to the end of its body is its epilogue."""
        if entry.delimiter is not None:
            del self.delimiters[entry.delimiter]
            entry.delimiter = None
            self._choose_needle()

    def _choose_needle(self) -> None:
        """What all delimiters looked for begin with: the more there is of it, the fewer lines are looked at."""
        if not self.delimiters:
            return
        first, last = min(self.delimiters), max(self.delimiters)
        if first == last:
            self.needle = b"\n" + first
            return
        shared = 0
        while shared < len(first) and first[shared] == last[shared]:
            shared += 1
        self.needle = b"\n" + first[:shared]

    def _close_above(self, depth: int, end: int) -> None:
        """
        Close every entity deeper than `depth`; their bodies end at `end`.

        Where the blank line of a header is the line end that belongs to the delimiter, the body ends where it
        begins, and so does what is around it.
        """
        if self.leaf is not None:
            end = max(end, self.leaf[2])
            self._add_leaf(*self.leaf, end)
            self.leaf = None
        stack = self.stack
        while len(stack) > depth + 1:
            entry = stack.pop()
            self._forget_delimiter(entry)
            end = max(end, entry.body_at)
            self._close(entry, end)

    def _add_leaf(self, leaf: Entity, header_at: int, body_at: int, end: int) -> None:
        """Write an entity that has no parts."""
        if leaf.kind == TEXT:
            fields = b"%b%d %d" % (leaf.head, end - body_at, self.message.count(b"\n", body_at, end))
        else:
            fields = b"%b%d" % (leaf.head, end - body_at)
        self.rows.append((header_at, body_at, end, leaf.kind, leaf.encoding, 1))
        self.body.append(fields + b")")
        self.structure.append(b"%b%b)" % (fields, leaf.extension))

    def _close(self, entry: _Open, end: int) -> None:
        """
        Write what waited for the end of an entity with parts.

        A multipart in which no part was found gets one of type TEXT/PLAIN, which holds all of its body: the
        grammar demands a part, and this way clients show what there is.
        """
        opened = entry.entity
        body_at = entry.body_at
        if opened.kind == MULTIPART:
            if len(self.rows) == entry.row + 1:
                self._add_leaf(PLAIN, body_at, body_at, end)
            self.body.append(b" %b)" % opened.head)
            self.structure.append(b" %b%b)" % (opened.head, opened.extension))
        else:
            lines = entry.lines + self.message.count(b"\n", entry.lines_counted_to, end)
            fields = b"%b%d %b " % (opened.head, end - body_at, entry.envelope)
            self.body[entry.ready_at] = self.structure[entry.ready_at] = fields
            self.body.append(b" %d)" % lines)
            self.structure.append(b" %d%b)" % (lines, opened.extension))
            self._count_for_outer(body_at, lines, end)
        rows = len(self.rows) - entry.row
        self.rows[entry.row] = (entry.header_at, body_at, end, opened.kind, opened.encoding, rows)

    def _count_for_outer(self, body_at: int, lines: int, end: int) -> None:
        """Spare the message around an encapsulated one the counting of the same lines again."""
        for outer in reversed(self.stack):
            if outer.entity.kind == MESSAGE:
                outer.lines += self.message.count(b"\n", outer.lines_counted_to, body_at) + lines
                outer.lines_counted_to = end
                return


def scan(message: bytes) -> Scanned:
    """
    Read a message once and say everything that FETCH and SEARCH need to know of its shape.

    RFC: 3501 section 7.4.2, 6.4.5
    Args:
        message: the octets of the message, of less than 4 GiB; lines may end in CRLF or LF.
    """
    walk = _Walk(message)
    walk.read()
    date = walk.fields.get(b"date")
    return Scanned(
        envelope=walk.envelope,
        body=b"".join(walk.body),
        bodystructure=b"".join(walk.structure),
        parts=part_table.pack(walk.rows),
        sent_date=None if date is None else sent_day(unfold(date)),
        header_length=walk.header_length,
    )
