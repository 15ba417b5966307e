"""RFC 3501 section 6.4.5, BODY[<section>]: the RFC's example message, and what is NIL."""

import pytest

from mime.agree import check
from mime.build import crlf
from modseq.mime.scan import scan
from modseq.mime.section import SectionSpec, header_subset, section, section_span

# The "complex message with some of its part specifiers" of the RFC.
COMPLEX = crlf(
    "Subject: outer\nContent-Type: multipart/mixed; boundary=A\n\n"
    "--A\nContent-Type: text/plain\n\none\n"
    "--A\nContent-Type: application/octet-stream\n\ntwo\n"
    "--A\nContent-Type: message/rfc822\n\n"
    "Subject: three\nContent-Type: multipart/mixed; boundary=B\n\n"
    "--B\n\nthree one\n--B\nContent-Type: application/octet-stream\n\nthree two\n--B--\n"
    "--A\nContent-Type: multipart/mixed; boundary=C\n\n"
    "--C\nContent-Type: image/gif\nContent-ID: <four.one>\n\nfour one\n"
    "--C\nContent-Type: message/rfc822\n\n"
    "Subject: four two\nContent-Type: multipart/mixed; boundary=D\n\n"
    "--D\nContent-Type: text/plain\n\nfour two one\n"
    "--D\nContent-Type: multipart/alternative; boundary=E\n\n"
    "--E\nContent-Type: text/plain\n\nfour two two one\n"
    "--E\nContent-Type: text/richtext\n\nfour two two two\n--E--\n--D--\n--C--\n--A--\n"
)
PARTS = check(COMPLEX).parts


def body(spec):
    """The section named as a client names it."""
    path, kind = [], ""
    for number, item in enumerate(items := spec.split(".")):
        if not item.isdigit():
            kind = ".".join(items[number:])
            break
        path.append(int(item))
    return section(COMPLEX, PARTS, SectionSpec(tuple(path), kind))


EXAMPLE = [
    ("HEADER", "Subject: outer\nContent-Type: multipart/mixed; boundary=A\n\n"),
    ("1", "one"),
    ("2", "two"),
    ("3.HEADER", "Subject: three\nContent-Type: multipart/mixed; boundary=B\n\n"),
    (
        "3.TEXT",
        "--B\n\nthree one\n--B\nContent-Type: application/octet-stream\n\nthree two\n--B--",
    ),
    ("3.1", "three one"),
    ("3.1.MIME", "\n"),
    ("3.2", "three two"),
    ("3.MIME", "Content-Type: message/rfc822\n\n"),
    ("4.MIME", "Content-Type: multipart/mixed; boundary=C\n\n"),
    ("4.1", "four one"),
    ("4.1.MIME", "Content-Type: image/gif\nContent-ID: <four.one>\n\n"),
    ("4.2.HEADER", "Subject: four two\nContent-Type: multipart/mixed; boundary=D\n\n"),
    ("4.2.1", "four two one"),
    ("4.2.2.1", "four two two one"),
    ("4.2.2.2", "four two two two"),
    ("4.2.2.MIME", "Content-Type: multipart/alternative; boundary=E\n\n"),
]


@pytest.mark.parametrize(("spec", "expected"), EXAMPLE)
def test_the_example_of_the_rfc(spec, expected):
    assert body(spec) == crlf(expected)


def test_text_follows_the_header_and_the_message_is_both():
    assert body("HEADER") + body("TEXT") == COMPLEX
    assert body("3.HEADER") + body("3.TEXT") == body("3")
    assert body("4.2.HEADER") + body("4.2.TEXT") == body("4.2")
    assert section(COMPLEX, PARTS, SectionSpec()) == COMPLEX


@pytest.mark.parametrize(
    "spec",
    [
        "5",
        "1.1",
        "0",
        "3.3",
        "3.1.1",
        "4.3",
        "4.2.2.3",
        "1.HEADER",
        "1.TEXT",
        "2.HEADER",
        "4.HEADER",
        "4.TEXT",
        "MIME",
    ],
)
def test_what_is_not_there_is_nil(spec):
    assert body(spec) is None


def test_part_one_of_a_message_that_is_no_multipart():
    message = b"Subject: x\r\n\r\nbody\r\n"
    parts = scan(message).parts
    assert section(message, parts, SectionSpec((1,))) == b"body\r\n"
    assert section(message, parts, SectionSpec((1,), "MIME")) == b"Subject: x\r\n\r\n"
    for path in ((2,), (1, 1)):
        assert section(message, parts, SectionSpec(path)) is None
    assert section(message, parts, SectionSpec((1,), "HEADER")) is None


def test_a_message_whose_content_is_a_message():
    message = crlf("Content-Type: message/rfc822\n\nSubject: x\n\nbody\n")
    parts = scan(message).parts
    assert section(message, parts, SectionSpec((1,))) == crlf("Subject: x\n\nbody\n")
    assert section(message, parts, SectionSpec((1,), "HEADER")) == crlf("Subject: x\n\n")
    assert section(message, parts, SectionSpec((1,), "TEXT")) == crlf("body\n")
    assert section(message, parts, SectionSpec((1, 1))) == crlf("body\n")
    assert section(message, parts, SectionSpec((1, 2))) is None


HEADER = crlf("Subject: a\n b\nFROM: x@y\nReceived: 1\njunk line\nreceived: 2\nTo : z\n\n")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([b"subject"], "Subject: a\n b\n\n"),
        ([b"To", b"from"], "FROM: x@y\nTo : z\n\n"),
        ([b"RECEIVED"], "Received: 1\nreceived: 2\n\n"),
        ([b"Subj"], "\n"),
        ([b""], "\n"),
    ],
)
def test_header_fields_in_their_order_with_a_blank_line(names, expected):
    assert header_subset(HEADER, names, exclude=False) == crlf(expected)


def test_header_fields_not_keeps_the_rest():
    got = header_subset(HEADER, [b"subject", b"RECEIVED"], exclude=True)
    assert got == crlf("FROM: x@y\njunk line\nTo : z\n\n")
    assert header_subset(HEADER, [], exclude=True) == HEADER


def test_header_fields_of_a_message_part():
    spec = SectionSpec((3,), "HEADER.FIELDS", (b"SUBJECT",))
    assert section(COMPLEX, PARTS, spec) == b"Subject: three\r\n\r\n"
    assert section(COMPLEX, PARTS, SectionSpec((1,), "HEADER.FIELDS", (b"SUBJECT",))) is None


def test_a_header_without_end_is_ended():
    assert header_subset(b"Subject: a", [b"subject"], exclude=False) == b"Subject: a\r\n\r\n"


def test_spans_name_the_same_octets():
    for spec in (
        SectionSpec(),
        SectionSpec(kind="TEXT"),
        SectionSpec((4, 2), "HEADER"),
        SectionSpec((4, 1), "MIME"),
    ):
        offset, length = section_span(PARTS, spec)
        assert COMPLEX[offset : offset + length] == section(COMPLEX, PARTS, spec)
    assert section_span(PARTS, SectionSpec(kind="HEADER.FIELDS", fields=(b"to",))) is None
