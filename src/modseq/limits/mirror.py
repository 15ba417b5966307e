"""How much a mirror asks, keeps and commits at once."""

MIRROR_BUSY_MILLISECONDS_MAX = 10_000
"""How long one process waits for another that writes to the same mirror: a batch takes a tenth of a second."""

MIRROR_DEFECTS_SHOWN_MAX = 5
"""Examples shown of one kind of defect in a mirror."""

MIRROR_FETCH_MESSAGES_MAX = 250
"""New messages fetched by one command and committed together: what a cut costs at most, some 100 KB of answer."""

MIRROR_FLAGS_MESSAGES_MAX = 5_000
"""Messages whose flags are compared by one FETCH where the server keeps no mod-sequences."""

MIRROR_NEW_UIDS_UNLISTED_MAX = 10_000
"""If UIDNEXT rose by more than this, a SEARCH asks which UIDs there are before they are fetched: most of the
range may be empty."""

MIRROR_VERIFY_MESSAGES_MAX = 500
"""Messages about whose flags one SEARCH asks."""

MIRROR_VERIFY_LINE_BYTES_MAX = 6_000
"""Octets of such a SEARCH before it is divided: below the 8,000 of RFC 7162 section 4."""

MIRROR_VERIFY_PIPELINED_MAX = 16
"""Such SEARCHes in one round trip."""

MIRROR_VERIFY_KEYWORDS_MAX = 60
"""Keywords about which it asks, of those that the mailbox knows: a work queue uses 64 at most, people a dozen."""

MIRROR_REPAIRS_MAX = 3
"""How often what the server tells is asked again before the copy is marked as doubtful."""

MIRROR_BODY_BYTES_MAX = 134_217_728
"""The largest body kept: twice what this server takes, and held in memory once while it is packed."""

MIRROR_BODY_BATCH_BYTES_MAX = 8_388_608
"""Octets of bodies fetched and committed together: a cut repeats no more than these."""

MIRROR_BODY_BATCH_MESSAGES_MAX = 100
"""Bodies fetched and committed together, however small."""

MIRROR_PUSH_EDITS_MAX = 50
"""Conditional STOREs of the outbox in one round trip."""

MIRROR_LATE_COMMAND_SECONDS = 1.0
"""Pause before a command whose answer was lost is looked into: the server may still be at it."""

MIRROR_POLL_SECONDS = 60
"""How often a mirror that watches one mailbox by IDLE looks at the others: one LIST-STATUS round trip."""

MIRROR_POLL_TOLD_SECONDS = 600
"""The same where NOTIFY tells of all of them: only for what a server might forget to tell."""

MIRROR_OUTBOX_LOOK_SECONDS = 1.0
"""How often a mirror that watches looks for edits made by another process: one read of the file's header."""

MIRROR_RECONNECT_SECONDS_MIN = 1.0
"""Pause before a connection that broke is made again; doubled while it keeps breaking."""

MIRROR_RECONNECT_SECONDS_MAX = 300.0
"""Longest such pause: a server that was away for a night is found within minutes."""
