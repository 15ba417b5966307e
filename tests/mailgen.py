"""
Generated mail for tests: varied, realistic, the same for the same seed.

    messages(1000, seed=7)            -> Iterator[Generated], octets with CR LF
    write_mbox(path, messages(...))   an mboxrd file with LF line ends
    write_maildir(path, messages(...))

Written apart from the server's own readers and writers, so that it can judge them.
"""

import base64
import calendar
import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PEOPLE = [
    ("Ada Lovelace", "ada@analytical.example"),
    ("Grace Hopper", "grace@cobol.example"),
    ("Jürgen Groß", "juergen@gross.example"),
    ("山田 太郎", "taro@yamada.example"),
    ("O'Brien, Pat", "pat.obrien@example.org"),
    ("", "cron@host7.example.net"),
    ('Quote "Q" Tester', "q+tag@example.com"),
    ("Łukasz Żółty", "lukasz@example.pl"),
]
SUBJECTS = [
    "Meeting on Thursday",
    "Re: Meeting on Thursday",
    "Fwd: Invoice 2024-118",
    "Größe der Tür, übrigens",
    "会議のお知らせ",
    "[list] Re: Re: patch for the parser",
    "",
    "A very long subject that goes on and on so that it must be folded somewhere before the line is over",
]
WORDS = [
    "the",
    "a",
    "of",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
    "they",
    "at",
    "be",
    "this",
    "from",
    "have",
    "or",
    "by",
    "one",
    "had",
    "not",
    "but",
    "what",
    "all",
    "were",
    "when",
    "we",
    "there",
    "can",
    "an",
    "your",
    "which",
    "their",
    "said",
    "if",
    "do",
    "will",
    "each",
    "about",
    "how",
    "up",
    "out",
    "them",
    "then",
]
KEYWORDS = ["$Forwarded", "$MDNSent", "NonJunk", "Work", "$Important", "todo"]
SYSTEM = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"]
FIRST_MOMENT = 1_650_000_000


@dataclass(frozen=True)
class Generated:
    """One message: its octets with CR LF, its flags, its internal date in seconds since 1970."""

    data: bytes
    flags: tuple[str, ...]
    received_at: int


def messages(count: int, seed: int = 1) -> Iterator[Generated]:
    """Yield `count` messages, each of its own kind and each different from all others."""
    chance = random.Random(seed)
    for number in range(count):
        moment = FIRST_MOMENT + number * 3_607 + chance.randrange(3_000)
        header, body = _message(chance, number, moment)
        flags = [flag for flag in SYSTEM if chance.random() < (0.7 if flag == "\\Seen" else 0.08)]
        flags += [keyword for keyword in KEYWORDS if chance.random() < 0.06]
        yield Generated(_crlf(header + "\n").encode() + body, tuple(flags), moment)


def _crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _word(text: str) -> str:
    if text.isascii():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def _person(chance: random.Random) -> str:
    name, address = chance.choice(PEOPLE)
    if not name:
        return address
    if not name.isascii():
        return f"{_word(name)} <{address}>"
    if re.search(r"[^\w ]", name):
        quoted = name.replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{name} <{address}>"


def _message(chance: random.Random, number: int, moment: int) -> tuple[str, bytes]:
    zone = chance.choice([0, 60, 120, -300, 330])
    sign = "+" if zone >= 0 else "-"
    local = time.strftime("%a, %d %b %Y %H:%M:%S", time.gmtime(moment + zone * 60))
    date = f"{local} {sign}{abs(zone) // 60:02}{abs(zone) % 60:02}"
    recipients = ", ".join(_person(chance) for _ in range(chance.randrange(1, 5)))
    lines = [
        f"Return-Path: <{chance.choice(PEOPLE)[1]}>",
        f"Received: from mx{chance.randrange(9)}.example.org (mx.example.org [192.0.2.{chance.randrange(255)}])",
        f"\tby mail.example.com with ESMTPS id {chance.getrandbits(48):012x};",
        f"\t{date}",
        f"From: {_person(chance)}",
        f"To: {recipients}",
        f"Subject: {_word(chance.choice(SUBJECTS))}",
        f"Date: {date}",
        f"Message-ID: <{number}.{chance.getrandbits(40):x}@generated.example>",
    ]
    if number and chance.random() < 0.4:
        lines.append(f"In-Reply-To: <{chance.randrange(number)}.parent@generated.example>")
    kind, body = chance.choice(_BODIES)(chance)
    lines += ["MIME-Version: 1.0", *kind]
    return "\n".join(lines) + "\n", body


def _text(chance: random.Random, lines: int) -> str:
    text = []
    for _ in range(lines):
        line = " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 14)))
        # What mbox must quote, what LMTP must stuff, and lines that only look like either.
        line = (
            chance.choice(
                ["", "", "", "", "", "", "", "> ", ">", ".", "From ", ">From ", ">>From ", "..", "-- "]
            )
            + line
        )
        text.append(line)
    return "\n".join(text) + "\n"


def _plain(chance: random.Random) -> tuple[list[str], bytes]:
    return (
        ["Content-Type: text/plain; charset=us-ascii"],
        _crlf(_text(chance, chance.randrange(60))).encode(),
    )


def _eight_bit(chance: random.Random) -> tuple[list[str], bytes]:
    text = _text(chance, 10) + "Grüße aus Köln, 山\n\nFrom the start, unquoted before an mbox quotes it\n"
    return (
        ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"],
        _crlf(text).encode(),
    )


def _latin(chance: random.Random) -> tuple[list[str], bytes]:
    text = _crlf(_text(chance, 5) + "né à Zürich\n")
    return (
        ["Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit"],
        text.encode("latin-1"),
    )


def _alternative(chance: random.Random) -> tuple[list[str], bytes]:
    mark = f"=_{chance.getrandbits(64):x}"
    text = _text(chance, 12)
    body = (
        f"This is a multi-part message.\n--{mark}\nContent-Type: text/plain\n\n{text}"
        f"--{mark}\nContent-Type: text/html; charset=utf-8\n\n<p>{text}</p>\n--{mark}--\n"
    )
    return ([f'Content-Type: multipart/alternative; boundary="{mark}"'], _crlf(body).encode())


def _attachment(chance: random.Random) -> tuple[list[str], bytes]:
    mark = f"----part{chance.getrandbits(64):x}"
    octets = base64.encodebytes(chance.randbytes(chance.randrange(200, 12_000))).decode()
    body = (
        f"--{mark}\nContent-Type: text/plain\n\n{_text(chance, 6)}"
        f'--{mark}\nContent-Type: application/octet-stream; name="data.bin"\n'
        f'Content-Disposition: attachment; filename="data.bin"\nContent-Transfer-Encoding: base64\n\n{octets}'
        f"--{mark}--\n\n"
    )
    return ([f'Content-Type: multipart/mixed; boundary="{mark}"'], _crlf(body).encode())


def _forwarded(chance: random.Random) -> tuple[list[str], bytes]:
    mark = f"fwd{chance.getrandbits(32):x}"
    inner = f"From: {_person(chance)}\nSubject: inner\n\n{_text(chance, 4)}"
    body = f"--{mark}\n\nsee below\n--{mark}\nContent-Type: message/rfc822\n\n{inner}\n--{mark}--\n"
    return ([f"Content-Type: multipart/mixed; boundary={mark}"], _crlf(body).encode())


def _odd(chance: random.Random) -> tuple[list[str], bytes]:
    """Bodies that end without a line end, with many, or hold a CR of their own."""
    body = chance.choice(
        [b"no line end", b"", b"\r\n\r\n\r\n", b"a CR\rinside\r\n", b"doubled\r\r\nCR\r\n", b"From \r\n"]
    )
    return (["Content-Type: text/plain"], body)


_BODIES = [_plain, _plain, _eight_bit, _latin, _alternative, _attachment, _forwarded, _odd]


def to_lf(data: bytes) -> bytes:
    """Return a message with the line ends of a Unix file."""
    return data.replace(b"\r\n", b"\n")


def write_mbox(path: Path, items: Iterable[Generated]) -> list[Generated]:
    """Write an mboxrd file; one line end is added where a message has none at its end."""
    written = list(items)
    with path.open("wb") as out:
        for item in written:
            stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(item.received_at))
            data = re.sub(rb"(?m)^(>*From )", rb">\1", to_lf(item.data))
            out.write(b"From MAILER-DAEMON " + stamp.encode() + b"\n" + data)
            out.write(b"\n" if data.endswith(b"\n") else b"\n\n")
    return written


_LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}


def write_maildir(path: Path, items: Iterable[Generated]) -> list[Generated]:
    """Write a Maildir with flags, keywords as Dovecot keeps them, and times of files as internal dates."""
    for folder in ("tmp", "new", "cur"):
        (path / folder).mkdir(parents=True)
    written = list(items)
    (path / "dovecot-keywords").write_text("".join(f"{n} {name}\n" for n, name in enumerate(KEYWORDS)))
    for number, item in enumerate(written):
        letters = [_LETTERS.get(flag) or "abcdefghij"[KEYWORDS.index(flag)] for flag in item.flags]
        name = f"{item.received_at}.M{number}P1.host"
        file = (
            path
            / ("cur" if item.flags else "new")
            / (name + (":2," + "".join(sorted(letters)) if item.flags else ""))
        )
        file.write_bytes(to_lf(item.data))
        os.utime(file, (item.received_at, item.received_at))
    return written


def asctime_moment(text: str) -> int:
    """Return the moment of an asctime text in UTC."""
    return calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y"))
