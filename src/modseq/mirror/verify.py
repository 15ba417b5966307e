"""
Ask the server whether the copy is right, by another way than the one on which it was learned.

What FETCH and VANISHED told is asked again by SEARCH, in one command for a few hundred messages: "which
messages, of those that changed, have other flags than these, and which of those that are gone are there?"
The right answer is none. Its cost follows the changes, and a line that was lost, cut or made up on the way
shows as a UID in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from modseq import limits
from modseq.core.numset import NumSet

_SYSTEM = {
    "\\answered": "ANSWERED",
    "\\flagged": "FLAGGED",
    "\\deleted": "DELETED",
    "\\seen": "SEEN",
    "\\draft": "DRAFT",
}
_ATOM = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")


def keywords_among(*flag_sets: Iterable[str]) -> tuple[str, ...]:
    """Return the keywords named anywhere, once each whatever their case: those that SEARCH can ask for."""
    found: dict[str, str] = {}
    for flags in flag_sets:
        for flag in flags:
            if flag[:1] != "\\" and _ATOM.fullmatch(flag):
                found.setdefault(flag.lower(), flag)
    return tuple(sorted(found.values()))


def doubts_criteria(
    believed: Mapping[int, str],
    keywords: Sequence[str],
    *,
    also_changed_since: int | None,
    gone: NumSet = NumSet.EMPTY,
) -> Iterator[str]:
    """
    Yield searches that find what is not as the copy has it.

    Args:
        believed: flags by UID, joined, of the messages to be asked about.
        keywords: all that the mailbox knows.
        also_changed_since: find as well messages with a mod-sequence above this one that are not in
            `believed`; None where the mailbox keeps no mod-sequences.
        gone: UIDs that must not be there.
    """
    if gone:
        for part in _parts_of(gone):
            yield f"UID {part.to_bytes().decode('ascii')}"
    uids = sorted(believed)
    keywords = keywords[: limits.MIRROR_VERIFY_KEYWORDS_MAX]
    if not uids and also_changed_since is not None:
        yield f"MODSEQ {also_changed_since + 1}"
    start = 0
    while start < len(uids):
        count = min(limits.MIRROR_VERIFY_MESSAGES_MAX, len(uids) - start)
        while True:
            chunk = uids[start : start + count]
            belief = _belief({uid: believed[uid] for uid in chunk}, keywords)
            if len(belief) <= limits.MIRROR_VERIFY_LINE_BYTES_MAX or count == 1:
                break
            count //= 2
        # Each search looks at a stretch of its own; together they cover the mailbox.
        low = 1 if start == 0 else chunk[0]
        is_last = start + count >= len(uids)
        high = "*" if is_last else str(uids[start + count] - 1)
        named = f"UID {NumSet(chunk).to_bytes().decode('ascii')}"
        if also_changed_since is not None:
            stretch = f"UID {low}:{high}"
            named = f"OR {named} ({stretch} MODSEQ {also_changed_since + 1})"
        yield f"{named} NOT {belief}"
        start += count


def _parts_of(uids: NumSet) -> Iterator[NumSet]:
    """Cut a set into sets that a line can spell."""
    ranges = list(uids.ranges())
    step = limits.MIRROR_VERIFY_MESSAGES_MAX
    for start in range(0, len(ranges), step):
        yield NumSet.from_ranges(ranges[start : start + step])


def _belief(believed: Mapping[int, str], keywords: Sequence[str]) -> str:
    """Return a search key that is true of exactly the messages that are as believed."""
    groups: dict[str, list[int]] = {}
    for uid, flags in believed.items():
        groups.setdefault(flags, []).append(uid)
    alternatives = [
        f"(UID {NumSet(uids).to_bytes().decode('ascii')} {_conditions(flags, keywords)})"
        for flags, uids in sorted(groups.items())
    ]
    return _any_of(alternatives)


def _conditions(flags: str, keywords: Sequence[str]) -> str:
    names = {flag.lower() for flag in flags.split()}
    words = [key if name in names else f"UN{key}" for name, key in _SYSTEM.items()]
    words += [f"{'' if each.lower() in names else 'UN'}KEYWORD {each}" for each in keywords]
    return " ".join(words)


def _any_of(alternatives: Sequence[str]) -> str:
    """Join keys with OR as a balanced tree: servers bound how deep they nest."""
    if len(alternatives) == 1:
        return alternatives[0]
    middle = len(alternatives) // 2
    return f"(OR {_any_of(alternatives[:middle])} {_any_of(alternatives[middle:])})"
