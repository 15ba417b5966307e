"""Messages made to hurt: bounds hold, work stays linear, nothing raises."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mime.agree import check
from mime.build import TREES, crlf, written
from mime.sexp import nodes, parse
from modseq import limits
from modseq.mime.scan import scan
from modseq.mime.structure import MediaType, media_type, parameter
from modseq.mime.text import all_text


def nested_multiparts(depth):
    opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return crlf(opened + "\ninnermost\n")


def nested_messages(depth):
    return crlf("Content-Type: message/rfc822\n\n" * depth + "Subject: innermost\n\nx\n")


def depth_of(structure):
    deepest, open_now, quoted = 0, 0, False
    for octet in structure:
        if octet == ord('"'):
            quoted = not quoted
        elif not quoted:
            open_now += (octet == ord("(")) - (octet == ord(")"))
            deepest = max(deepest, open_now)
    return deepest


@pytest.mark.parametrize("make", [nested_multiparts, nested_messages])
def test_a_thousand_levels_are_cut_at_the_greatest_depth(make):
    message = make(1000)
    scanned = check(message)
    assert limits.MIME_DEPTH_MAX <= depth_of(scanned.bodystructure) <= limits.MIME_DEPTH_MAX + 5
    assert b'"application" "octet-stream"' in scanned.bodystructure
    all_text(message, scanned.parts)


def test_depth_up_to_the_bound_is_told():
    scanned = check(nested_multiparts(limits.MIME_DEPTH_MAX - 1))
    assert b"octet-stream" not in scanned.bodystructure


@pytest.mark.parametrize("make", [nested_multiparts, nested_messages])
def test_a_thousand_levels_without_and_within_bounds_take_linear_work(make):
    message = make(500) + b"x\r\n" * 100_000
    check(message)


def test_a_hundred_thousand_parts_end_in_a_last_part_that_holds_the_rest():
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000 + b"--b--\r\n"
    )
    scanned = check(message)
    told = nodes(parse(scanned.body), extended=False)
    assert len(told) == limits.MIME_PARTS_MAX - 1
    assert told[-1].octets > 90_000


def test_lines_like_delimiters_are_examined_up_to_a_bound():
    count = limits.MIME_DELIMITERS_EXAMINED_MAX
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--bx\n" * (count + 10)
        + b"--b\r\n\r\nx\r\n--b--"
    )
    assert len(nodes(parse(check(message).bodystructure))) == 1
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\n" * 1000 + b"--b\r\n\r\nx\r\n--b--"
    )
    (part,) = nodes(parse(check(message).bodystructure))
    assert part.octets == 1


def test_a_header_is_read_up_to_a_bound():
    long = b"X: " + b"y" * limits.MIME_HEADER_BYTES_MAX + b"\r\n"
    scanned = check(b"Subject: seen\r\n" + long + b"To: a@x\r\n\r\nbody")
    assert scanned.envelope == b'(NIL "seen" NIL NIL NIL NIL NIL NIL NIL NIL)'
    assert scanned.header_length == len(long) + len(b"Subject: seen\r\nTo: a@x\r\n\r\n")


def test_a_huge_field_and_all_headers_together_are_bounded():
    big = b"From: " + b"a@b," * 60_000 + b"\r\n"
    message = (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + (b"--b\r\n\r\n" + big + b"\r\nx\r\n") * 20
    )
    scanned = scan(message)
    assert len(scanned.bodystructure) < 15 * limits.MIME_HEADERS_BYTES_MAX


@pytest.mark.parametrize(
    "unit", ["(", "(\\", '"', '"\\', "<", "<a@", "a:", ";", "@", ",", "[", "a@b (", ")(", "\\", ": ;"]
)
def test_addresses_of_one_repeated_token(unit):
    check(crlf(f"From: {unit * 20_000}\n\n"))


@pytest.mark.parametrize("unit", [";", ";a", ";a=", ';a="', ";a=(", ";a*0=", '\\";', " ", ";a=b", "\t("])
def test_media_types_of_one_repeated_token(unit):
    check(
        crlf(f"Content-Type: multipart/mixed{unit * 20_000}\nContent-Disposition: a{unit * 20_000}\n\n--x\n")
    )


def test_parameters_are_bounded():
    value = b"a/b" + b";c=d" * 1000
    assert len(media_type(value).parameters) == limits.MIME_PARAMETERS_MAX


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        ([(b"Boundary", b"x")], b"x"),
        ([(b"boundary*", b"us-ascii'en'a%20b")], b"a b"),
        ([(b"boundary*1", b"b"), (b"boundary*0", b"a")], b"ab"),
        ([(b"boundary*0*", b"''%41"), (b"boundary*1", b"%41"), (b"boundary*2*", b"%4")], b"A%41%4"),
        ([(b"boundary*x", b"a")], b"a"),
        ([(b"boundary*99999999999", b"a")], b"a"),
        ([(b"name", b"x")], None),
    ],
)
def test_parameters_of_rfc_2231(parameters, value):
    assert parameter(parameters, b"boundary") == value


def test_a_media_type_that_cannot_be_read_is_none():
    assert media_type(b" text ") is None
    assert media_type(None) is None
    assert media_type(b" a/b") == MediaType(b"a", b"b", [])


WEIRD = {
    "empty": b"",
    "one newline": b"\n",
    "one line end": b"\r\n",
    "bare cr": b"\r",
    "many bare cr": b"Subject: a\rTo: b\r\rbody",
    "only a colon": b":",
    "nul": b"\0" * 100,
    "nul in header": b'Sub\0ject: a\0b\r\nTo: \0"\0" <a\0@\0b>\r\nContent-Type: te\0xt/plain; a=\0\r\n\r\n\0',
    "8-bit header": b'Subject: \xff\xfe\r\nFrom: "\xe9" <\xe9@\xe9>\r\n\xe9: x\r\nContent-Type: \xe9/\xe9\r\n\r\n',
    "header only": b"Subject: a",
    "no header": b"\r\nbody",
    "delimiter in header": b"Content-Type: multipart/mixed; boundary=a:b\r\n\r\n--a:b\r\n--a:b\r\nX: y\r\n--a:b--",
    "delimiter without line end": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a",
    "empty boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    "boundary of spaces": b'Content-Type: multipart/mixed; boundary="  "\r\n\r\n--\r\n\r\nx\r\n----\r\n',
    "boundary ends in dashes": b'Content-Type: multipart/mixed; boundary="a--"\r\n\r\n--a--\r\n\r\nx\r\n--a----\r\n',
    "boundary with line end": b'Content-Type: multipart/mixed; boundary="a\\\r\n b"\r\n\r\n--a b\r\n\r\nx\r\n--a b--',
    "message without content": b"Content-Type: message/rfc822",
    "message of one newline": b"Content-Type: message/rfc822\r\n\r\n\n",
    "digest that ends": b"Content-Type: multipart/digest; boundary=a\n\n--a\n\n--a",
    "huge line": b"x" * 1_000_000,
    "huge name": b"x" * 1_000_000 + b": y",
    "folds only": b" \r\n" * 100_000,
    "blank field values": b"From:\r\n \r\n \r\nTo: \r\n\t\r\n\r\n",
}


@pytest.mark.parametrize("name", WEIRD)
def test_weird_messages_are_consistent(name):
    message = WEIRD[name]
    scanned = check(message)
    all_text(message, scanned.parts)


@given(st.binary(max_size=300))
def test_any_octets(message):
    scanned = check(message)
    all_text(message, scanned.parts)


_PIECES = st.sampled_from(
    [
        *(
            b"Content-Type: ",
            b"multipart/mixed; boundary=",
            b"message/rfc822",
            b"text/plain",
            b'"',
            b"a",
            b"ab",
            b":",
            b";",
        ),
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\n\r\n",
            b"\n\n",
            b"--a",
            b"--ab",
            b"--a--",
            b"\r\n--a\r\n",
            b"\n--ab\n",
            b"--",
            b" ",
        ),
        *(
            b"From: ",
            b"To: ",
            b"<",
            b">",
            b"@",
            b"(",
            b")",
            b"\\",
            b",",
            b"\0",
            b"\xff",
            b"=?utf-8?Q?=FF?=",
            b"[",
            b"x*0*=",
        ),
        b"Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
    ]
)


@given(st.lists(_PIECES, max_size=60).map(b"".join))
def test_any_pieces_of_mail(message):
    scanned = check(message)
    all_text(message, scanned.parts)


@given(TREES, st.integers(0, 2**32), st.integers(1, 8))
def test_damaged_messages(tree, seed, count):
    damage = random.Random(seed)
    message = bytearray(written(tree))
    for _ in range(count):
        at = damage.randrange(len(message) + 1)
        message[at : at + damage.randrange(4)] = bytes(
            damage.choices(b'\r\n\0-\xff":;()<>@= \tab', k=damage.randrange(4))
        )
    scanned = check(bytes(message))
    all_text(bytes(message), scanned.parts)


_ADDRESS_PIECES = st.sampled_from(
    [b"a", b"B c", b'"d, e"', b"<", b">", b"@", b"x.y", b",", b" ", b"(c)", b":", b";", b"\\", b"\t"]
)


@given(st.lists(_ADDRESS_PIECES, max_size=20).map(b"".join))
def test_the_short_way_for_addresses_agrees_with_the_long_one(value):
    from modseq.mime.address import parse_addresses
    from modseq.mime.envelope import address_list

    short = parse(address_list(value)) or []
    assert short == [list(address) for address in parse_addresses(value)]


def test_scanning_is_the_same_twice():
    message = nested_multiparts(5)
    assert scan(message) == scan(bytes(message))
