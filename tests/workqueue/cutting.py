"""
A proxy in front of a server that cuts connections, in the middle of whatever is being said.

    with CuttingProxy(upstream, cut=lambda: Cut("reply", octets=123)) as proxy:
        proxy.address
        proxy.upstream = elsewhere             from now on
        proxy.cuts                             how often which cut was made

For each connection `cut` says where it ends.
"""

import contextlib
import socket
import threading
from collections import Counter
from dataclasses import dataclass

from workqueue.kinds import COMMAND, REPLY, UNHEARD, pattern_of


@dataclass(frozen=True)
class Cut:
    """
    Where a connection ends.

    Args:
        way: in commands, in replies, or in replies that the client never sees: the commands before were carried out.
        octets: so many of them pass before.
        kind: after the next octet of this kind; after exactly so many octets where there is none.
        times: the kind must come so often.

    """

    way: str
    octets: int = 0
    kind: str | None = None
    times: int = 1


class _Knife:
    """Watches one direction of a connection for the octet after which it is cut."""

    def __init__(self, cut):
        self._left = cut.octets
        self._pattern = pattern_of(cut.way, cut.kind) if cut.kind is not None else None
        self._times = cut.times

    def find(self, octets):
        """Return how many of these octets still pass, None for all."""
        start, self._left = self._left, max(0, self._left - len(octets))
        if start > len(octets):
            return None
        if self._pattern is None:
            return start
        for match in self._pattern.finditer(octets):
            if match.end() > start:
                self._times -= 1
                if not self._times:
                    return match.end()
        return None


class CuttingProxy:
    def __init__(self, upstream, cut=lambda: None):
        self.upstream = upstream
        self.cut = cut
        self.cuts = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.address = self._listener.getsockname()
        self._threads = []
        self._open = set()
        self._lock = threading.Lock()
        self._is_over = False

    def __enter__(self):
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *exc):
        self._is_over = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(10)

    def cut_all(self):
        with self._lock:
            for each in list(self._open):
                _end(each)

    def _accept(self):
        while not self._is_over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client, self.cut()), daemon=True)
            thread.start()
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]

    def _serve(self, client, cut):
        try:
            server = socket.create_connection(self.upstream, 10)
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        try:
            commands = threading.Thread(
                target=self._pump,
                args=(client, server, cut, (COMMAND,)),
                daemon=True,
            )
            commands.start()
            self._pump(server, client, cut, (REPLY, UNHEARD))
            commands.join()
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            server.close()

    def _pump(self, source, target, cut, ways):
        """Pass octets on until the end, or until the connection is cut."""
        knife = _Knife(cut) if cut is not None and cut.way in ways else None
        try:
            while True:
                octets = source.recv(65536)
                if not octets:
                    break
                passing = knife.find(octets) if knife is not None else None
                if passing is not None:
                    with self._lock:
                        self.cuts[cut.way, cut.kind] += 1
                    # Everything up to here was said; what comes after it nobody hears.
                    if cut.way != UNHEARD:
                        target.sendall(octets[:passing])
                    break
                target.sendall(octets)
        except OSError:
            pass
        _end(source)
        _end(target)


def _end(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
