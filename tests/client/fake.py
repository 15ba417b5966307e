"""
A server that says what a test tells it to, on a thread and a free loopback port.

    def script(talk):
        talk.greet()
        tag, command = talk.command()
        talk.say(f"{tag} OK done")

    with fake(script) as server:
        server.url
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field


class Talk:
    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def say(self, *lines: str) -> None:
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def greet(self, capabilities: str = "IMAP4rev1") -> None:
        self.say(f"* PREAUTH [CAPABILITY {capabilities}] hi")

    def line(self) -> str:
        line = self.file.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\r\n")

    def command(self) -> tuple[str, str]:
        tag, _, rest = self.line().partition(" ")
        return tag, rest

    def ok(self, *lines: str) -> str:
        """Answer one command with lines and OK."""
        tag, rest = self.command()
        self.say(*lines, f"{tag} OK done")
        return rest

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")

    def until_closed(self) -> None:
        while self.file.read(65_536):
            pass


@dataclass
class Fake:
    port: int
    errors: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"imap+insecure://127.0.0.1:{self.port}"


@contextlib.contextmanager
def fake(*scripts, tls: ssl.SSLContext | None = None):
    """Serve one connection by each script, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    server = Fake(listener.getsockname()[1])

    def serve():
        for script in scripts:
            try:
                sock, _ = listener.accept()
                sock.settimeout(10)
                with contextlib.closing(sock):
                    talk = None
                    try:
                        if tls is not None:
                            sock = tls.wrap_socket(sock, server_side=True)
                        talk = Talk(sock)
                        script(talk)
                    finally:
                        with contextlib.suppress(OSError):
                            (talk.sock if talk else sock).close()
            except (EOFError, ConnectionError, ssl.SSLError, BrokenPipeError):
                continue
            except BaseException as error:  # noqa: BLE001 -- shown by the test that ends
                server.errors.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
        thread.join(10)
        assert not thread.is_alive(), "the script is still running"
        assert not server.errors, server.errors
    finally:
        listener.close()
