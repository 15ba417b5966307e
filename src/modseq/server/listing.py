r"""Which mailboxes LIST and LSUB name, and what they say of each: pure, from the published listing.

Names that are only levels of hierarchy (their mailbox was deleted, those below were not) are listed as
\NonExistent to clients that use the extended syntax, as \Noselect to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modseq.core.account import AccountState, MailboxMeta
from modseq.core.mailbox_operations import DELIMITER, INBOX
from modseq.server.pattern import matcher
from modseq.wire.values import List


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the answer."""

    name: str
    attributes: tuple[str, ...]
    child_info: tuple[str, ...] = ()
    """The selection options that something below the mailbox meets, where that was asked."""
    mailbox: MailboxMeta | None = None
    """The mailbox to count for STATUS: it exists and meets the selection itself."""


def entries(account: AccountState, wanted: List) -> Iterator[Entry]:
    """
    Yield what LIST says, INBOX first, then by name.

    RFC: 3501 section 6.3.8
    RFC: 5258 section 3, 3.1, 3.2, 3.3, 3.5
    RFC: 6154 section 2
    """
    matches = matcher(wanted.reference, [each for each in wanted.patterns if each or not wanted.extended])
    options = tuple(sorted(wanted.selection & {"SUBSCRIBED", "SPECIAL-USE"}, reverse=True))
    chosen = _chosen(account, options)
    parents = _ancestors(account.mailboxes)
    names = set(chosen)
    unlisted_below: set[str] = set()
    some_below: set[str] = set()
    if "RECURSIVEMATCH" in wanted.selection:
        some_below = _ancestors(chosen)
        unlisted_below = _ancestors(name for name in chosen if not matches(name))
        names |= unlisted_below
    elif not options:
        names |= parents
    for name in _in_order(name for name in names if matches(name)):
        yield Entry(
            name,
            _attributes(account, wanted, name, has_children=name in parents),
            options if name in some_below else (),
            account.mailboxes.get(name) if name in chosen else None,
        )


def subscribed_entries(account: AccountState, wanted: List) -> Iterator[Entry]:
    r"""
    Yield what LSUB says: \Noselect marks a name that is not subscribed but stands above one that is.

    RFC: 3501 section 6.3.9
    """
    matches = matcher(wanted.reference, wanted.patterns)
    subscribed = account.subscriptions
    levels = _ancestors(name for name in subscribed if not matches(name)) - subscribed
    for name in _in_order(name for name in subscribed | levels if matches(name)):
        yield Entry(name, () if name in subscribed else ("\\Noselect",))


def _chosen(account: AccountState, options: tuple[str, ...]) -> set[str]:
    """Return the names that meet the selection options, whether they match the pattern or not."""
    chosen = set(account.subscriptions) if "SUBSCRIBED" in options else set(account.mailboxes)
    if "SPECIAL-USE" in options:
        chosen &= {name for name, meta in account.mailboxes.items() if meta.special_use}
    return chosen


def _attributes(account: AccountState, wanted: List, name: str, *, has_children: bool) -> tuple[str, ...]:
    meta = account.mailboxes.get(name)
    attributes = ["\\HasChildren" if has_children else "\\HasNoChildren"]
    if meta is None:
        attributes.append("\\NonExistent" if wanted.extended else "\\Noselect")
    elif meta.special_use:
        attributes += meta.special_use.split()
    is_asked = wanted.returns.subscribed or "SUBSCRIBED" in wanted.selection
    if is_asked and name in account.subscriptions:
        attributes.append("\\Subscribed")
    return tuple(attributes)


def _ancestors(names: Iterable[str]) -> set[str]:
    """Return every level above any of the names."""
    above: set[str] = set()
    for name in names:
        end = name.rfind(DELIMITER)
        while end > 0 and (parent := name[:end]) not in above:
            above.add(parent)
            end = name.rfind(DELIMITER, 0, end)
    return above


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name))
