"""Several processes that serve the same addresses: started, watched, started again, stopped together.

The parent binds every address once, so that port 0 means the same port to all, and serves nothing
itself. TCP sockets are bound again by each worker (SO_REUSEPORT: the kernel deals connections out);
the parent's own never listens and only keeps the port. Unix sockets are inherited and shared.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modseq import clock
from modseq.limits import OPEN_FILES_MAX, STOP_SECONDS_MAX, WORKER_RESTART_SECONDS_MAX
from modseq.server import logs, settings, worker
from modseq.server.addresses import Address, TcpAddress, UnixAddress, address_of, bind
from modseq.server.settings import Settings, SettingsError
from modseq.server.throttle import LoginRecords
from modseq.server.worker import OpenStore, Worker

_log = logging.getLogger(__name__)

_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_LONG_LIFE_SECONDS = 60.0
"""A worker that lived longer did not die of how it was started."""


def serve(
    chosen: Settings,
    open_store: OpenStore,
    announce: Callable[[str], None] = print,
) -> int:
    """
    Serve until SIGTERM or SIGINT; return the exit status.

    Args:
        chosen: the settings, read and checked.
        open_store: opens the mail in a worker.
        announce: says one line for each listener once all serve.

    Raises SettingsError for an address or a certificate that cannot be used.

    """
    worker.read_certificate(chosen)
    _allow_many_files()
    is_shared = chosen.workers > 1
    sockets = _bind_all(settings.addresses(chosen), is_shared=is_shared)
    logs.set_up(chosen.log_level, chosen.log_format, "1" if not is_shared else "supervisor")

    listening = [(protocol, address_of(bound)) for protocol, bound in sockets]

    def ready() -> None:
        _announce(chosen, listening, announce)

    try:
        if not is_shared:
            worker.run(Worker(chosen, "1", open_store, sockets), use_uvloop=chosen.uvloop, ready=ready)
            return 0
        return _Supervisor(chosen, open_store, sockets, ready).run()
    finally:
        for _, bound in sockets:
            bound.close()
        for _, address in listening:
            _unlink(address)
        if chosen.ready_file:
            Path(chosen.ready_file).unlink(missing_ok=True)


def _bind_all(wanted: Sequence[tuple[str, Address]], *, is_shared: bool) -> list[tuple[str, socket.socket]]:
    sockets: list[tuple[str, socket.socket]] = []
    for protocol, address in wanted:
        try:
            sockets.append((protocol, bind(address, is_shared=is_shared)))
        except OSError as error:
            for _, bound in sockets:
                bound.close()
            raise SettingsError(f"cannot listen on {address}: {error.strerror or error}") from error
    return sockets


def _allow_many_files() -> None:
    """Ask for as many descriptors as the system lets this user have, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _unlink(address: Address) -> None:
    if isinstance(address, UnixAddress):
        Path(address.path).unlink(missing_ok=True)


def _announce(
    chosen: Settings, listening: Sequence[tuple[str, Address]], announce: Callable[[str], None]
) -> None:
    """Say and write down where the server can be reached."""
    for protocol, address in listening:
        announce(f"{protocol} {address}")
    sys.stdout.flush()
    if chosen.ready_file:
        facts = {
            "pid": os.getpid(),
            "workers": chosen.workers,
            "listeners": [_facts(protocol, address) for protocol, address in listening],
        }
        path = Path(chosen.ready_file)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(facts) + "\n", "utf-8")
        partial.replace(path)


def _facts(protocol: str, address: Address) -> dict[str, str | int]:
    if isinstance(address, UnixAddress):
        return {"protocol": protocol, "path": address.path}
    return {"protocol": protocol, "host": address.host, "port": address.port}


@dataclass(slots=True)
class _Child:
    """A worker process, and when it was started."""

    name: str
    pid: int
    started_seconds: float


class _Supervisor:
    """The parent of all workers."""

    def __init__(
        self,
        chosen: Settings,
        open_store: OpenStore,
        sockets: Sequence[tuple[str, socket.socket]],
        ready: Callable[[], None],
    ) -> None:
        self._settings = chosen
        self._open_store = open_store
        self._sockets = sockets
        self._ready = ready
        self._login_records = LoginRecords()
        self._children: dict[int, _Child] = {}
        self._due: dict[str, float] = {}
        """Workers to start, and when."""
        self._deaths: dict[str, int] = {}
        # Workers hold the reading end: it tells them that the parent is gone however it died.
        self._lifeline_read, self._lifeline_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        os.set_blocking(self._ready_read, False)

    def run(self) -> int:
        """Start the workers and keep them alive until told to stop."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        waiting_for = self._settings.workers
        self._due = {str(number): 0.0 for number in range(1, self._settings.workers + 1)}
        try:
            while True:
                self._start_due()
                if waiting_for > 0:
                    waiting_for -= self._count_ready()
                    if waiting_for <= 0:
                        self._ready()
                arrived = signal.sigtimedwait(_WATCHED, 0.05 if waiting_for > 0 else self._pause_seconds())
                if arrived is not None and arrived.si_signo != signal.SIGCHLD:
                    return self._stop()
                if not self._reap() and waiting_for > 0:
                    _log.error("a worker could not start")
                    self._stop()
                    return 1
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for descriptor in (
                self._lifeline_read,
                self._lifeline_write,
                self._ready_read,
                self._ready_write,
            ):
                os.close(descriptor)

    # --- starting ---

    def _start_due(self) -> None:
        now = clock.monotonic_seconds()
        for name in [name for name, when in self._due.items() if when <= now]:
            del self._due[name]
            pid = os.fork()
            if pid == 0:
                self._be_worker(name)
            self._children[pid] = _Child(name, pid, now)

    def _be_worker(self, name: str) -> None:
        """Serve in the child process; never returns."""
        status = 1
        try:
            os.close(self._lifeline_write)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            logs.set_up(self._settings.log_level, self._settings.log_format, name)
            chosen = self._settings
            served = Worker(
                chosen, name, self._open_store, self._own_sockets(), login_records=self._login_records
            )
            worker.run(
                served, use_uvloop=chosen.uvloop, ready=self._report_ready, lifeline=self._lifeline_read
            )
            status = 0
        except BaseException:  # noqa: BLE001 -- the child must not run on into the parent's code
            _log.exception("worker %s failed", name)
        finally:
            logging.shutdown()
            os._exit(status)

    def _own_sockets(self) -> list[tuple[str, socket.socket]]:
        """Return this worker's sockets on the addresses that the parent holds."""
        own = []
        for protocol, held in self._sockets:
            address = address_of(held)
            if isinstance(address, TcpAddress):
                own.append((protocol, bind(address, is_shared=True)))
                held.close()
            else:
                own.append((protocol, held))
        return own

    def _report_ready(self) -> None:
        os.write(self._ready_write, b".")

    def _count_ready(self) -> int:
        try:
            return len(os.read(self._ready_read, 4096))
        except BlockingIOError:
            return 0

    # --- watching ---

    def _pause_seconds(self) -> float:
        """Return how long nothing needs to be done unless a signal arrives."""
        if not self._due:
            return 3600.0
        return max(0.0, min(self._due.values()) - clock.monotonic_seconds())

    def _reap(self) -> bool:
        """Bury dead workers and plan their return, later each time; return False if one died at once."""
        all_well = True
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            del self._children[pid]
            all_well = False
            now = clock.monotonic_seconds()
            if now - child.started_seconds > _LONG_LIFE_SECONDS:
                self._deaths.pop(child.name, None)
            deaths = self._deaths[child.name] = self._deaths.get(child.name, 0) + 1
            pause = min(0.1 * 2.0 ** (deaths - 1), WORKER_RESTART_SECONDS_MAX)
            self._due[child.name] = now + pause
            _log.error(
                "worker %s died (%s); it starts again in %.1f s", child.name, _how_it_ended(status), pause
            )
        return all_well

    # --- stopping ---

    def _stop(self) -> int:
        """Let all workers finish; kill those that do not."""
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = clock.monotonic_seconds() + STOP_SECONDS_MAX + 5
        while self._children and (left := deadline - clock.monotonic_seconds()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, min(left, 0.2))
            for pid in list(self._children):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._children[pid]
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return 1 if self._children else 0


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
