"""Work done ahead of the lock, kept for as long as it holds."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from modseq.core.flags import Palette
from modseq.core.message import MessageChunk

Decision = TypeVar("Decision")


class Decisions(Generic[Decision]):
    """What was decided for each block, valid for as long as the block is the same object.

    Published blocks never change, so identity says that nothing moved: a huge operation is worked out
    ahead of the lock, and under the lock only the blocks that others touched are looked at again.
    """

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[int, tuple[MessageChunk, Decision]] = {}

    def find(self, number: int, chunk: MessageChunk) -> Decision | None:
        """Return the decision for a block, None if none was made or the block is another object by now."""
        made = self._made.get(number)
        return made[1] if made is not None and made[0] is chunk else None

    def keep(self, number: int, chunk: MessageChunk, decision: Decision) -> None:
        """Keep a decision made on a published block."""
        self._made[number] = (chunk, decision)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a block becomes.

    Attributes:
        base: the published block, None for one that is new.
        result: the block after the change, None when it is then empty.
        mod_seq: the number that the change was expected to take.
    """

    base: MessageChunk | None
    result: MessageChunk | None
    mod_seq: int = 0


@dataclass(slots=True)
class Foresight:
    """The blocks of a mailbox after a change, by number, for each of its steps.

    Each holds only while the block is the object that it was worked out from, and the mailbox has the palette whose
    numbers are in it.
    """

    palette: Palette
    appended: dict[int, Foreseen] = field(default_factory=dict)
    edited: dict[int, Foreseen] = field(default_factory=dict)
    vanished: dict[int, Foreseen] = field(default_factory=dict)
