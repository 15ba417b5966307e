"""Clients of several kinds, each a function that works until it is told that it is over."""

from __future__ import annotations

import contextlib
import random
import smtplib
import socket
import time
from collections.abc import Callable

from imapclient import IMAPClient

from wire_client import PASSWORD, USER, Client, Gone
from wire_load import Actor, Journal, body
from wire_responses import require
from wire_server import Running

IsOver = Callable[[], bool]
Kind = Callable[[Running, Journal, random.Random, IsOver], None]
MESSAGES_MAX = 150
"""More than so many in a mailbox are removed: a store that fills up grows for good reason."""


def raw(server: Running, journal: Journal, picks: random.Random, is_over: IsOver) -> None:
    """A client that does everything that RFC 7162 lets it do, and checks what it is told."""
    modes = ["qresync", "qresync", "condstore", "plain"]
    connect = lambda ledger, mode: Client(server.address, mode=mode, ledger=ledger)
    Actor(str(picks.randrange(4)), connect, journal, picks, picks.choice(modes)).run(is_over)


def library(server: Running, journal: Journal, picks: random.Random, is_over: IsOver) -> None:
    """What programs do with IMAPClient: look for messages, read, mark, file and wait."""
    while not is_over():
        with IMAPClient(server.address[0], server.address[1], ssl=False, timeout=30) as client:
            client.login(USER, PASSWORD)
            for _ in range(picks.randint(1, 5)):
                client.select_folder(picks.choice(["INBOX", "Other"]))
                uids = client.search(["UNDELETED"])
                some = uids[-3:]
                if some:
                    client.fetch(some, ["ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]", "FLAGS"])
                    client.add_flags(some, ["$Library"])
                if len(uids) > MESSAGES_MAX:
                    client.delete_messages(uids[: len(uids) - MESSAGES_MAX // 2])
                    client.expunge()
                client.append("Other", body(journal.new_token()), ["\\Seen"])
                client.idle()
                client.idle_check(timeout=0.05)
                client.idle_done()
                client.folder_status("Other", ["MESSAGES", "UIDNEXT"])
                if is_over():
                    break


def deliver(server: Running, journal: Journal, picks: random.Random, is_over: IsOver) -> None:
    """A mail server with messages of all sizes, some connections for one message, some for many."""
    while not is_over():
        with smtplib.LMTP(*server.lmtp_address) as lmtp:
            for _ in range(picks.randint(1, 20)):
                lmtp.sendmail("sender@example.org", [USER], body(journal.new_token()))
                time.sleep(0.05)
                if is_over():
                    break


def idle(server: Running, _: Journal, picks: random.Random, is_over: IsOver) -> None:
    """Sessions that wait, a crowd of them in one thread, and come back now and then."""
    clients: list[Client] = []
    try:
        for _ in range(10):
            client = Client(server.address, mode=picks.choice(["qresync", "plain"]))
            clients.append(client)
            client.run("SELECT INBOX", mailbox="INBOX")
        while not is_over():
            tags = []
            for client in clients:
                tags.append(client.send("IDLE"))
                client.read_until("+")
            until = time.monotonic() + picks.uniform(0.2, 3.0)
            while time.monotonic() < until and not is_over():
                time.sleep(0.05)
            for client, tag in zip(clients, tags, strict=True):
                client.send_octets(b"DONE\r\n")
                require(client.reply(tag).is_ok, "IDLE failed")
    finally:
        for client in clients:
            client.close()


def restless(server: Running, _: Journal, picks: random.Random, is_over: IsOver) -> None:
    """Connections that come and go: politely, in the middle of a command, with nonsense, or silent."""
    while not is_over():
        way = picks.randrange(5)
        if way in (0, 1):
            with contextlib.suppress(Gone), Client(server.address) as client:
                client.select("INBOX")
                if way:
                    client.run("LOGOUT")
        else:
            with contextlib.suppress(OSError), socket.create_connection(server.address, 10) as plain:
                plain.recv(1_000)
                if way == 2:
                    plain.sendall(b'a LOGIN ann "wrong\r\nb SELECT {100+}\r\nabc')
                elif way == 3:
                    plain.sendall(picks.randbytes(500) + b"\r\n")
                    plain.recv(1_000)
        time.sleep(0.02)


KINDS: dict[str, tuple[int, Kind]] = {
    "raw": (4, raw),
    "library": (1, library),
    "deliver": (1, deliver),
    "idle": (2, idle),
    "restless": (1, restless),
}
"""How many of each kind there are."""
