"""Ways to get octets through a response framer: whole and octet by octet."""

from modseq.wire.response import parse_response
from modseq.wire.response_framing import ResponseReader
from modseq.wire.response_values import Response


def read_whole(octets: bytes, reader: ResponseReader) -> list[tuple[bytes, ...]]:
    reader.feed(octets)
    return all_of(reader)


def read_by_octet(octets: bytes, reader: ResponseReader) -> list[tuple[bytes, ...]]:
    found = []
    for octet in octets:
        reader.feed(bytes((octet,)))
        found += all_of(reader)
    return found


def all_of(reader: ResponseReader) -> list[tuple[bytes, ...]]:
    found = []
    while (parts := reader.next()) is not None:
        found.append(parts)
    return found


READ_WAYS = {"whole": read_whole, "by octet": read_by_octet}


def response(octets: bytes, way: str = "whole", *, utf8: bool = False) -> Response:
    """Frame and parse one response given with its line end."""
    reader = ResponseReader()
    (parts,) = READ_WAYS[way](octets, reader)
    assert reader.framer.is_between_responses
    assert reader.framer.buffered_bytes == reader.framer.held_bytes == 0
    return parse_response(parts, utf8=utf8)
