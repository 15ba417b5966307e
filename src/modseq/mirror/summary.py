"""What lists show of a message, read from the header fields that the first copy fetches."""

from __future__ import annotations

from modseq.mailfiles.message import moment_of
from modseq.mime.header import header_values
from modseq.mime.text import header_text
from modseq.mirror.records import Summary

FIELDS = ("DATE", "FROM", "SUBJECT", "TO", "CC", "BCC", "MESSAGE-ID")
"""Fetched of every message, also where bodies are not wanted: some 300 octets."""


def summary_of(header: bytes) -> Summary:
    """
    Read a summary from a message or from the fields that were fetched of it.

    Args:
        header: header fields, perhaps followed by a blank line and a body.

    """
    recipients = [
        f"{name.decode().lower()}: {_line(text)}"
        for name in (b"TO", b"CC", b"BCC")
        for text in header_text(header, name)
    ]
    date = next(iter(header_values(header, b"DATE")), None)
    moment = moment_of(date)
    return Summary(
        subject=_first(header, b"SUBJECT"),
        sender=_first(header, b"FROM"),
        recipients="\n".join(recipients),
        message_id=next(iter(header_values(header, b"MESSAGE-ID")), b"").decode("ascii", "replace"),
        sent_at=None if moment is None else moment[0],
    )


def _first(header: bytes, name: bytes) -> str:
    return _line(next(iter(header_text(header, name)), ""))


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())
