"""
Stand between an IMAP client and a server and write down what each of them says.

    python tools/recording_proxy.py SERVER_PORT FOLDER [--port PORT]

Listens on the loopback, prints its port, and writes one file a connection into FOLDER: `C:` and `S:` lines with the
seconds since the connection began. The octets of literals are left out, passwords and all but the first lines of
a run of alike FETCH responses too, so that a record of thousands of messages can be read.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import time
from pathlib import Path

_LITERAL = re.compile(rb"\{(\d+)\+?\}$")
_SECRET = re.compile(rb"^(\S+ (?:LOGIN \S+|AUTHENTICATE PLAIN)) .*", re.IGNORECASE)
_ALIKE_MAX = 4
_LINE_MAX = 400


class Scribe:
    """Cuts what one side says into lines without the octets of literals, and writes them down."""

    def __init__(self, mark: str, record: Record) -> None:
        self._mark, self._record = mark, record
        self._held = b""
        self._skip = 0

    def hear(self, data: bytes) -> None:
        self._held += data
        while True:
            if self._skip:
                taken = min(self._skip, len(self._held))
                self._held, self._skip = self._held[taken:], self._skip - taken
                if self._skip:
                    return
            line, end, rest = self._held.partition(b"\n")
            if not end:
                return
            self._held = rest
            line = line.rstrip(b"\r")
            literal = _LITERAL.search(line)
            if literal:
                self._skip = int(literal[1])
            self._record.line(self._mark, _SECRET.sub(rb"\1 ...", line))


class Record:
    """The file of one connection."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._began = time.monotonic()
        self._kind, self._count = "", 0

    def line(self, mark: str, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace")
        kind = mark + re.sub(r"\d+", "N", text)[:40]
        is_bulk = mark == "S" and (" FETCH (" in text or not text.startswith("*"))
        self._count = self._count + 1 if is_bulk and kind == self._kind else 1
        self._kind = kind
        if self._count <= _ALIKE_MAX:
            self._file.write(f"{time.monotonic() - self._began:9.3f} {mark}: {text[:_LINE_MAX]}\n")
        elif self._count == _ALIKE_MAX + 1:
            self._file.write(f"          {mark}: ... and more of these\n")
        self._file.flush()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scribe: Scribe) -> None:
    while data := await reader.read(65536):
        scribe.hear(data)
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(port: int, server_port: int, folder: Path) -> None:
    numbers = itertools.count(1)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        record = Record(folder / f"{next(numbers):03}.txt")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(
            _pump(reader, far_writer, Scribe("C", record)),
            _pump(far_reader, writer, Scribe("S", record)),
            return_exceptions=True,
        )

    listener = await asyncio.start_server(connected, "127.0.0.1", port, limit=1 << 20)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("server_port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(options.port, options.server_port, options.folder))


if __name__ == "__main__":
    main()
