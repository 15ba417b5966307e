"""What the standard library's `email` says of a message, in the words of IMAP."""

import email
import email.policy


def parsed(message: bytes):
    return email.message_from_bytes(message, policy=email.policy.compat32)


def email_nodes(message: bytes):
    """
    Path, media type and octets (None for a multipart) of every numbered part.

    `email` opens every message/* part; IMAP only message/rfc822, so the others are told without octets.
    """
    out = []
    _add(parsed(message), (), True, out)
    return sorted(out, key=lambda node: node[0])


def _add(entity, path, is_content, out):
    media = entity.get_content_type()
    if entity.get_content_maintype() == "multipart":
        if path and not is_content:
            out.append((path, media, None))
        if entity.is_multipart():
            for number, child in enumerate(entity.get_payload(), 1):
                _add(child, (*path, number), False, out)
        else:
            out.append(((*path, 1), "text/plain", octets(entity)))
        return
    here = (*path, 1) if is_content else path
    if media == "message/rfc822" and entity.is_multipart():
        out.append((here, media, None))
        _add(entity.get_payload()[0], here, True, out)
    elif entity.is_multipart():
        out.append((here, media, None))
    else:
        out.append((here, media, octets(entity)))


def octets(entity) -> bytes:
    # get_payload() decodes 8-bit text; the octets are what is compared.
    return entity._payload.encode("ascii", "surrogateescape")


def without_last_line_ends(told):
    """
    The same nodes with the line ends at the end of every body dropped.

    Where closing delimiters are missing, `email` drops the line end before the end of the message too.
    """
    return [(path, media, body and body.rstrip(b"\r\n")) for path, media, body in told]
