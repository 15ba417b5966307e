"""Checks that hold for every message, whatever it is."""

from mime.sexp import check_envelope, nodes, parse
from modseq.mime import parts as part_table
from modseq.mime.header import header_end
from modseq.mime.scan import Scanned, scan
from modseq.mime.section import SectionSpec, section, section_span

KINDS = ("", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME")


def check(message: bytes) -> Scanned:
    """Scan a message and check that everything said about it agrees with itself and with the octets."""
    scanned = scan(message)
    check_envelope(parse(scanned.envelope))
    told = nodes(parse(scanned.bodystructure))
    short = nodes(parse(scanned.body), extended=False)
    assert told == short
    assert scanned.header_length == header_end(message)
    _check_spans(message, scanned)
    for node in told[:200]:
        body = section(message, scanned.parts, SectionSpec(node.path))
        assert body is not None, node
        if node.octets is not None:
            assert len(body) == node.octets, node
        if node.lines is not None:
            assert body.count(b"\n") == node.lines, node
        _check_message_part(message, scanned, node, body)
    _check_root(message, scanned)
    return scanned


def _check_spans(message, scanned):
    rows = list(part_table.all_parts(scanned.parts))
    assert rows[0].header_at == 0
    assert rows[0].end == len(message)
    assert rows[0].rows == len(rows)
    for index, row in enumerate(rows):
        assert 0 <= row.header_at <= row.body_at <= row.end <= len(message)
        for child in rows[index + 1 : index + row.rows][:50]:
            assert row.body_at <= child.header_at
            assert child.end <= row.end


def _check_message_part(message, scanned, node, body):
    header = section(message, scanned.parts, SectionSpec(node.path, "HEADER"))
    text = section(message, scanned.parts, SectionSpec(node.path, "TEXT"))
    if node.type == "message/rfc822":
        assert header + text == body
        assert section(message, scanned.parts, SectionSpec(node.path, "HEADER.FIELDS", (b"to",))) is not None
    else:
        assert header is None
        assert text is None
    mime = section(message, scanned.parts, SectionSpec(node.path, "MIME"))
    assert mime is not None
    for kind in KINDS:
        span = section_span(scanned.parts, SectionSpec(node.path, kind))
        if span is not None:
            assert 0 <= span[0] <= span[0] + span[1] <= len(message)


def _check_root(message, scanned):
    parts = scanned.parts
    assert section(message, parts, SectionSpec()) == message
    header = section(message, parts, SectionSpec(kind="HEADER"))
    text = section(message, parts, SectionSpec(kind="TEXT"))
    assert header + text == message
    assert len(header) == scanned.header_length
    assert section(message, parts, SectionSpec(kind="MIME")) is None
    assert section(message, parts, SectionSpec((1,))) is not None
    assert section(message, parts, SectionSpec((0,))) is None
    assert section(message, parts, SectionSpec((99_999,))) is None


def told(message, scanned):
    """Path, type and octets as BODYSTRUCTURE and BODY[n] give them, octets only of leaves."""
    out = []
    for node in nodes(parse(scanned.bodystructure)):
        holds_parts = node.type == "message/rfc822" or node.octets is None
        octets = None if holds_parts else section(message, scanned.parts, SectionSpec(node.path))
        out.append((node.path, node.type, octets))
    return out
