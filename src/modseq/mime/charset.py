"""Octets in some charset or transfer encoding to text, whatever the labels claim."""

import binascii
import codecs
import re
from functools import lru_cache

from modseq import limits

_CHARSET_NAME = re.compile(rb"[A-Za-z0-9._:+-]{1,40}")

# Python knows these names but they are not charsets of mail, or their decoders take quadratic time.
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)

# Names seen in mail that Python lacks, and labels whose text is in practice in a superset of the charset.
_ALIASES = {
    "cp-850": "cp850",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "unicode-1-1-utf-7": "utf-7",
    "windows-874": "cp874",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
}
_TRUSTS_NO_LABEL = frozenset({"us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown"})

_NOT_BASE64 = bytes(
    octet
    for octet in range(256)
    if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)


@lru_cache(maxsize=limits.MIME_CHARSETS_CACHED_MAX)
def _codec_name(charset: bytes) -> str | None:
    """The Python codec for a charset label, or None where the label says nothing usable."""
    if not _CHARSET_NAME.fullmatch(charset):
        return None
    label = charset.decode("ascii").lower()
    if label in _TRUSTS_NO_LABEL:
        return None
    try:
        name = codecs.lookup(_ALIASES.get(label, label)).name
        if name in _NOT_CHARSETS or name.replace("-", "_") in _NOT_CHARSETS:
            return None
        b"".decode(name)  # refuses codecs that do not make text, such as rot13 or zlib
    except (LookupError, ValueError):
        return None
    return name


def decode_charset(data: bytes, charset: bytes | None) -> str:
    """
    The text of octets that are labelled with a charset.

    Octets that the charset does not have become U+FFFD. Without a usable label the octets are taken for
    UTF-8 if they are valid UTF-8, and else for windows-1252, which is what unlabelled mail is in practice.
    """
    codec = None if charset is None else _codec_name(charset)
    if codec is not None:
        try:
            return data.decode(codec, "replace")
        except (LookupError, ValueError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def decode_base64(data: bytes) -> bytes:
    """The octets of base64 text; what is not base64 is skipped, a cut end gives what is whole."""
    data = data.translate(None, _NOT_BASE64)
    return b"".join(_decode_base64_run(run) for run in data.split(b"=") if run)


def _decode_base64_run(run: bytes) -> bytes:
    """The octets of base64 digits without padding."""
    if len(run) % 4 == 1:  # six bits alone are no octet
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def decode_quoted_printable(data: bytes, *, header: bool = False) -> bytes:
    """
    The octets of quoted-printable text; malformed escapes stand for themselves.

    Args:
        header: in an encoded word "_" stands for a space (RFC 2047 section 4.2).
    """
    return binascii.a2b_qp(data, header=header)
