"""RFC 3501 section 7.4.2, BODY and BODYSTRUCTURE: fields in their order, defaults, extension data."""

import pytest

from mime.agree import check
from mime.build import crlf
from mime.sexp import parse
from modseq.mime.scan import scan

ATTACHMENT = (
    'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"\n'
    "Content-ID: <960723163407.20117h@cac.washington.edu>\n"
    "Content-Description: Compiler diff\n"
    "Content-Transfer-Encoding: BASE64\n"
)


def structure(text):
    scanned = check(crlf(text))
    return parse(scanned.bodystructure)


def test_a_simple_text_message_as_in_the_rfc():
    body = (b"x" * 45 + b"\r\n") * 47 + b"y" * 68 + b"\r\n"
    message = b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n" + body
    assert scan(message).body == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)'


def test_a_text_with_an_attachment_as_in_the_rfc():
    first = b"x" * 1104 + b"\r\n" * 23 + b"yy"
    second = b"x" * 4408 + b"\r\n" * 73
    message = (
        b"Content-Type: multipart/MIXED; boundary=b\r\n\r\n--b\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
        + first
        + b"\r\n--b\r\n"
        + crlf(ATTACHMENT)
        + b"\r\n"
        + second
        + b"\r\n--b--\r\n"
    )
    assert scan(message).body == (
        b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
        b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") '
        b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")'
    )


def test_extension_data_of_a_leaf():
    got = structure(
        "Content-Type: image/gif\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n"
        'Content-Disposition: attachment; filename="a b.gif"; size=3\n'
        "Content-Language: de, en-GB\nContent-Location: http://example.org/a.gif\n\nGIF"
    )
    assert got == [
        *[b"image", b"gif", None, None, None, b"7BIT", 3, b"Q2hlY2sgSW50ZWdyaXR5IQ=="],
        [b"attachment", [b"filename", b"a b.gif", b"size", b"3"]],
        [b"de", b"en-GB"],
        b"http://example.org/a.gif",
    ]


def test_extension_data_of_a_multipart():
    got = structure(
        "Content-Type: multipart/mixed; boundary=b\nContent-Disposition: inline\nContent-Language: de\n"
        "Content-Location: x\n\n--b\n\n--b--\n"
    )
    assert got[1:] == [b"mixed", [b"boundary", b"b"], [b"inline", None], b"de", b"x"]


def test_body_has_no_extension_data():
    message = b"Content-Type: multipart/mixed; boundary=b\r\nContent-MD5: x\r\n\r\n--b\r\n\r\n--b--\r\n"
    assert scan(message).body == b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) "mixed")'


def test_an_encapsulated_message_has_envelope_structure_and_lines():
    got = structure(
        "Content-Type: message/rfc822\n\nSubject: inner\nFrom: a@x\nContent-Type: text/html\n\n<p>\n</p>\n"
    )
    assert got[:7] == [b"message", b"rfc822", None, None, None, b"7BIT", 65]
    assert got[7][1] == b"inner"
    assert got[8] == [b"text", b"html", None, None, None, b"7BIT", 11, 2, None, None, None, None]
    assert got[9] == 6


def test_lines_of_messages_within_messages():
    text = "x\n"
    for _ in range(5):
        text = f"Content-Type: message/rfc822\n\n{text}"
    got = structure(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + text + "\n--b\n" + text + "\n--b--\n"
    )
    for entity in got[:2]:
        lines = []
        while entity[1] == b"rfc822":
            lines.append(entity[9])
            entity = entity[8]  # noqa: PLW2901
        assert lines == [9, 7, 5, 3, 1]


DEFAULTS = [
    ("", [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    ("Content-Type: text/plain\n", [b"text", b"plain", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    ("Content-Type: text/html\n", [b"text", b"html", None, None, None, b"7BIT"]),
    ("Content-Type: text\n", [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    ("Content-Type: /x\n", [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    ("Content-Type: a/b/c\n", [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    ("Content-Type: text/x;\n", [b"text", b"x", None, None, None, b"7BIT"]),
    ("Content-Type: text/x; a\n", [b"text", b"x", None, None, None, b"7BIT"]),
    ("Content-Type: text/x; a=\n", [b"text", b"x", [b"a", b""], None, None, b"7BIT"]),
    ('Content-Type: text/x; a=""; b=1\n', [b"text", b"x", [b"a", b"", b"b", b"1"], None, None, b"7BIT"]),
    (
        "Content-Type: text / x ; a = b c ;d=e\n",
        [b"text", b"x", [b"a", b"b c", b"d", b"e"], None, None, b"7BIT"],
    ),
    (
        "Content-Type: text/plain; charset=us-ascii (Plain text)\n",
        [b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7BIT"],
    ),
    ('Content-Type: text/x; a="b;c\\"d"\n', [b"text", b"x", [b"a", b'b;c"d'], None, None, b"7BIT"]),
    (
        'Content-Type: text/x; a="never closed\n',
        [b"text", b"x", [b"a", b"never closed"], None, None, b"7BIT"],
    ),
    (
        "Content-Type: text/x; name*0*=utf-8''a%20; name*1=b\n",
        [b"text", b"x", [b"name*0*", b"utf-8''a%20", b"name*1", b"b"], None, None, b"7BIT"],
    ),
    (
        "Content-Transfer-Encoding: Base64; x\n",
        [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"Base64"],
    ),
    ("Content-Transfer-Encoding:\n", [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"]),
    (
        "Content-ID:\nContent-Description: a\n b\n",
        [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], b"", b"a b", b"7BIT"],
    ),
]


@pytest.mark.parametrize(("header", "expected"), DEFAULTS)
def test_values_and_defaults(header, expected):
    assert structure(f"{header}Subject: x\n\nbody\n")[:6] == expected


def test_digest_parts_are_messages_by_default():
    got = structure("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\ntext\n--b--\n")
    assert got[0][:2] == [b"MESSAGE", b"RFC822"]
    assert got[0][7][1] == b"one"


@pytest.mark.parametrize("body", ["", "some text\n", "some text"])
def test_a_multipart_without_parts_has_one_that_holds_its_body(body):
    for header in ("Content-Type: multipart/mixed\n", "Content-Type: multipart/mixed; boundary=b\n"):
        got = structure(f"{header}\n{body}")
        lines = body.count("\n")
        assert got[0][:8] == [
            *[b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None, b"7BIT"],
            len(crlf(body)),
            lines,
        ]
        assert got[1] == b"mixed"


@pytest.mark.parametrize(
    "media", ["message/global", "message/partial", "message/delivery-status", "x/rfc822"]
)
def test_only_message_rfc822_is_opened(media):
    main, sub = media.encode().split(b"/")
    got = structure(f"Content-Type: {media}\n\nSubject: x\n\nbody\n")
    assert got == [main, sub, None, None, None, b"7BIT", 20, None, None, None, None]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uue"])
def test_an_encapsulated_message_that_is_encoded_is_opaque(encoding):
    got = structure(
        f"Content-Type: message/rfc822; a=b\nContent-Transfer-Encoding: {encoding}\n\nU3ViamVjdA==\n"
    )
    assert got[:7] == [b"APPLICATION", b"OCTET-STREAM", [b"a", b"b"], None, None, encoding.encode(), 14]


def test_8bit_parameters_are_literals():
    assert b'("name" {5}\r\ncaf\xc3\xa9)' in scan(b"Content-Type: text/x; name=caf\xc3\xa9\r\n\r\n").body


def test_text_without_a_header_is_all_body():
    scanned = check(b"Hello, world\r\n\r\nand all\r\n")
    assert scanned.header_length == 0
    assert parse(scanned.body)[6:] == [25, 3]
