"""access: who is there, what both sides can do.

RFC: 3501 section 6.1, 6.2
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable

from modseq.limits import CAPABILITIES_PER_ENABLE_MAX, ID_FIELD_BYTES_MAX, ID_PAIRS_MAX, ID_VALUE_BYTES_MAX
from modseq.wire.abnf import Parser
from modseq.wire.encode import nstring, string
from modseq.wire.grammar import Rule
from modseq.wire.values import Authenticate, Enable, Id, Login


def login(p: Parser) -> Login:
    """
    Read the arguments of LOGIN.

    Grammar: login = "LOGIN" SP userid SP password
    RFC: 3501 section 6.2.3, 9
    """
    p.sp()
    user = p.astring("a user name")
    p.sp()
    password = p.astring("a password")
    try:
        return Login(user.decode("utf-8"), password)
    except UnicodeDecodeError:
        p.fail("a user name in UTF-8")


def authenticate(p: Parser) -> Authenticate:
    """
    Read the mechanism and the initial response, which is "=" when it is empty.

    Grammar: authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]
    RFC: 4959 section 3, 6
    """
    p.sp()
    mechanism = p.atom("a SASL mechanism").decode("ascii").upper()
    if not p.take(b" "):
        return Authenticate(mechanism, None)
    if p.take(b"="):
        return Authenticate(mechanism, b"")
    initial = sasl_octets(p.text[p.at :])
    if not initial:
        p.fail('base64 or "="')
    p.at = len(p.text)
    return Authenticate(mechanism, initial)


def sasl_octets(line: bytes) -> bytes | None:
    """
    Return the octets of one base64 line of a SASL exchange, or None where it is not base64.

    Grammar: base64 = *(4base64-char) [base64-terminal]
    RFC: 3501 section 6.2.2, 9
    """
    try:
        return a2b_base64(line, strict_mode=True)
    except Base64Error:
        return None


def sasl_challenge(octets: bytes) -> bytes:
    """
    Encode a server's challenge.

    Grammar: continue-req = "+" SP (resp-text / base64) CRLF
    RFC: 3501 section 6.2.2, 7.5
    """
    return b"+ " + b64encode(octets) + b"\r\n"


def enable(p: Parser) -> Enable:
    """
    Read the capabilities that a client wants switched on.

    Grammar: enable = "ENABLE" 1*(SP capability)
    RFC: 5161 section 3.1, 4
    """
    names: list[str] = []
    p.sp()
    while True:
        names.append(p.atom("a capability").decode("ascii").upper())
        if len(names) > CAPABILITIES_PER_ENABLE_MAX:
            p.fail(f"at most {CAPABILITIES_PER_ENABLE_MAX} capabilities")
        if not p.take(b" "):
            return Enable(tuple(names))


def id_(p: Parser) -> Id:
    """
    Read what a client says of itself.

    Grammar: id = "ID" SP id-params-list
    RFC: 2971 section 3.1, 3.3, 4
    """
    p.sp()
    if p.take_word(b"NIL"):
        return Id(None)
    p.open()
    pairs: list[tuple[bytes, bytes | None]] = []
    while not p.take(b")"):
        if pairs:
            p.sp()
        field = p.string("a field name")
        p.sp()
        value = p.nstring("a value or NIL")
        if len(field) > ID_FIELD_BYTES_MAX or len(value or b"") > ID_VALUE_BYTES_MAX:
            p.fail(
                f"a field of at most {ID_FIELD_BYTES_MAX} and a value of at most {ID_VALUE_BYTES_MAX} octets"
            )
        if len(pairs) == ID_PAIRS_MAX:
            p.fail(f"at most {ID_PAIRS_MAX} fields")
        pairs.append((field, value))
    return Id(tuple(pairs))


def capability_data(capabilities: Iterable[str]) -> bytes:
    """
    Encode the untagged CAPABILITY response.

    Grammar: capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)
    RFC: 3501 section 7.2.1
    """
    return b"* CAPABILITY %b\r\n" % " ".join(capabilities).encode("ascii")


def capability_code(capabilities: Iterable[str]) -> bytes:
    """
    Encode the response code CAPABILITY.

    RFC: 3501 section 7.1
    """
    return b"CAPABILITY %b" % " ".join(capabilities).encode("ascii")


def enabled_data(capabilities: Iterable[str]) -> bytes:
    """
    Encode the untagged ENABLED response, which may be empty.

    Grammar: enable-data = "ENABLED" *(SP capability)
    RFC: 5161 section 3.2
    """
    return b"* ENABLED%b\r\n" % b"".join([b" " + name.encode("ascii") for name in capabilities])


def id_response(pairs: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """
    Encode what the server says of itself; NIL where it says nothing.

    Grammar: id-response = "ID" SP id-params-list
    RFC: 2971 section 3.2
    """
    fields = b" ".join([string(name) + b" " + nstring(value) for name, value in pairs])
    return b"* ID (%b)\r\n" % fields if fields else b"* ID NIL\r\n"


RULES: dict[bytes, Rule] = {
    b"AUTHENTICATE": authenticate,
    b"CAPABILITY": None,
    b"ENABLE": enable,
    b"ID": id_,
    b"LOGIN": login,
    b"LOGOUT": None,
    b"NOOP": None,
    b"STARTTLS": None,
}
