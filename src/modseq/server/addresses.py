"""Addresses on which the server listens: `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH`."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

_TCP = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})\Z")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port; port 0 means any free one, host "" every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address: TypeAlias = TcpAddress | UnixAddress


def read_address(text: str) -> Address:
    """Return the address that a person wrote; raises ValueError with a sentence for that person."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or len(os.fsencode(path)) > 107:
            raise ValueError(f"{text!r} is no address: a socket's path has 1 to 107 octets")
        return UnixAddress(path)
    match = _TCP.match(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f"{text!r} is no address: write HOST:PORT, [IPV6]:PORT or unix:PATH")
    return TcpAddress(match["v6"] or match["host"], int(match["port"]))


def bind(address: Address, *, is_shared: bool = False) -> socket.socket:
    """
    Return a bound socket that does not listen yet; raises OSError.

    Args:
        address: where; of a host name with several addresses the first is taken.
        is_shared: several processes bind the same port, and the kernel deals connections out to those
            that listen.

    """
    if isinstance(address, UnixAddress):
        return _bind_unix(address)
    host = address.host or "::"
    family, kind, protocol, _, target = socket.getaddrinfo(
        host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # asyncio sets TCP_NODELAY only on what says that it is TCP; without it each second packet waits 40 ms.
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and not address.host:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(target)
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_unix(address: UnixAddress) -> socket.socket:
    """Bind a path, replacing a socket that nobody listens on any more, and nothing else."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abandoned(address.path):
            Path(address.path).unlink()
        bound.bind(address.path)
    except BaseException:
        bound.close()
        raise
    return bound


def _is_abandoned(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def address_of(bound: socket.socket) -> Address:
    """Return the real address of a bound socket."""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return UnixAddress(name)
    return TcpAddress(name[0], name[1])


def is_loopback(peer: str) -> bool:
    """Return whether a client's address is this machine's own."""
    return peer in {"::1", "local"} or peer.startswith(("127.", "::ffff:127."))


def peer_name(extra: object) -> str:
    """Return how a client is called from what the transport says of it: an IP address, or `local`."""
    return str(extra[0]) if isinstance(extra, tuple) and extra else "local"


def network_of(peer: str) -> str:
    """
    Return what counts as one address: an IPv4 address, or a network of 64 bits of IPv6.

    Whoever has one address of IPv6 has the whole network behind it to come from.
    """
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
