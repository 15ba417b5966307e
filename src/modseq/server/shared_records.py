"""
Numbers by key in one bounded piece of memory that several processes share.

Made before the workers are forked; each of them sees what the others write. A record takes the place of
the least recent one where there is no room, so the memory never grows and nobody has to tidy it.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modseq import clock

_RECORD = struct.Struct("<16sI4xdd")
_PLACES_PER_BUCKET = 8
"""A key may stand in this many places: a full table loses old records, not the newest."""


@dataclass(slots=True)
class Record:
    """
    What is known of one key.

    Attributes:
        count: how often something happened.
        last_seconds: when it happened last, on the clock that never falls.
        open_seconds: from when on it may happen again.

    """

    count: int = 0
    last_seconds: float = 0.0
    open_seconds: float = 0.0


class SharedMemory:
    """A piece of memory shared with the processes forked later, and a lock that a dying process lets go of."""

    def __init__(self, size: int) -> None:
        self._descriptor = os.memfd_create("modseq-records", os.MFD_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        os.ftruncate(self._descriptor, size)
        self.octets = mmap.mmap(self._descriptor, size)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Keep the other processes out: for some microseconds, and never while waiting for anything.

        The lock belongs to the process, not to the descriptor that it inherited with all others.
        """
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class RecordTable:
    """
    Records by key, a bounded number of them.

    Keys are kept as keyed digests: of equal size however long the key, and of places that nobody outside
    can foresee, so that nobody can choose keys which push out those of another.
    """

    @staticmethod
    def size_for(records_max: int) -> int:
        """Return the octets that so many records take."""
        return -(-records_max // _PLACES_PER_BUCKET) * _PLACES_PER_BUCKET * _RECORD.size

    def __init__(self, memory: SharedMemory, offset: int, records_max: int) -> None:
        self._octets = memory.octets
        self._offset = offset
        self._buckets = -(-records_max // _PLACES_PER_BUCKET)
        self._secret = clock.random_bytes(32)

    def find(self, key: str) -> Record | None:
        """Return the record of a key, None when there is none."""
        digest = self._digest(key)
        for at in self._places(digest):
            found, count, last_seconds, open_seconds = _RECORD.unpack_from(self._octets, at)
            if found == digest:
                return Record(count, last_seconds, open_seconds)
        return None

    def put(self, key: str, record: Record) -> None:
        """Keep the record of a key, in the place of the least recent one if there is no other."""
        digest = self._digest(key)
        oldest_at, oldest_seconds = -1, 0.0
        for at in self._places(digest):
            found, _, last_seconds, _ = _RECORD.unpack_from(self._octets, at)
            if found == digest:
                oldest_at = at
                break
            if oldest_at < 0 or last_seconds < oldest_seconds:
                oldest_at, oldest_seconds = at, last_seconds
        _RECORD.pack_into(
            self._octets, oldest_at, digest, record.count, record.last_seconds, record.open_seconds
        )

    def remove(self, key: str) -> None:
        """Forget a key."""
        digest = self._digest(key)
        for at in self._places(digest):
            if self._octets[at : at + len(digest)] == digest:
                self._octets[at : at + _RECORD.size] = bytes(_RECORD.size)

    def _digest(self, key: str) -> bytes:
        octets = key.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(octets, key=self._secret, digest_size=16).digest()

    def _places(self, digest: bytes) -> range:
        bucket = int.from_bytes(digest[:8], "little") % self._buckets
        first = self._offset + bucket * _PLACES_PER_BUCKET * _RECORD.size
        return range(first, first + _PLACES_PER_BUCKET * _RECORD.size, _RECORD.size)
