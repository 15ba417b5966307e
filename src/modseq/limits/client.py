"""What a server may make a client hold."""

CLOSING_SECONDS_MAX = 2.0
"""How long a client that closes its connection waits for the other side's last word under TLS."""

EVENTS_PENDING_MAX = 100_000
"""Unsolicited responses that wait to be taken, some 20 MB: a flag change of every message of a large mailbox."""

RESPONSE_TEXT_BYTES_MAX = 16_777_216
"""Text of one response, literals aside: an untagged SEARCH of two million UIDs, the ENVELOPE of a message to a
hundred thousand people."""

RESPONSE_LITERAL_BYTES_MAX = 134_217_728
"""Literals of one response that are held in memory: two messages of a size that SMTP servers let through. Larger
bodies can be streamed."""

RESPONSE_LITERALS_MAX = 10_000
"""Literals in one response: the header of every part of the largest digests."""

RESPONSE_DEPTH_MAX = 100
"""Nested parentheses in a response: real BODYSTRUCTUREs stay below 30; each level costs frames of Python's stack."""

RESPONSE_VALUES_MAX = 1_000_000
"""Values in one unknown or nested item of a response, each of which is an object in memory."""

FLAG_SETS_CACHED_MAX = 4_096
"""Different flag lists of FETCH responses whose meaning is remembered: mailboxes have some dozens."""

FLAG_LIST_CACHED_BYTES_MAX = 1_024
"""The longest flag list that is remembered: some sixty keywords."""

COLLECTED_MESSAGES_MAX = 2_000_000
"""Messages in one result that is held whole, some 500 MB; larger answers can be streamed."""

COLLECTED_LINES_MAX = 100_000
"""Mailboxes of one LIST, and other lines that one result holds: five times what this server keeps in an account."""

STREAM_DRAIN_BYTES_MAX = 1_048_576
"""Octets read and dropped after a stream was left early; more is dearer than to connect anew."""

INFLATE_PIECE_BYTES = 262_144
"""Octets inflated at once from a compressed connection: a kilobyte of it may hold a megabyte of zeros."""

SEND_PIECE_BYTES = 262_144
"""A file is read and sent in pieces of this size: large enough for a thread of its own to cost nothing beside it."""

RECEIVE_BYTES = 262_144
"""Octets taken from the socket at once."""

RECEIVE_AHEAD_BYTES_MAX = 524_288
"""Octets that wait for a verb before the socket is no longer read."""

UID_SET_BYTES_MAX = 7_000
"""Octets of one set in a command: RFC 7162 section 4 asks clients to stay below 8,192 for the whole line.
Longer sets are sent as several commands."""

LITERAL_MINUS_BYTES_MAX = 4_096
"""The largest literal that LITERAL- lets a client send without waiting (RFC 7888 section 5)."""

PIPELINED_PIECE_BYTES = 65_536
"""What the commands of a pipeline send is collected up to this size, so that they leave in one packet or few."""

PIPELINED_IN_FLIGHT_MAX = 100
"""Commands of a pipeline that are sent before the first answer is awaited: their octets fit into the socket's
buffers, so that two sides which only write never wait for each other."""

IDLE_POLL_BY_NOOP_SECONDS = 30
"""How often a server without IDLE is asked what is new: people wait so long, servers bear it."""

KEEPALIVE_IDLE_SECONDS = 120
"""Silence after which the kernel probes a client's connection: routers forget quiet ones after some minutes."""

KEEPALIVE_PROBE_SECONDS = 30
"""Time between such probes."""
