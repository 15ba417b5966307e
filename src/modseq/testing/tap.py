"""The octets of one connection on their way out: shaped, logged, slowed, cut."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from modseq.testing.plan import Plan
from modseq.testing.wirelog import ConnectionLog

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_PUMP_SECONDS = 0.02
"""How often a slow connection sends what it may."""


class Shaper:
    """
    Shows the plan each response's first line as it passes; literals and what follows them pass as they are.

    A line is passed on once its end has come.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._line = bytearray()
        self._literal_octets = 0
        self._within_response = False

    def feed(self, octets: bytes) -> bytes:
        """Return what is to be said now."""
        said = bytearray()
        at = 0
        while at < len(octets):
            if self._literal_octets:
                piece = octets[at : at + self._literal_octets]
                self._literal_octets -= len(piece)
                said += piece
                at += len(piece)
                continue
            # A CR may have come with the piece before; responses hold no LF of their own outside literals.
            end = octets.find(b"\n", at) + 1
            self._line += octets[at : end or None]
            at = end or len(octets)
            if end:
                said += self._end_line()
        return bytes(said)

    def _end_line(self) -> bytes:
        line = bytes(self._line)
        self._line.clear()
        is_first = not self._within_response
        marker = _LITERAL.search(line)
        self._within_response = marker is not None
        if marker is not None:
            self._literal_octets = int(marker[1])
        if not is_first:
            return line
        shaped = self._plan.shape(line)
        # A response whose literal follows cannot be left out by its first line alone.
        return line if shaped is None and marker is not None else shaped or b""


class TappedTransport(asyncio.Transport):
    """
    Stands between a connection and its transport.

    Args:
        inner: the transport that asyncio made; the connection reads from it as before.
        shaper: of this connection; it goes on where STARTTLS changed the transport.
        log: what the connection said is noted here as it really went out.

    """

    def __init__(self, inner: asyncio.Transport, plan: Plan, shaper: Shaper, log: ConnectionLog) -> None:
        super().__init__()
        self.inner = inner
        self._plan = plan
        self._shaper = shaper
        self._log = log
        self._waiting = bytearray()
        self._pump: asyncio.TimerHandle | None = None
        self._ends_with: str = ""
        self._is_cut = False
        self._left_octets = plan.drop_each_octets

    # --- the way out ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the plan makes of it."""
        if self._is_cut:
            return
        self._waiting += self._shaper.feed(bytes(data))
        if self._plan.octets_per_second is None and self._pump is None:
            self._send(len(self._waiting))
        elif self._pump is None:
            self._send_slowly()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces."""
        self.write(b"".join(list_of_data))

    def _send_slowly(self) -> None:
        self._pump = None
        rate = self._plan.octets_per_second
        self._send(len(self._waiting) if rate is None else max(1, int(rate * _PUMP_SECONDS)))
        if self._waiting:
            pause = _PUMP_SECONDS if rate is None else max(_PUMP_SECONDS, 1.0 / rate)
            self._pump = asyncio.get_running_loop().call_later(pause, self._send_slowly)
        elif self._ends_with == "eof":
            self.inner.write_eof()
        elif self._ends_with == "close":
            self.inner.close()

    def _send(self, count: int) -> None:
        if self._is_cut:
            return
        octets = bytes(self._waiting[:count])
        del self._waiting[:count]
        allowed = self._allowed(len(octets))
        if allowed is not None:
            octets = octets[:allowed]
        if octets:
            self._log.said(octets)
            self.inner.write(octets)
        if allowed is not None:
            self.cut()

    def _allowed(self, count: int) -> int | None:
        """Return how many of so many octets go out before the connection is cut; None if it is not."""
        plan = self._plan
        if plan.drop_octets is not None:
            if plan.drop_octets <= count:
                allowed, plan.drop_octets = plan.drop_octets, None
                return allowed
            plan.drop_octets -= count
        if self._left_octets is None:
            self._left_octets = plan.drop_each_octets
        if self._left_octets is not None and plan.drop_each_octets is not None:
            if self._left_octets <= count:
                return self._left_octets
            self._left_octets -= count
        return None

    def cut(self) -> None:
        """Break the connection off; what was handed over before still arrives."""
        if not self._is_cut:
            self._is_cut = True
            self._waiting.clear()
            self._log.remark("cut by a fault")
            self.inner.close()

    # --- everything else passes ---

    def write_eof(self) -> None:
        """Close the sending side behind what waits."""
        if self._waiting:
            self._ends_with = "eof"
        elif not self._is_cut:
            self.inner.write_eof()

    def can_write_eof(self) -> bool:
        """Return whether the sending side alone can be closed."""
        return self.inner.can_write_eof()

    def close(self) -> None:
        """Close behind what waits."""
        if self._waiting:
            self._ends_with = "close"
        else:
            self.inner.close()

    def abort(self) -> None:
        """Close at once."""
        self.forget()
        self.inner.abort()

    def forget(self) -> None:
        """Drop what waits: nobody reads it any more."""
        self._waiting.clear()
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    def is_closing(self) -> bool:
        """Return whether the connection is closing or closed."""
        return self._is_cut or self.inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows."""
        return self.inner.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how much waits to be sent."""
        return len(self._waiting) + self.inner.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when the connection is told to pause and to resume."""
        return self.inner.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say when the connection is to be told to pause and to resume."""
        self.inner.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self.inner.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self.inner.resume_reading()

    def is_reading(self) -> bool:
        """Return whether input is read."""
        return self.inner.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the input to another protocol."""
        self.inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets the input."""
        return self.inner.get_protocol()
