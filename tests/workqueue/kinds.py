"""
Kinds of byte after which a connection may end, by what stands before: each a pattern whose last octet is the one.

No pattern looks ahead, so that it is known at once that an octet is of a kind; one that arrives in two pieces of the
stream may be missed.
"""

import re

COMMAND_KINDS = {
    "of a tag": rb"(?m)^[A-Za-z]",
    "of a tag, its last": rb"(?m)^[A-Za-z0-9]+ ",
    "of a verb": rb"(?m)^\S+ [A-Z]",
    "of the verb behind UID": rb"UID [A-Z]",
    "of a password or mailbox": rb"(?m)^\S+ (?:LOGIN|AUTHENTICATE|SELECT|EXAMINE) \S",
    "of a message set": rb"UID [A-Z]+ [0-9]",
    "between two of a message set": rb"UID [A-Z]+ [0-9]+[:,]",
    "before a condition": rb"\(U",
    "of a condition": rb"UNCHANGEDSINCE [0-9]",
    "of a condition, its last": rb"UNCHANGEDSINCE [0-9]+\)",
    "of a sign": rb" [+-]F",
    "of a list, its first": rb"FLAGS\S* \(",
    "of a keyword": rb"\$[A-Za-z]",
    "between two keywords": rb"\$[A-Za-z0-9]+ ",
    "of a list, its last": rb"\)",
    "of a search": rb"SEARCH [^\r\n]{9}",
    "of a section": rb"BODY\S*\[",
    "CR": rb"\r",
    "LF": rb"\n",
}
"""What a client says."""

REPLY_KINDS = {
    "of a greeting or an untagged line": rb"(?m)^\*",
    "of a message number": rb"(?m)^\* [0-9]",
    "of a word": rb"(?m)^\* (?:[0-9]+ )?[A-Z]",
    "of a list, its first": rb"FETCH \(",
    "of a UID": rb"UID [0-9]",
    "of a flag": rb"\\[A-Z]",
    "of a keyword": rb"\$[A-Z]",
    "of a mod-sequence": rb"MODSEQ \([0-9]",
    "of a mod-sequence, its last": rb"MODSEQ \([0-9]+\)",
    "of a list, its last": rb"\)\)",
    "of the size of a literal": rb"\{[0-9]",
    "of the size of a literal, its last": rb"\{[0-9]+\}",
    "CR before a literal": rb"\}\r",
    "LF before a literal": rb"\}\r\n",
    "of a literal": rb"\}\r\n[^\r\n]",
    "CR in a literal": rb"\}\r\n[^\r\n]+\r",
    "of a literal, its last": rb"Do it\.\r\n",
    "behind a literal": rb"Do it\.\r\n\)",
    "of a found number": rb"SEARCH [^\r\n]*[0-9]",
    "of a tag": rb"(?m)^[A-Za-z]",
    "of OK": rb"(?m)^[A-Za-z][A-Za-z0-9]* O",
    "of a code, its first": rb"OK \[",
    "of a refusal": rb"MODIFIED [0-9]",
    "of a refusal, its last": rb"MODIFIED [0-9:,]+\]",
    "of the text": rb"(?m)^[A-Za-z][A-Za-z0-9]* OK [^\r\n]{3}",
    "CR": rb"\r",
    "LF": rb"\n",
    "LF of a tagged line": rb"(?m)^[A-Za-z][A-Za-z0-9]* OK[^\n]*\n",
}
"""What a server says."""

COMMAND = "command"
REPLY = "reply"
UNHEARD = "unheard"

KINDS = [
    *((COMMAND, kind) for kind in COMMAND_KINDS),
    *((way, kind) for way in (REPLY, UNHEARD) for kind in REPLY_KINDS),
]
"""Every way to cut: after an octet of what is said, of what is answered, or of an answer that is not passed on."""


def pattern_of(way: str, kind: str) -> re.Pattern[bytes]:
    return re.compile((COMMAND_KINDS if way == COMMAND else REPLY_KINDS)[kind])
