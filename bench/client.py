"""How fast client libraries read plain FETCH lines: `python bench/client.py [LINES]`.

A server on a thread sends the lines as fast as they are taken; what counts is the CPU time of the client's
thread, best of three, so that a busy machine changes the figures little. imaplib hands out octets, the others values.
"""

import asyncio
import imaplib
import socket
import sys
import threading
import time

from imapclient import IMAPClient

import modseq.client
import modseq.client.sync

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
ITEMS = ["FLAGS", "MODSEQ"]
UIDS = range(2, 2 * LINES + 1, 2)
ANSWER = b"".join(
    b"* %d FETCH (UID %d FLAGS (\\Seen%b) MODSEQ (%d))\r\n"
    % (n, 2 * n, b" $Work" if n % 3 else b"", n + 10**6)
    for n in range(1, LINES + 1)
)


def serve(listener):
    while True:
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as lines:
            sock.sendall(b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
            for line in lines:
                tag, _, rest = line.partition(b" ")
                command = rest.upper()
                if b"FETCH" in command:
                    sock.sendall(ANSWER)
                elif command.startswith((b"SELECT", b"EXAMINE")):
                    sock.sendall(b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n" % LINES)
                elif command.startswith(b"CAPABILITY"):
                    sock.sendall(b"* CAPABILITY IMAP4rev1\r\n")
                sock.sendall(tag + b" OK done\r\n")


def best(name, read):
    seconds = []
    for _ in range(3):
        before = time.thread_time()
        count = read()
        seconds.append(time.thread_time() - before)
        assert count == LINES, count
    print(f"{name:32} {LINES / min(seconds) / 1000:6.0f} thousand lines a second")


def blocking(port):
    client = modseq.client.sync.connect(f"imap+insecure://127.0.0.1:{port}")
    client.select("INBOX")
    best("modseq.client.sync", lambda: len(client.fetch("1:*", ITEMS).messages))
    client.close()


def asynchronous(port):
    loop = asyncio.new_event_loop()

    async def connected():
        client = await modseq.client.connect(f"imap+insecure://127.0.0.1:{port}")
        await client.select("INBOX")
        return client

    client = loop.run_until_complete(connected())

    async def held():
        return len((await client.fetch("1:*", ITEMS)).messages)

    async def streamed():
        return len([message async for message in client.fetch_each("1:*", ITEMS)])

    best("modseq.client, held", lambda: loop.run_until_complete(held()))
    best("modseq.client, streamed", lambda: loop.run_until_complete(streamed()))
    loop.run_until_complete(client.aclose())
    loop.close()


def others(port):
    plain = imaplib.IMAP4("127.0.0.1", port)
    plain.select()
    best("imaplib, octets", lambda: len(plain.uid("FETCH", "1:*", "(FLAGS MODSEQ)")[1]))
    plain.shutdown()
    client = IMAPClient("127.0.0.1", port=port, ssl=False)
    client._imap.state = "SELECTED"  # noqa: SLF001 -- PREAUTH alone does not make it ready to select
    best("IMAPClient", lambda: len(client.fetch(UIDS, ITEMS)))
    client.shutdown()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    port = listener.getsockname()[1]
    blocking(port)
    asynchronous(port)
    others(port)


if __name__ == "__main__":
    main()
