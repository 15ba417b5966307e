"""
Maildir: one file for each message, its flags in the file's name.

Keywords follow Dovecot's convention: a letter a-z in the name stands for the line of that number in the
file `dovecot-keywords`. The internal date is the time of the file.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from modseq import clock
from modseq.limits import APPEND_LITERAL_BYTES_MAX
from modseq.mailfiles.message import (
    FileMessage,
    StoredMessage,
    header_field,
    header_moment,
    keywords_of,
    moment_of,
    to_file,
    to_mailbox,
)

_KEYWORDS_FILE = "dovecot-keywords"
_LETTERS = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
_FLAGS = {name.lower(): letter for letter, name in _LETTERS.items()}
_KEYWORD_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# ":" is what the format says; file systems that have no ":" use ";" or "!".
_INFO = re.compile(r"[:;!]2,([A-Za-z]*)")


def is_maildir(path: Path) -> bool:
    """Whether a folder is a Maildir."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def subfolders(path: Path) -> list[str]:
    """Return the names of the Maildir++ folders inside a Maildir, sorted."""
    return sorted(entry.name for entry in path.iterdir() if entry.name[:1] == "." and is_maildir(entry))


# --- reading --------------------------------------------------------------------------------------


def message_files(path: Path) -> list[Path]:
    """Return the files of the messages in the order of their delivery."""
    found = [
        entry
        for folder in ("cur", "new")
        for entry in (path / folder).iterdir()
        if not entry.name.startswith(".") and entry.is_file()
    ]
    return sorted(found, key=_delivery_order)


def _delivery_order(path: Path) -> tuple[int, str]:
    seconds = re.match(r"[0-9]{1,12}", path.name)
    return (int(seconds[0]) if seconds else 0), path.name


def read_maildir(path: Path) -> Iterator[FileMessage]:
    """Yield the messages of a Maildir. One that another program takes away meanwhile is left out."""
    keywords = _read_keywords(path)
    for file in message_files(path):
        try:
            yield _read_file(file, keywords)
        except FileNotFoundError:
            continue  # Renamed by a mail program that sets a flag, or expunged.


def _read_file(file: Path, keywords: dict[str, str]) -> FileMessage:
    found = file.stat()
    if found.st_size > APPEND_LITERAL_BYTES_MAX:
        return FileMessage(str(file), None, (), None, None, found.st_size)
    octets = file.read_bytes()
    return FileMessage(
        where=str(file),
        data=to_mailbox(octets),
        flags=_flags_of(file, keywords),
        received_at=max(0, int(found.st_mtime)),
        zone=None,
        bytes_read=len(octets),
    )


def _flags_of(file: Path, keywords: dict[str, str]) -> tuple[str, ...]:
    info = _INFO.search(file.name)
    if info is None or file.parent.name == "new":
        return ()
    found = (_LETTERS.get(letter) or keywords.get(letter) for letter in info[1])
    return tuple(dict.fromkeys(name for name in found if name))


def _read_keywords(path: Path) -> dict[str, str]:
    """Return what the letters a-z mean in this Maildir."""
    try:
        lines = (path / _KEYWORDS_FILE).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    meanings = {}
    for line in lines:
        number, _, name = line.partition(" ")
        if number.isdigit() and int(number) < len(_KEYWORD_LETTERS) and keywords_of([name]):
            meanings[_KEYWORD_LETTERS[int(number)]] = name
    return meanings


def read_message_file(path: Path) -> FileMessage:
    """
    Return the message of a file that holds just one.

    Its date is that of its delivery as the message tells it, else the time of the file.
    """
    found = path.stat()
    if found.st_size > APPEND_LITERAL_BYTES_MAX:
        return FileMessage(str(path), None, (), None, None, found.st_size)
    octets = path.read_bytes()
    moment = moment_of_delivery(octets) or (max(0, int(found.st_mtime)), None)
    return FileMessage(str(path), to_mailbox(octets), (), moment[0], moment[1], len(octets))


def moment_of_delivery(octets: bytes) -> tuple[int, int] | None:
    """Return when a message came, by Delivery-date, Received or Date; None if none of them tells."""
    return moment_of(header_field(octets, b"Delivery-date")) or header_moment(octets)


# --- writing --------------------------------------------------------------------------------------


class MaildirWriter:
    """
    Writes messages into a new Maildir; `close` writes what the letters of keywords mean.

    Args:
        path: a folder that does not exist yet, or is empty.
        crlf: keep the line ends of the mailbox instead of writing those of a file.

    """

    def __init__(self, path: Path, *, crlf: bool = False) -> None:
        self._path = path
        self._crlf = crlf
        self._letters: dict[str, str] = {}
        self.keywords_lost: set[str] = set()
        """Keywords beyond the 26 for which the format has letters."""
        for folder in ("tmp", "new", "cur"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        host = socket.gethostname().replace("/", r"\057").replace(":", r"\072")
        # One second for all names, then the number: sorted by name the messages stay in their order.
        self._prefix = f"{clock.now_seconds()}.M"
        self._suffix = f"P{os.getpid()}.{host}"

    def write(self, message: StoredMessage) -> None:
        """Write one message: whole under `tmp`, then renamed to its place."""
        name = f"{self._prefix}{message.number:08}{self._suffix}"
        waiting = self._path / "tmp" / name
        waiting.write_bytes(message.data if self._crlf else to_file(message.data))
        os.utime(waiting, (message.received_at, message.received_at))
        waiting.rename(self._path / "cur" / f"{name}:2,{self._info(message.flags)}")

    def _info(self, flags: tuple[str, ...]) -> str:
        letters = []
        for flag in flags:
            letter = _FLAGS.get(flag.lower()) or self._letters.get(flag)
            if letter is None and len(self._letters) < len(_KEYWORD_LETTERS):
                letter = self._letters[flag] = _KEYWORD_LETTERS[len(self._letters)]
            if letter is None:
                self.keywords_lost.add(flag)
            else:
                letters.append(letter)
        return "".join(sorted(letters))

    def close(self) -> None:
        """Write the list of keywords, if there are any."""
        if self._letters:
            lines = "".join(f"{number} {name}\n" for number, name in enumerate(self._letters))
            (self._path / _KEYWORDS_FILE).write_text(lines, "utf-8")
