"""
ENVELOPE: the fields of a message's header as RFC 3501 section 7.4.2 wants them, ready to be sent.

Addresses of common shape go straight from one regular expression to ready bytes; everything else goes through
`parse_addresses`, which accepts whatever mail contains and agrees with the short way where both apply.
"""

import re
from collections.abc import Iterable, Mapping

from modseq.mime.address import Address, parse_addresses
from modseq.mime.header import unfold
from modseq.mime.quote import nstring, string

ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
"""Fields that occur in the envelope as lists of addresses."""

STRING_FIELDS = frozenset({b"date", b"subject", b"in-reply-to", b"message-id"})
"""Fields that occur in the envelope as strings."""

# Everything these classes accept may stand in an IMAP quoted string as it is.
_COMMON_MAILBOX = re.compile(
    rb"[ \t]*+(?:"
    rb'(?:"([^"\\\x00\r\n\x80-\xff]*+)"|([^"\\()<>@,:;\[\]\x00-\x08\x0a-\x1f\x7f-\xff]*+))[ \t]*+'
    rb"<([^\"\\()<>@,:;\[\]\x00-\x20\x7f-\xff]++)@([^\"\\()<>@,:;\[\]\x00-\x20\x7f-\xff]++)>"
    rb"|([^\"\\()<>@,:;\[\]\x00-\x20\x7f-\xff]++)@([^\"\\()<>@,:;\[\]\x00-\x20\x7f-\xff]++)"
    rb")[ \t]*+(?:,|\Z)"
)


def address_list(value: bytes) -> bytes:
    """
    The addresses of an unfolded field value, ready for an ENVELOPE; NIL where there are none.

    Grammar: env-from = "(" 1*address ")" / nil
    RFC: 3501 section 7.4.2
    """
    ready: list[bytes] = []
    position = 0
    end = len(value)
    match_at = _COMMON_MAILBOX.match
    while position < end:
        match = match_at(value, position)
        if match is None:
            ready.extend(_ready(parse_addresses(value[position:])))
            break
        quoted, phrase, mailbox, host, bare_mailbox, bare_host = match.groups()
        if mailbox is None:
            ready.append(b'(NIL NIL "%b" "%b")' % (bare_mailbox, bare_host))
        else:
            name = quoted or (b" ".join(phrase.split()) if phrase else b"")
            if name:
                ready.append(b'("%b" NIL "%b" "%b")' % (name, mailbox, host))
            else:
                ready.append(b'(NIL NIL "%b" "%b")' % (mailbox, host))
        position = match.end()
    return b"(%b)" % b"".join(ready) if ready else b"NIL"


def _ready(addresses: Iterable[Address]) -> Iterable[bytes]:
    """
    Each address as the parenthesised list of an ENVELOPE.

    Grammar: address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
    """
    for name, route, mailbox, host in addresses:
        yield b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))


def envelope(fields: Mapping[bytes, bytes]) -> bytes:
    """
    The ENVELOPE of a header.

    Grammar: envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP
        env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
    RFC: 3501 section 7.4.2
    Args:
        fields: raw values by lower-case name; an address field that occurs several times is one value,
            joined with commas, so that no address of the message is hidden from the client.
    """
    get = fields.get
    from_ = _addresses(get(b"from"))
    sender = _addresses(get(b"sender"))
    reply_to = _addresses(get(b"reply-to"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(get(b"date")),
        _text(get(b"subject")),
        from_,
        from_ if sender == b"NIL" else sender,
        from_ if reply_to == b"NIL" else reply_to,
        _addresses(get(b"to")),
        _addresses(get(b"cc")),
        _addresses(get(b"bcc")),
        _text(get(b"in-reply-to")),
        _text(get(b"message-id")),
    )


def _text(value: bytes | None) -> bytes:
    """A string member: NIL where the field is absent, the empty string where it is empty."""
    return b"NIL" if value is None else string(unfold(value))


def _addresses(value: bytes | None) -> bytes:
    """An address member: NIL where the field is absent or holds no address."""
    return b"NIL" if value is None else address_list(unfold(value))
