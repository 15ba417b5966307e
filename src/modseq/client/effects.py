"""The five things a verb may ask of a driver; nothing else passes between them.

A verb is a generator: it yields effects, is sent back what they gave, and returns its result. A driver
runs it with a socket (asyncio or blocking) and knows nothing of IMAP.

    effect             the driver                                       sends back
    Send(data)         writes all of it                                 None
    SendFrom(literal)  writes all octets of a file                      None
    Receive(seconds)   waits for octets, at most so long                octets, b"" at the end, None if late
    Emit(value)        hands a value to whoever reads the stream        None
    Sleep(seconds)     waits                                            None
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from modseq.wire.command_writer import FileLiteral

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendFrom:
    """Write what `literal.pieces()` reads from a file, each piece as `encode` makes it where that is given."""

    literal: FileLiteral
    encode: Callable[[bytes], bytes] | None = None

    def pieces(self) -> Iterator[bytes]:
        """Yield what to write; each piece is read, which may take time, when it is asked for."""
        return self.literal.pieces() if self.encode is None else map(self.encode, self.literal.pieces())


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for octets from the server; `seconds` None waits as long as it takes."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand `values` to the reader of the stream, one after the other, before going on."""

    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so long."""

    seconds: float


Effect: TypeAlias = Send | SendFrom | Receive | Emit | Sleep
Verb: TypeAlias = Generator[Effect, bytes | None, T]
"""A verb that ends in a result of type T."""
