"""Work done ahead of the lock, kept for as long as it holds."""

from typing import Generic, TypeVar

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
