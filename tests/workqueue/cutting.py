"""
A proxy in front of a server that cuts connections, in the middle of whatever is being said.

    with CuttingProxy(upstream, cut=lambda: ("reply", 123)) as proxy:
        proxy.address
        proxy.upstream = elsewhere             from now on

For each connection `cut` says where it ends: after so many octets of commands, after so many octets of replies, or
after so many octets of replies that the client never sees: the commands before them were carried out.
"""

import contextlib
import socket
import threading


class CuttingProxy:
    def __init__(self, upstream, cut=lambda: None):
        self.upstream = upstream
        self.cut = cut
        self.cuts = 0
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
        kind, left = cut or (None, 0)
        for each in (client, server):
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        try:
            commands = threading.Thread(
                target=self._pump,
                args=(client, server, left if kind == "command" else None, False),
                daemon=True,
            )
            commands.start()
            self._pump(server, client, left if kind in ("reply", "unheard") else None, kind == "unheard")
            commands.join()
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            server.close()

    def _pump(self, source, target, left, unheard):
        """Pass octets on until the end, or until so many have passed."""
        try:
            while True:
                octets = source.recv(65536)
                if not octets:
                    break
                if left is not None:
                    if len(octets) >= left:
                        self.cuts += 1
                        # Everything up to here was said; what comes after it nobody hears.
                        if not unheard:
                            target.sendall(octets[:left])
                        break
                    left -= len(octets)
                target.sendall(octets)
        except OSError:
            pass
        _end(source)
        _end(target)


def _end(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
