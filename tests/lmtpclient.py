"""A delivering client for tests: smtplib reads only one reply after the message, LMTP sends several."""

import re
import socket
from collections.abc import Sequence
from typing import Self


class LmtpClient:
    """
    One LMTP connection, blocking.

        with LmtpClient(("127.0.0.1", port)) as client:
            assert client.deliver(b"...", ["alice", "bob"]) == {}
    """

    def __init__(self, address: tuple[str, int] | str) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(20)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=20)
        self.stream = self.socket.makefile("rb")
        assert self.reply().startswith("220 ")
        self.extensions = self.command("LHLO client.example").splitlines()[1:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close without QUIT."""
        self.stream.close()
        self.socket.close()

    def reply(self) -> str:
        """Return one reply, its lines joined by newlines."""
        lines = []
        while True:
            line = self.stream.readline().decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def command(self, line: str) -> str:
        """Send a command line and return its reply."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def content(self, data: bytes) -> None:
        """Send a message (CR LF line ends) with its dots stuffed, and the end."""
        stuffed = re.sub(rb"(?m)^\.", b"..", data)
        self.send(stuffed + (b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n"))

    def deliver(
        self, data: bytes, recipients: Sequence[str], *, sender: str = "a@example.org", options: str = ""
    ) -> dict[str, str]:
        """Deliver one message; return the replies of the recipients to whom it was refused."""
        reply = self.command(f"MAIL FROM:<{sender}>{options}")
        assert reply.startswith("250"), reply
        refused = {}
        for recipient in recipients:
            reply = self.command(f"RCPT TO:<{recipient}>")
            if not reply.startswith("250"):
                refused[recipient] = reply
        if len(refused) == len(recipients):
            return refused
        reply = self.command("DATA")
        assert reply.startswith("354"), reply
        self.content(data)
        for recipient in recipients:
            if recipient not in refused:
                reply = self.reply()
                if not reply.startswith("250"):
                    refused[recipient] = reply
        return refused
