"""The housekeeping of one account: when to fold, trim and checkpoint, one short step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modseq import clock, limits
from modseq.core.change import Change
from modseq.core.mailbox import MailboxState
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.folding import Fold, trim_log
from modseq.storage.sqlite.rows import is_untidy, tidy

_OVERDUE = 2
"""Times its measure at which housekeeping no longer waits for the queue to be empty."""


@dataclass(slots=True)
class _Unfolded:
    """How far a mailbox is folded, as far as this process knows, and what came after."""

    folded_mod_seq: int
    weight: int = 0


class Chores:
    """What is to be done; used on the event loop, while steps run in the writer's thread."""

    def __init__(self) -> None:
        self._unfolded: dict[int, _Unfolded] = {}
        self._due: list[int] = []
        self._fold: Fold | None = None
        self._trims: list[int] = []
        self._running: str = ""
        # A process that ended may have left something behind: looked at once, which costs microseconds.
        self._untidy = True
        self._tidied = False
        self._staging: set[int] = set()
        self._failed = False

    def resume(self) -> None:
        """Try again: a commit went through, so a disk that failed may have healed."""
        self._failed = False

    def begin(self, state: MailboxState, folded_mod_seq: int) -> None:
        """Begin to watch a mailbox that was loaded."""
        self._unfolded[state.mailbox_id] = _Unfolded(folded_mod_seq)
        self._consider(state)

    def note(self, state: MailboxState, changes: Sequence[Change]) -> None:
        """Take note of changes that were published."""
        known = self._unfolded.get(state.mailbox_id)
        if known is None:
            known = self._unfolded[state.mailbox_id] = _Unfolded(state.history.floor)
        for change in changes:
            known.weight += change.weight
            if len(change.vanished) > limits.ROWS_PER_COMMIT_MAX:
                self._untidy = True
        self._consider(state)

    def _consider(self, state: MailboxState) -> None:
        known = self._unfolded[state.mailbox_id]
        if (
            state.mod_seq - known.folded_mod_seq >= limits.LOG_ROWS_FOLD_MIN
            or known.weight >= limits.LOG_WEIGHT_FOLD_MIN
        ) and state.mailbox_id not in self._due:
            self._due.append(state.mailbox_id)

    def drop(self, mailbox_id: int) -> None:
        """Forget a mailbox that was deleted."""
        self._unfolded.pop(mailbox_id, None)
        self._untidy = True
        if mailbox_id in self._due:
            self._due.remove(mailbox_id)

    def begin_staging(self, token: int) -> None:
        """Take note that a copy writes its rows ahead: they are not tidied away."""
        self._staging.add(token)

    def end_staging(self, token: int) -> None:
        """Take note that the copy was committed or given up: what is left of its rows may go."""
        self._staging.discard(token)
        self._untidy = True

    def are_overdue(self, files: AccountFiles) -> bool:
        """True when a step must be made although operations are waiting."""
        if self._failed:
            return False
        if files.wal_pages >= _OVERDUE * limits.WAL_PAGES_CHECKPOINT_MIN:
            return True
        return any(
            known.weight >= _OVERDUE * limits.LOG_WEIGHT_FOLD_MIN for known in self._unfolded.values()
        ) or bool(self._fold or self._due)

    def next_step(self, files: AccountFiles, states: Mapping[int, MailboxState]) -> Callable[[], None] | None:
        """Return the next step to run in the writer's thread, None when nothing is to be done."""
        if self._failed:
            return None
        if files.wants_checkpoint:
            self._running = "checkpoint"
            return files.checkpoint
        if self._fold is None and self._due:
            mailbox_id = self._due.pop(0)
            state = states.get(mailbox_id)
            if state is not None:
                self._fold = Fold(mailbox_id, state.mod_seq)
        if self._fold is not None:
            state = states.get(self._fold.mailbox_id)
            if state is None or state.mod_seq < self._fold.goal:
                self._fold = None
            else:
                self._running = "fold"
                return self._fold_step(files, self._fold, state)
        if self._trims:
            self._running = "trim"
            return self._trim_step(files, self._trims[0])
        if self._untidy:
            self._running = "tidy"
            self._untidy = False
            return self._tidy_step(files)
        return None

    def _fold_step(self, files: AccountFiles, fold: Fold, state: MailboxState) -> Callable[[], None]:
        if fold.folded_from is None:
            return lambda: fold.begin(files.writer, state)
        if not fold.chunks_written:
            return lambda: run_step(files, lambda connection: fold.write_chunks(connection, state))
        folded_from, goal = fold.folded_from, fold.goal
        now = clock.now_seconds()
        if state.history.floor > folded_from:
            # Rare: the history in memory no longer reaches back to the last fold.
            return lambda: run_step(
                files, lambda connection: fold.finish_from_log(connection, state, files.settings, now)
            )
        vanished = [
            (change.mod_seq, change.vanished)
            for change in state.history.after(folded_from, goal)
            if change.vanished
        ]
        return lambda: run_step(
            files, lambda connection: fold.finish(connection, state, vanished, files.settings, now)
        )

    def _trim_step(self, files: AccountFiles, mailbox_id: int) -> Callable[[], None]:
        def step() -> None:
            more: list[bool] = []
            run_step(files, lambda connection: more.append(trim_log(connection, mailbox_id)))
            if not more[0]:
                self._trims.remove(mailbox_id)

        return step

    def _tidy_step(self, files: AccountFiles) -> Callable[[], None]:
        kept = frozenset(self._staging)

        def step() -> None:
            self._tidied = not is_untidy(files.writer, kept)
            if not self._tidied:
                run_step(files, lambda connection: tidy(connection, kept))

        return step

    def done(self, *, failed: bool) -> None:
        """Take note that the step returned by `next_step` ended."""
        # A step that failed is not tried again at once: whoever waits for a commit comes first.
        self._failed = failed
        fold = self._fold
        if self._running == "fold" and fold is not None:
            if failed:
                self._fold = None
            elif fold.finished:
                self._fold = None
                known = self._unfolded.get(fold.mailbox_id)
                if known is not None:
                    known.folded_mod_seq = max(known.folded_mod_seq, fold.goal)
                    known.weight = 0
                    if fold.mailbox_id not in self._trims:
                        self._trims.append(fold.mailbox_id)
        elif self._running == "trim" and failed:
            self._trims.clear()
        elif self._running == "tidy" and (failed or not self._tidied):
            self._untidy = True
        self._running = ""
