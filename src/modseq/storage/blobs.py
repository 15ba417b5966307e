"""Bodies: append-only segments, each written by one process at a time.

A segment is a row of records, each a header and the octets of one message, perhaps compressed. Nothing in
a segment is ever overwritten. Where a record lies is known from the database alone: octets that no row
names (a batch that failed, a message that was expunged) are garbage until the segment is compacted.

Whoever writes a segment holds a lock on it. A process that starts continues a segment that nobody writes,
so restarts leave no trail of small files.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from modseq import limits
from modseq.storage.disk import Disk

_HEADER = struct.Struct("<4sIIIQI")
HEADER_BYTES = _HEADER.size
_MAGIC = b"MSQ1"
_PLAIN, _ZSTD = 0, 1
_SUFFIX = ".seg"


class BodyDamaged(ValueError):
    """The octets at a location are not the record that should be there."""


class SegmentGone(LookupError):
    """The segment was compacted away: the database knows the new location."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a body lies: segment number, offset of the record's header, and octets stored after it."""

    segment: int
    offset: int
    stored_length: int

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + HEADER_BYTES + self.stored_length


def segment_path(directory: Path, number: int) -> Path:
    """Return the file of a segment."""
    return directory / f"{number:08}{_SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Return the numbers of all segments in a directory, ascending."""
    names = os.listdir(directory)  # noqa: PTH208 -- a Path for each name would cost more than the listing
    return sorted(int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX))


def _record(email_id: int, data: bytes, *, compress: bool) -> tuple[bytes, bytes]:
    """Return header and stored octets of a body."""
    codec, stored = _PLAIN, data
    if compress and len(data) <= limits.COMPRESSED_BODY_BYTES_MAX:
        squeezed = zstandard.ZstdCompressor(level=1).compress(data)
        if len(squeezed) < len(data):
            codec, stored = _ZSTD, squeezed
    return _framed(codec, email_id, len(data), stored), stored


def _framed(codec: int, email_id: int, size: int, stored: bytes) -> bytes:
    header = _HEADER.pack(_MAGIC, codec, size, len(stored), email_id, 0)
    checksum = zlib.crc32(stored, zlib.crc32(header[:-4]))
    return header[:-4] + checksum.to_bytes(4, "little")


def _split(header: bytes, email_id: int, location: Location) -> tuple[int, int, int]:
    """Return codec, size and checksum from a header after checking that it is the record wanted."""
    if len(header) != HEADER_BYTES:
        raise BodyDamaged("The segment ends before the record.")
    magic, codec, size, stored_length, owner, checksum = _HEADER.unpack(header)
    if (magic, stored_length, owner) != (_MAGIC, location.stored_length, email_id) or codec > _ZSTD:
        raise BodyDamaged("The header is not that of the record.")
    return codec, size, checksum


class SegmentWriter:
    """Appends bodies to segments of its own; used by one thread at a time."""

    def __init__(self, directory: Path, disk: Disk, *, compress: bool = False) -> None:
        self._directory = directory
        self._disk = disk
        self._compress = compress
        self._fd: int | None = None
        self._number = 0
        self._end = 0

    @property
    def number(self) -> int | None:
        """The segment that is being written, None when there is none."""
        return None if self._fd is None else self._number

    def append(self, bodies: Iterable[tuple[int, bytes]], next_segment: int) -> list[Location]:
        """Write bodies and return where they lie, once they are durable.

        Args:
            bodies: number and octets of each.
            next_segment: no segment below this number may be made.

        Raises:
            OSError: nothing of it counts.
        """
        return self.append_stored(
            [(email_id, *_record(email_id, data, compress=self._compress)) for email_id, data in bodies],
            next_segment,
        )

    def append_stored(
        self, records: Sequence[tuple[int, bytes, bytes]], next_segment: int, *, fresh: bool = False
    ) -> list[Location]:
        """Write records that are framed already: number, header and stored octets of each.

        Args:
            fresh: do not continue a segment that is there.
        """
        if self._fd is not None and self._end >= limits.SEGMENT_BYTES_MAX:
            self.close()
        if self._fd is None:
            self._open(next_segment, fresh=fresh)
        assert self._fd is not None
        locations, buffers = [], []
        end = self._end
        for _, header, stored in records:
            locations.append(Location(self._number, end, len(stored)))
            buffers += [header, stored]
            end += len(header) + len(stored)
        try:
            self._disk.write(self._fd, buffers, self._end)
            self._disk.sync(self._fd)
        except OSError:
            # After a failed sync the kernel holds pages for clean that are not on the disk. They belong to
            # this batch alone: opened again, the segment goes on behind them, wherever the file now ends.
            self.close()
            raise
        self._end = end
        return locations

    def _open(self, next_segment: int, *, fresh: bool) -> None:
        numbers = segment_numbers(self._directory)
        if not fresh:
            for number in reversed(numbers):
                if self._continue(number):
                    return
        number = max([next_segment, *(each + 1 for each in numbers)])
        while True:
            try:
                fd = self._disk.open_file(segment_path(self._directory, number), create=True)
            except FileExistsError:
                number += 1
                continue
            break
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._disk.sync_directory(self._directory)
        except OSError:
            self._disk.close(fd)
            raise
        self._fd, self._number, self._end = fd, number, 0

    def _continue(self, number: int) -> bool:
        path = segment_path(self._directory, number)
        try:
            fd = self._disk.open_file(path, create=False)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(fd).st_size
            if size < limits.SEGMENT_BYTES_MAX and os.fstat(fd).st_nlink:
                # Its maker may have died between making the file and syncing its name.
                self._disk.sync_directory(self._directory)
                self._fd, self._number, self._end = fd, number, size
                return True
        except BlockingIOError:
            pass
        except OSError:
            self._disk.close(fd)
            raise
        self._disk.close(fd)
        return False

    def close(self) -> None:
        """Let go of the segment: another process, or compaction, may take it."""
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = None


class SegmentReader:
    """Reads bodies; used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[int, int] = OrderedDict()

    def read(self, location: Location, email_id: int, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of a body.

        The checksum is verified when all of it is read; a piece of a large body is read by itself.

        Raises:
            SegmentGone: ask the database for the new location.
            BodyDamaged: the record is not what was written.
        """
        fd = self._descriptor(location.segment)
        whole = offset == 0 and length is None
        if not whole and location.stored_length > limits.COMPRESSED_BODY_BYTES_MAX:
            codec, size, _ = _split(os.pread(fd, HEADER_BYTES, location.offset), email_id, location)
            if codec == _PLAIN:
                end = size if length is None else min(size, offset + length)
                data = _pread(fd, max(0, end - offset), location.offset + HEADER_BYTES + offset)
                if len(data) < end - offset:
                    raise BodyDamaged("The segment ends within the record.")
                return data
        header, stored = self.read_stored(location, email_id)
        codec, size, _ = _split(header, email_id, location)
        data = stored if codec == _PLAIN else _expanded(stored, size)
        return data if whole else data[offset : None if length is None else offset + length]

    def read_stored(self, location: Location, email_id: int) -> tuple[bytes, bytes]:
        """Return header and stored octets of a body after verifying the checksum; raises as `read`."""
        fd = self._descriptor(location.segment)
        record = _pread(fd, HEADER_BYTES + location.stored_length, location.offset)
        header, stored = record[:HEADER_BYTES], record[HEADER_BYTES:]
        _, _, checksum = _split(header, email_id, location)
        if len(stored) != location.stored_length or zlib.crc32(stored, zlib.crc32(header[:-4])) != checksum:
            raise BodyDamaged("The checksum does not fit the octets.")
        return header, stored

    def _descriptor(self, number: int) -> int:
        fd = self._open.get(number)
        if fd is None:
            try:
                fd = os.open(segment_path(self._directory, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise SegmentGone(f"There is no segment {number} any more.") from None
            self._open[number] = fd
            if len(self._open) > limits.SEGMENT_FILES_OPEN_MAX:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(number)
        return fd

    def close(self) -> None:
        """Close the files."""
        while self._open:
            os.close(self._open.popitem()[1])


def _pread(fd: int, length: int, offset: int) -> bytes:
    """Read until `length` octets or the end of the file; one call returns at most 2 GB."""
    data = os.pread(fd, length, offset)
    while len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
        data += more
    return data


def _expanded(stored: bytes, size: int) -> bytes:
    try:
        data = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise BodyDamaged("The compressed octets are damaged.") from error
    if len(data) != size:
        raise BodyDamaged("The compressed octets are damaged.")
    return data


def lock_for_removal(directory: Path, number: int) -> Callable[[], None] | None:
    """Take the lock of a segment that nobody writes; None when somebody does, or it is gone.

    Returns the function that lets go of it.
    """
    try:
        fd = os.open(segment_path(directory, number), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return lambda: os.close(fd)
