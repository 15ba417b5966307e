"""Modified UTF-7: how IMAP4rev1 writes mailbox names that are not ASCII.

RFC: 3501 section 5.1.3
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64

_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_SHIFTED = re.compile(rb"&([^-]*)(-?)")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")
_SELF_STANDING = re.compile(r"[\x20-\x7e]")
_REPEATED_SHIFT = re.compile(rb"&[^-]+-&[^-]")


def decode_utf7(name: bytes) -> str:
    """
    Return the text of a name in modified UTF-7.

    RFC: 3501 section 5.1.3
    Raises ValueError where the name is no modified UTF-7, or says in base64 what stands for itself:
    one mailbox must not have two spellings.
    """
    if _PLAIN.fullmatch(name):
        return name.decode("ascii")
    if _REPEATED_SHIFT.search(name):
        raise ValueError("superfluous shift in modified UTF-7")
    pieces: list[str] = []
    at = 0
    while at < len(name):
        plain = _PLAIN.match(name, at)
        if plain is not None and plain.end() > at:
            pieces.append(plain[0].decode("ascii"))
            at = plain.end()
            continue
        shifted = _SHIFTED.match(name, at)
        if shifted is None or not shifted[2]:
            raise ValueError("octet outside modified UTF-7")
        pieces.append(_decode_base64(shifted[1]) if shifted[1] else "&")
        at = shifted.end()
    return "".join(pieces)


def _decode_base64(run: bytes) -> str:
    """Return the text of one shifted run, without its `&` and `-`."""
    padded = run.replace(b",", b"/") + b"=" * (-len(run) % 4)
    try:
        octets = a2b_base64(padded, strict_mode=True)
        text = octets.decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError) as error:
        raise ValueError("malformed base64 in modified UTF-7") from error
    if b"/" in run or _SELF_STANDING.search(text) or _encode_base64(text) != run:
        raise ValueError("modified UTF-7 in another than its one spelling")
    return text


def _encode_base64(text: str) -> bytes:
    return b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")


def encode_utf7(name: str) -> bytes:
    """
    Return a name in modified UTF-7: printable ASCII only.

    RFC: 3501 section 5.1.3
    Raises ValueError for text with a lone surrogate, which no encoding can carry.
    """
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    shifted = _NOT_PRINTABLE.sub(
        lambda run: "&" + _encode_base64(run[0]).decode("ascii") + "-", name.replace("&", "&-")
    )
    return shifted.encode("ascii")
