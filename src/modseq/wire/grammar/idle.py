"""idle: waiting for changes.

RFC: 2177 section 3
"""

from __future__ import annotations

from modseq.wire.grammar import Rule


def is_done(line: bytes) -> bool:
    """
    Return whether the line ends IDLE.

    Grammar: "DONE" CRLF
    RFC: 2177 section 3, 4
    """
    return line.upper() == b"DONE"


RULES: dict[bytes, Rule] = {b"IDLE": None}
