"""What one delivering client may cost, and how much is delivered and imported at once."""

LMTP_LINE_BYTES_MAX = 2_048
"""A command line with its CRLF: the 512 of RFC 5321 section 4.5.3.1.4, what SIZE, BODY and SMTPUTF8 add to
it, and room for the long return paths that mailing lists and forwarders write."""

LMTP_RECIPIENTS_MAX = 1_000
"""Recipients of one message: ten times what RFC 5321 section 4.5.3.1.8 wants at least; the sender comes
back with the others."""

LMTP_BAD_COMMANDS_MAX = 50
"""Commands in a row that are not understood before the connection is closed: whoever sends them is no mail
server (a browser, a port scan)."""

LMTP_DISCARD_BYTES_MAX = 268_435_456
"""Octets of a message over the limit that are read and dropped so that the sender learns of its 552; one
that sends more than this is cut."""

SCAN_IN_LOOP_BYTES_MAX = 65_536
"""Larger messages are scanned in a thread: up to here scanning costs about as much as handing it over."""

LMTP_CONTENT_BYTES_MAX = 536_870_912
"""Octets of messages on their way in all LMTP connections of a process: eight of the largest; more wait
outside with 452 until some are stored."""

LMTP_CONNECTIONS_MAX = 200
"""LMTP connections of one process: a mail server opens some dozens at most."""

LMTP_IDLE_SECONDS_MAX = 300
"""Silence after which an LMTP connection is closed: RFC 5321 section 4.5.3.2.7 asks for five minutes."""

LMTP_READ_BYTES = 65_536
"""Octets read at once from an LMTP connection, and so the most that waits unread in memory."""

IMPORT_BATCH_MESSAGES_MAX = 64
"""Messages of an import that are stored under one mod-sequence by one commit: the cost of a sync is spread,
and an import that is stopped repeats no more than these."""

IMPORT_BATCH_BYTES_MAX = 16_777_216
"""Octets after which such a batch is closed early: bounds the memory of an import."""

EXPORT_BATCH_MESSAGES_MAX = 256
"""Messages whose rows are read at once by an export."""

MBOX_READ_BYTES = 1_048_576
"""Octets read at once from an mbox file."""
