"""What one mailbox may hold."""

KEYWORDS_PER_MAILBOX_MAX = 250
"""Different keywords of a mailbox: clients use a few dozen, a work queue at most 64; all stand in FLAGS."""

PALETTE_MASKS_UNUSED_MAX = 4_096
"""Combinations of flags that a mailbox may keep in memory (as many as are in use where those are more) and on disk
though no message has them any more: they cost some 200 octets each; looking which are in use costs a look at every
message."""

MAILBOX_NAME_CHARS_MAX = 1_000
"""Characters of a full mailbox name: far beyond what people type, small enough for a response line."""

MAILBOX_LEVELS_MAX = 64
"""Levels of hierarchy in a name: wildcard matching and the creation of parents stay cheap."""

MAILBOXES_PER_ACCOUNT_MAX = 20_000
"""Mailboxes of one account: a listing is held in memory and answered in one piece."""

SUBSCRIPTIONS_PER_ACCOUNT_MAX = 40_000
"""Subscribed names, which need not be mailboxes: twice as many as there can be mailboxes."""

LOG_CHANGES_IN_MEMORY_MAX = 16_384
"""Newest changes of a mailbox kept in memory (about 0.5 MB): a client that comes back after more of them
is answered from the chunks instead, which costs more and is equally right."""

LOG_WEIGHT_IN_MEMORY_MAX = 4_000_000
"""Messages named by those changes, together: bounds the memory of few but huge changes."""

ANSWERS_KEPT_PER_STATE_MAX = 8
"""Answers to "what changed since" that a published state remembers: sessions that were told at the same
time ask from the same number, and a state lives only until the next commit."""

TOLD_MESSAGES_PER_STATE_MAX = 256
"""Ready FETCH responses that a published state remembers for other sessions: a change of more messages is
encoded in batches, which costs less per message than looking them up."""

GATHERING_TURNS_MAX = 8
"""Turns of the event loop that a batch waits for operations that probably come: well below a millisecond
while nothing else is to be done, and a fraction of the sync that it saves."""

HUGE_OPERATION_MESSAGES_MIN = 4_096
"""From this many messages on an operation is prepared in slices before it takes the account's lock."""
