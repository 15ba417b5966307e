"""access: who is there, what both sides can do.

RFC: 3501 section 6.1, 6.2, 7.2.1
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType

from modseq.limits import ID_PAIRS_MAX
from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import CapabilityData, EnabledData, IdData
from modseq.wire.values import Authenticate, Enable, Id, Login


def write_login(w: CommandWriter, args: Login) -> None:
    """
    Write the arguments of LOGIN.

    Grammar: login = "LOGIN" SP userid SP password
    RFC: 3501 section 6.2.3, 9
    """
    w.sp().astring(args.user.encode("utf-8")).sp().string(args.password)


def write_authenticate(w: CommandWriter, args: Authenticate) -> None:
    """
    Write the arguments of AUTHENTICATE; an empty first answer is `=`.

    Grammar: authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]
    RFC: 4959 section 3
    """
    w.sp().atom(args.mechanism)
    if args.initial is not None:
        w.sp().raw(b64encode(args.initial) or b"=")


def write_enable(w: CommandWriter, args: Enable) -> None:
    """
    Write the arguments of ENABLE.

    Grammar: enable = "ENABLE" 1*(SP capability)
    RFC: 5161 section 3.1, 4
    """
    for name in args.capabilities:
        w.sp().atom(name)


def write_id(w: CommandWriter, args: Id) -> None:
    """
    Write the arguments of ID.

    Grammar: id = "ID" SP id-params-list
    RFC: 2971 section 3.1, 4
    """
    w.sp()
    if args.pairs is None:
        w.raw(b"NIL")
        return
    w.raw(b"(")
    for number, (field, value) in enumerate(args.pairs):
        if number:
            w.sp()
        w.string(field).sp().nstring(value)
    w.raw(b")")


def words(p: ResponseParser) -> frozenset[str]:
    """
    Read capability names, in capitals.

    Grammar: capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)
    RFC: 3501 section 7.2.1, 9
    """
    return frozenset(texts(p))


def texts(p: ResponseParser) -> tuple[str, ...]:
    """Read atoms up to the end or to a `]`, in capitals."""
    rest = p.text[p.at :]
    inside, bracket, _ = rest.partition(b"]")
    p.at += len(inside) if bracket else len(rest)
    return tuple([word.decode("ascii", "replace").upper() for word in inside.split()])


def capability_data(p: ResponseParser) -> CapabilityData:
    """
    Read an untagged CAPABILITY.

    RFC: 3501 section 7.2.1
    """
    return CapabilityData(words(p))


def enabled_data(p: ResponseParser) -> EnabledData:
    """
    Read an untagged ENABLED.

    Grammar: enable-data = "ENABLED" *(SP capability)
    RFC: 5161 section 3.2, 4
    """
    return EnabledData(words(p))


def id_data(p: ResponseParser) -> IdData:
    """
    Read what the server says of itself; field names in small letters.

    Grammar: id-response = "ID" SP id-params-list
    RFC: 2971 section 3.2, 4
    """
    p.sp()
    fields: dict[str, str | None] = {}
    if not p.take_nil():
        p.open()
        while not p.take(b")"):
            p.spaces()
            field = p.string("a field name")
            p.spaces()
            value = p.nstring("a value")
            p.spaces()
            if len(fields) >= ID_PAIRS_MAX:
                p.fail(f"at most {ID_PAIRS_MAX} fields")
            fields[field.decode("utf-8", "replace").lower()] = (
                None if value is None else value.decode("utf-8", "replace")
            )
    frozen: Mapping[str, str | None] = MappingProxyType(fields)
    return IdData(frozen)


WRITERS: dict[type, Writer] = {
    Login: write_login,
    Authenticate: write_authenticate,
    Enable: write_enable,
    Id: write_id,
}
DATA: dict[bytes, DataRule] = {b"CAPABILITY": capability_data, b"ENABLED": enabled_data, b"ID": id_data}
CODES: dict[bytes, CodeRule] = {b"CAPABILITY": texts}
