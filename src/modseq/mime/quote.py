"""IMAP strings for the ready values: quoted where possible, a literal where not."""

_QUOTED_AS_IS = bytes(octet for octet in range(1, 128) if octet not in b'\r\n"\\')


def string(value: bytes) -> bytes:
    """
    The value as an IMAP string.

    Grammar: string = quoted / literal
    RFC: 3501 section 4.3
    Returns: a quoted string, or a literal where the value holds CR, LF or 8-bit octets. NUL, which neither
        form may hold, is dropped.
    """
    if not value.translate(None, _QUOTED_AS_IS):
        return b'"%b"' % value
    value = value.replace(b"\0", b"")
    if value.isascii() and b"\r" not in value and b"\n" not in value:
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """
    The value as an IMAP string, or NIL where there is none.

    Grammar: nstring = string / nil
    RFC: 3501 section 4.5
    """
    return b"NIL" if value is None else string(value)
