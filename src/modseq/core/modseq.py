"""The mod-sequence: the number that every change of a mailbox carries.

RFC: 7162 section 3.1, 7
"""

from typing import NewType

ModSeq = NewType("ModSeq", int)
"""A mod-sequence, 1 to 2^63-1; 0 stands only for "before everything" in requests."""

AnnouncedModSeq = NewType("AnnouncedModSeq", int)
"""The highest mod-sequence that a session has put on the wire."""

SafeModSeq = NewType("SafeModSeq", int)
"""The highest mod-sequence that a client may store without missing a withheld VANISHED.

RFC: 7162 section 3.2
"""

MOD_SEQ_MAX = 2**63 - 1
