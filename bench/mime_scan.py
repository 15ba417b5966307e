"""How many messages a second `scan` reads: a 4 KB multipart/alternative, and others for comparison."""

import statistics
import sys
import time

from modseq.mime.scan import scan

RECEIVED = (
    "Received: from mx{n}.example.net (mx{n}.example.net [192.0.2.{n}])\r\n"
    "\tby mail.example.org (Postfix) with ESMTPS id 4Xk2{n}\r\n"
    "\tfor <terry@example.org>; Mon,  7 Feb 1994 21:52:2{n} -0800 (PST)\r\n"
)
HEADER = (
    "Return-Path: <fred@example.com>\r\n"
    "Delivered-To: terry@example.org\r\n"
    + "".join(RECEIVED.format(n=n) for n in (1, 2, 3))
    + "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=mail;\r\n"
    "\th=from:to:subject:date:message-id;\r\n"
    "\tbh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n"
    "\tb=" + "Qm9ndXMgc2lnbmF0dXJl" * 8 + "\r\n"
    "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n"
    "From: Fred Foobar <foobar@example.com>\r\n"
    "Subject: =?utf-8?Q?afternoon_meeting?= {serial}\r\n"
    'To: "Terry Gray" <terry@example.org>, mooch@example.net\r\n'
    "Cc: minutes@example.org\r\n"
    "Message-Id: <B27397-{serial}@example.com>\r\n"
    "MIME-Version: 1.0\r\n"
    "X-Mailer: example 1.0\r\n"
)
LINE = "The quick brown fox jumps over the lazy dog, and so on to the end.\r\n"
PLAIN = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
HTML = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"


def alternative(serial: int) -> bytes:
    """A message of 4 KB with two text parts and a boundary of its own."""
    head = HEADER.format(serial=serial)
    rest = 4096 - len(head) - 420
    half = LINE * (rest // 2 // len(LINE))
    boundary = f"----=_Part_{serial}"
    return (
        f'{head}Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\n{PLAIN}{half}\r\n--{boundary}\r\n{HTML}<p>{half}</p>\r\n--{boundary}--\r\n"
    ).encode()


def with_attachments(serial: int) -> bytes:
    """The same in a multipart/mixed with two attachments, whose headers do not recur."""
    files = "".join(
        f'--outer{serial}\r\nContent-Type: application/pdf; name="report-{serial}-{n}.pdf"\r\n'
        f'Content-Disposition: attachment; filename="report-{serial}-{n}.pdf"\r\n'
        f"Content-Id: <{serial}.{n}@example.com>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + "JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFIvRmlsdGVyIC9GbGF0ZURlY29kZT4+\r\n"
        * 8
        for n in (1, 2)
    )
    inner = alternative(serial)
    at = inner.index(b"Content-Type: multipart/alternative")
    return (
        inner[:at]
        + f'Content-Type: multipart/mixed; boundary="outer{serial}"\r\n\r\n--outer{serial}\r\n'.encode()
        + inner[at:]
        + files.encode()
        + f"--outer{serial}--\r\n".encode()
    )


def plain(serial: int) -> bytes:
    """A message of 4 KB without MIME."""
    head = HEADER.format(serial=serial) + "\r\n"
    return (head + LINE * ((4096 - len(head)) // len(LINE))).encode()


def main() -> None:
    """Print messages a second: the median of several runs over distinct messages, and the spread."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    for make in (alternative, with_attachments, plain):
        messages = [make(serial) for serial in range(count)]
        rates = []
        for _ in range(5):
            began = time.perf_counter()
            for message in messages:
                scan(message)
            rates.append(count / (time.perf_counter() - began))
        print(
            f"{make.__name__:18} {len(messages[0]):6} octets  {statistics.median(rates):9,.0f} messages/s"
            f"  ({min(rates):,.0f} to {max(rates):,.0f})"
        )


if __name__ == "__main__":
    main()
