"""A proxy that damages what a server says: the proof that the checker sees it."""

import contextlib
import socket
import threading

from modseq.wire.response_framing import LiteralChunk, ResponseFramer


class Honest:
    """What each connection's responses go through; this one changes nothing."""

    def __init__(self):
        self.held = []

    def response(self, raw):
        """Return what becomes of one whole response (text, CRLF left out, literals after their markers)."""
        return [raw]

    def command(self, octets):
        """Look at what the client sends; return it, or None to swallow it."""
        return octets


class Tampering:
    """Listens on a free port; each connection gets a damage of its own."""

    def __init__(self, upstream, damage=Honest):
        self.upstream = upstream
        self.damage = damage
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._sockets = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for each in self._threads:
            each.join(5)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.upstream)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            damage = self.damage()
            for work in (self._commands, self._responses):
                thread = threading.Thread(target=work, args=(client, server, damage), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _commands(self, client, server, damage):
        with contextlib.suppress(OSError):
            while octets := client.recv(65536):
                octets = damage.command(octets)
                if octets is not None:
                    server.sendall(octets)
        self._end(client, server)

    def _responses(self, client, server, damage):
        framer = ResponseFramer()
        raw = b""
        with contextlib.suppress(OSError):
            while octets := server.recv(65536):
                framer.feed(octets)
                out = []
                while (event := framer.next_event()) is not None:
                    if isinstance(event, LiteralChunk):
                        raw += event.data
                    elif event.literal is not None:
                        raw += event.text + b"\r\n"
                    else:
                        out += damage.response((raw + event.text).decode("latin-1"))
                        raw = b""
                client.sendall("".join(f"{each}\r\n" for each in out).encode("latin-1"))
        self._end(client, server)

    def _end(self, *sockets):
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
