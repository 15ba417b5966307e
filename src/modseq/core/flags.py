"""Flags and keywords: names at the edge, bit masks inside.

RFC: 3501 section 2.3.2
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from modseq import limits
from modseq.core.errors import KeywordLimitReached

ANSWERED, FLAGGED, DELETED, SEEN, DRAFT = (1 << bit for bit in range(5))
SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
"""Names by bit number. ``\\Recent`` is no stored flag: it belongs to a session."""

SYSTEM_MASK = 0b11111
KEYWORD_BIT_MIN = len(SYSTEM_FLAGS)

_growing = threading.Lock()
"""Held while a palette grows, which is rare: one lock serves them all."""

_SYSTEM_BITS = {name.lower(): bit for bit, name in enumerate(SYSTEM_FLAGS)}


def bits(mask: int) -> list[int]:
    """Return the bit numbers that are set, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


@dataclass(frozen=True, slots=True)
class FlagTable:
    """The keywords that a mailbox knows; bit 5 is the first keyword's.

    A keyword keeps its bit for ever, and keywords are the same whatever their case: the spelling that
    came first is the one that is told. Immutable: a draft that fails leaves no keyword behind.
    """

    keywords: tuple[str, ...] = ()
    _bits: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._bits.update(_SYSTEM_BITS)
        self._bits.update({name.lower(): bit for bit, name in enumerate(self.keywords, KEYWORD_BIT_MIN)})

    def bit(self, name: str) -> int | None:
        """Return the bit number of a flag or keyword, None when the mailbox has no such keyword."""
        return self._bits.get(name.lower())

    def mask(self, names: Iterable[str]) -> int | None:
        """Return the mask of these flags, None when one of them is a keyword not known here."""
        mask = 0
        for name in names:
            bit = self._bits.get(name.lower())
            if bit is None:
                return None
            mask |= 1 << bit
        return mask

    def known_mask(self, names: Iterable[str]) -> int:
        """Return the mask of those of these flags that the mailbox knows."""
        found = (self._bits.get(name.lower()) for name in names)
        mask = 0
        for bit in found:
            if bit is not None:
                mask |= 1 << bit
        return mask

    def with_keywords(self, names: Iterable[str]) -> "FlagTable":
        """Return a table that knows these flags too; the same table when it knows them all.

        Raises:
            KeywordLimitReached: the mailbox would hold too many keywords.
        """
        added: dict[str, str] = {}
        for name in names:
            if name.lower() not in self._bits:
                added.setdefault(name.lower(), name)
        if not added:
            return self
        keywords = (*self.keywords, *added.values())
        if len(keywords) > limits.KEYWORDS_PER_MAILBOX_MAX:
            raise KeywordLimitReached(f"A mailbox holds at most {limits.KEYWORDS_PER_MAILBOX_MAX} keywords.")
        return FlagTable(keywords)

    def names(self, mask: int) -> tuple[str, ...]:
        """Return the names of the flags in a mask, system flags first."""
        keywords = self.keywords
        return tuple(
            SYSTEM_FLAGS[bit] if bit < KEYWORD_BIT_MIN else keywords[bit - KEYWORD_BIT_MIN]
            for bit in bits(mask)
        )


def masks_max(in_use: int) -> int:
    """Return how many masks a palette may have when so many are in use; with more it is crowded."""
    return max(2 * in_use, limits.PALETTE_MASKS_UNUSED_MAX)


class Palette:
    """The different flag masks of a mailbox, numbered in order of appearance.

    Messages have few different combinations of flags, so a message stores a number of 32 bits whatever
    the number of keywords, and what is derived from a mask (its text, its successor under a STORE) is
    computed once per combination. Only grows, belongs to one process, and means nothing outside of it. Before
    masks that no message has any more fill it, a state gets another one (``MailboxState.tidied``).
    """

    __slots__ = ("_indexes", "_masks_max", "masks", "texts")

    def __init__(self, masks: Iterable[int] = (0,)) -> None:
        self.masks = list(masks)
        self.texts: dict[int, bytes] = {}
        self._indexes = {mask: index for index, mask in enumerate(self.masks)}
        self._masks_max = masks_max(len(self.masks))

    @property
    def is_crowded(self) -> bool:
        """True when so many masks have come that most of them may be those of no message any more."""
        return len(self.masks) > self._masks_max

    def index(self, mask: int) -> int:
        """Return the number of a mask, a new one when it was never seen."""
        index = self._indexes.get(mask)
        return self._added(mask) if index is None else index

    def _added(self, mask: int) -> int:
        # A committing thread and one that catches up may both meet a new mask. The list grows before the
        # number is known to others: a reader in another thread never meets a number without its mask.
        with _growing:
            index = self._indexes.get(mask)
            if index is None:
                self.masks.append(mask)
                index = self._indexes[mask] = len(self.masks) - 1
            return index
