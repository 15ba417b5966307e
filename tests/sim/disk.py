"""
The one disk of the simulated machine: what each process writes, what is synced, and what goes wrong.

It builds on the record of `storage.power`: after a power cut every page and every name that was not synced is
there or is not. Each call of a process is also a moment at which others may run, and at which it may die.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import apsw

from modseq.storage.disk import Disk
from modseq.storage.locks import TurnLock
from storage.power import Event, RecordingDisk, Ruins, _File, _RecordingVFS

FAULTS = {"io": errno.EIO, "sync": errno.EIO, "full": errno.ENOSPC}
_REFUSED = {"full": ("write", "make-directory", "open"), "sync": ("sync",)}
"""Which calls fail of a fault that spares the others."""


class Dead(OSError):
    """The process was killed, or the machine has no power: nothing more of it reaches the disk."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "dead")


class MachineDisk:
    """
    What the disk holds, and what would be left of it.

    Attributes:
        calls: how often any process has called the disk.
        has_failed: whether a call has failed.
        syncs: False for a disk that lies: syncs are reported and not made.

    """

    def __init__(self, root: Path, *, syncs: bool = True) -> None:
        self.root = root
        self.syncs = syncs
        self.calls = 0
        self._ruins = Ruins()
        self.has_failed = False
        self._fault = "io"
        self._fault_calls_left = 0
        for path in sorted(root.rglob("*")):
            if path.is_dir():
                self._ruins._directories.add(str(path))
                self._ruins._durable_directories.add(str(path))
            elif not path.name.endswith("-shm"):
                octets = path.read_bytes()
                file = _File(bytearray(octets), octets)
                self._ruins._names[str(path)] = self._ruins._durable_names[str(path)] = file

    def note(self, event: Event) -> None:
        if self.syncs or not event.kind.startswith("sync"):
            self._ruins.apply(event)

    def fail(self, kind: str, calls: int) -> None:
        """Let the next so many calls fail: `io` any, `sync` those that sync, `full` those that need room."""
        self._fault, self._fault_calls_left = kind, calls

    def heal(self) -> None:
        self._fault_calls_left = 0

    def meet(self, kind: str, path: str) -> None:
        """Count a call; raise OSError if it is to fail."""
        self.calls += 1
        if self._fault_calls_left and kind in _REFUSED.get(self._fault, (kind,)):
            self._fault_calls_left -= 1
            self.has_failed = True
            code = FAULTS[self._fault]
            raise OSError(code, os.strerror(code), path)

    def after_power_cut(self, target: Path, picks: random.Random) -> None:
        """Write out what may be found when the power is back."""
        self._ruins.materialize(self.root, target, picks)


class ProcessDisk(RecordingDisk):
    """The machine's disk as one process sees it; `pause` is called before each call with its kind and path."""

    def __init__(
        self, machine: MachineDisk, pause: Callable[[str, str], None], is_dead: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._machine = machine
        self._pause = pause
        self.is_dead = is_dead
        self._vfs.unregister()
        self._vfs = _ProcessVFS(self.vfs, self)

    def note(self, kind, path="", offset=0, data=b"", fact=None):
        self._machine.note(Event(kind, str(path), offset, bytes(data)))

    def meet(self, kind, path):
        self._pause(kind, str(path))
        self._machine.meet(kind, str(path))

    def open_file(self, path, *, create):
        if create:
            return super().open_file(path, create=True)
        # Another kind of call than the record's: it needs no room.
        self.meet("open again", path)
        fd = Disk.open_file(self, path, create=False)
        self._paths[fd] = str(path)
        return fd

    def close(self, fd):
        self._paths.pop(fd, None)
        super().close(fd)


class _ProcessVFS(_RecordingVFS):
    def xDelete(self, name, sync_directory):
        # SQLite deletes a log when it closes, where nobody could be told of an error.
        with contextlib.suppress(apsw.Error):
            if not self._disk.is_dead():
                super().xDelete(name, sync_directory)


class SimTurnLock(TurnLock):
    """
    The turn of a process in this simulation; others run while it is held, and a dead process touches nothing.

    Whoever drives the simulation begins no job that writes while another holds the turn, so nobody waits.
    """

    __slots__ = ("_is_closed", "_is_dead", "_pause")

    def __init__(
        self, directory: Path, pause: Callable[[str, str], None], is_dead: Callable[[], bool]
    ) -> None:
        super().__init__(directory)
        self._pause = pause
        self._is_dead = is_dead
        self._is_closed = False

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            super().close()

    def announce(self, *, own: bool = True) -> None:
        self._pause("announce", "turn")
        if not self._is_dead():
            super().announce(own=own)

    def settle(self) -> int:
        with contextlib.suppress(Dead):
            self._pause("settle", "turn")
        return self.count if self._is_dead() else super().settle()
