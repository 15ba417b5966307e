"""A disk that remembers every write and sync, and what a power cut would leave of them.

`RecordingDisk` sees database, write-ahead log, segments and directories in one order. `Ruins` replays that
record up to a moment and writes out a directory as it may be found after the power came back: every 4 KiB
page that was not synced is there or is not, and so is every name whose directory was not synced.
"""

import errno
import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from modseq.storage.disk import Disk

PAGE_BYTES = 4096
_numbers = itertools.count()
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_EXTENDED = {
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that reached the disk, or (kind "ack") was told to a client."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    fact: object = None


class RecordingDisk(Disk):
    """Passes everything on and remembers it; `fault` may raise instead, with a call's kind and path.

    It lies about the syncs of files and directories whose path ends in `lies_about`.
    """

    def __init__(self, lies_about: str | None = None) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.fault: Callable[[str, str], None] | None = None
        self.lies_about = lies_about
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        self.vfs = f"recording-{next(_numbers)}"
        self._vfs = _RecordingVFS(self.vfs, self)

    def note(
        self, kind: str, path: object = "", offset: int = 0, data: bytes = b"", fact: object = None
    ) -> None:
        if self.lies_about is not None and kind.startswith("sync") and str(path).endswith(self.lies_about):
            return
        with self._lock:
            self.events.append(Event(kind, str(path), offset, bytes(data), fact))

    def acknowledge(self, fact: object) -> None:
        self.note("ack", fact=fact)

    def meet(self, kind: str, path: object) -> None:
        if self.fault is not None:
            self.fault(kind, str(path))

    def make_directory(self, path):
        self.meet("make-directory", path)
        super().make_directory(path)
        self.note("make-directory", path)

    def open_file(self, path, *, create):
        self.meet("open", path)
        fd = super().open_file(path, create=create)
        self._paths[fd] = str(path)
        if create:
            self.note("create", path)
        return fd

    def write(self, fd, buffers, offset):
        self.meet("write", self._paths[fd])
        super().write(fd, buffers, offset)
        self.note("write", self._paths[fd], offset, b"".join(buffers))

    def sync(self, fd):
        self.meet("sync", self._paths[fd])
        self.note("sync", self._paths[fd])

    def sync_directory(self, path):
        self.meet("sync-directory", path)
        self.note("sync-directory", path)

    def unlink(self, path):
        self.meet("unlink", path)
        super().unlink(path)
        self.note("unlink", path)

    def unregister(self) -> None:
        self._vfs.unregister()


class _RecordingVFS(apsw.VFS):
    def __init__(self, name: str, disk: RecordingDisk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name, flags):
        return _RecordingFile(self._disk, name, flags)

    def xDelete(self, name, sync_directory):
        _reporting(self._disk, "unlink", name)
        super().xDelete(name, sync_directory)
        self._disk.note("unlink", name)
        if sync_directory:
            self._disk.note("sync-directory", Path(name).parent)


class _RecordingFile(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
        fresh = self._path is not None and not Path(self._path).exists()
        # SQLite's own VFS syncs the directory with the first sync through a descriptor that may have made
        # a log or journal; not for a database.
        self._syncs_directory = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("", name, flags)
        if fresh:
            disk.note("create", self._path)

    def xWrite(self, data, offset):
        _reporting(self._disk, "write", self._path)
        super().xWrite(data, offset)
        self._disk.note("write", self._path, offset, data)

    def xTruncate(self, size):
        _reporting(self._disk, "truncate", self._path)
        super().xTruncate(size)
        self._disk.note("truncate", self._path, size)

    def xSync(self, flags):
        # Nothing is really synced: the tests look at the record, and hundreds of syncs would take seconds.
        _reporting(self._disk, "sync", self._path)
        self._disk.note("sync", self._path)
        if self._syncs_directory:
            self._syncs_directory = False
            self._disk.note("sync-directory", Path(self._path).parent)


def _reporting(disk: RecordingDisk, kind: str, path) -> None:
    """Meet a fault as SQLite's own VFS would report it."""
    try:
        disk.meet(kind, path)
    except OSError as error:
        if error.errno == errno.ENOSPC and kind == "write":
            raise apsw.FullError("full") from error
        failure = apsw.IOError(kind)
        failure.extendedresult = _EXTENDED.get(kind, apsw.SQLITE_IOERR)
        raise failure from error


@dataclass(slots=True)
class _File:
    current: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


class Ruins:
    """The disk as a record leaves it, event by event."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}
        self._directories: set[str] = set()
        self._durable_directories: set[str] = set()

    def apply(self, event: Event) -> None:
        path = event.path
        if event.kind == "make-directory":
            self._directories.add(path)
        elif event.kind == "create":
            self._names[path] = _File()
        elif event.kind == "unlink":
            self._names.pop(path, None)
        elif event.kind == "sync-directory":
            self._sync_directory(path)
        elif event.kind in ("write", "truncate", "sync"):
            self._touch(event)

    def _touch(self, event: Event) -> None:
        file = self._names.get(event.path)
        if file is None:
            return
        if event.kind == "write":
            end = event.offset + len(event.data)
            if len(file.current) < end:
                file.current.extend(bytes(end - len(file.current)))
            file.current[event.offset : end] = event.data
        elif event.kind == "truncate":
            del file.current[event.offset :]
        else:
            file.durable = bytes(file.current)

    def _sync_directory(self, directory: str) -> None:
        for path in {*self._names, *self._durable_names}:
            if _parent(path) == directory:
                if path in self._names:
                    self._durable_names[path] = self._names[path]
                else:
                    self._durable_names.pop(path, None)
        self._durable_directories |= {path for path in self._directories if _parent(path) == directory}

    def materialize(self, root: Path, target: Path, rng: random.Random) -> None:
        """Write out what may be found under `root`, as `target`."""

        def moved(path: str) -> Path:
            return target / os.path.relpath(path, root)

        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(self._directories):
            kept = path in self._durable_directories or rng.random() < 0.5
            if kept and moved(path).parent.is_dir():
                moved(path).mkdir(exist_ok=True)
        for path in sorted({*self._names, *self._durable_names}):
            choices = [self._names.get(path), self._durable_names.get(path)]
            file = rng.choice(choices)
            if file is not None and moved(path).parent.is_dir():
                moved(path).write_bytes(_pages(file, rng))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _pages(file: _File, rng: random.Random) -> bytes:
    """Return the content of a file in which each unsynced page is there or is not."""
    now, then = bytes(file.current), file.durable
    if now == then:
        return now
    size = rng.choice((len(now), len(then)))
    everything = rng.random()
    kept = bytearray()
    for start in range(0, max(len(now), len(then)), PAGE_BYTES):
        old, new = then[start : start + PAGE_BYTES], now[start : start + PAGE_BYTES]
        page = new if rng.random() < everything else old
        if page is new and new != old:
            size = max(size, start + len(new))
        kept += page.ljust(PAGE_BYTES, b"\0")
    return bytes(kept[:size].ljust(size, b"\0"))


def cuts(events: list[Event]) -> Iterator[int]:
    """Yield the moments before and after each sync, and before each acknowledgement."""
    for at, event in enumerate(events):
        if event.kind in ("sync", "sync-directory"):
            yield at
            yield at + 1
        elif event.kind == "ack":
            yield at + 1
