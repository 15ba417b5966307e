"""What one connection may cost."""

READ_BUFFER_BYTES = 65_536
"""One buffer per process, shared by all connections, into which the sockets are read."""

READ_AHEAD_BYTES_MAX = 262_144
"""Octets of pipelined commands taken in while one runs; then the socket is not read until they are done."""

OUTPUT_PIECE_BYTES = 65_536
"""Responses are handed to the socket in pieces of about this size."""

PIECES_PER_TURN_MAX = 8
"""Pieces of one long answer (up to a few thousand lines each, often one) before other sessions have their turn."""

OUTPUT_AHEAD_BYTES_MAX = 262_144
"""Octets that wait for a slow reader before whoever writes to it must wait."""

AHEAD_BEFORE_LOGIN_BYTES_MAX = 32_768
"""Octets taken in ahead, and octets that wait to be read, for somebody unknown: a thousand of them who send and never read cost some 70 MB, not 500."""

WRITE_STALL_SECONDS_MAX = 300
"""A client that reads nothing for so long while it is told something is cut: it holds memory and waits."""

IDLE_SECONDS_MAX = 1_800
"""Silence of a logged-in client. RFC 3501 section 5.4 wants 30 minutes at least."""

IDLE_BEFORE_LOGIN_SECONDS_MAX = 60
"""Silence of somebody unknown: a person who types LOGIN by hand needs less."""

BEFORE_LOGIN_SECONDS_MAX = 180
"""From connecting to logging in, whatever is said meanwhile: whoever sends an octet now and then is cut too. All the
attempts that one connection has, with the longest waits between them, fit in."""

CLOSE_SECONDS_MAX = 5
"""How long a client may take to read the last words before its connection is cut."""

TLS_HANDSHAKE_SECONDS_MAX = 20
"""Slow mobile links need some seconds; whoever takes longer holds a socket for nothing."""

TLS_READ_BYTES = 16_384
"""Buffer of one TLS connection: a TLS record holds no more. asyncio's 262,144 would cost 290 KB a session."""

BAD_COMMANDS_MAX = 25
"""Commands in a row that make no sense: whoever sends them is no IMAP client (a browser, a scan)."""

PIPELINED_COMMANDS_MAX = 64
"""Consecutive pipelined commands submitted together; each holds its prepared answer in memory."""

COMMANDS_IN_A_ROW_MAX = 32
"""Pipelined commands of one session that run before the others get their turn: a millisecond or two."""

CONNECTIONS_BEFORE_LOGIN_MAX = 1_000
"""Connections of one process that have not logged in; the oldest makes room for a new one."""

CONNECTIONS_PER_ADDRESS_MAX = 10_000
"""Connections from one address to one process: an office behind one address, or a webmail, stays below."""

CONNECTIONS_PER_USER_MAX = 5_000
"""Sessions of one user in one process: a hundred workers on one account and what they leave behind."""

ACCEPTS_PER_TURN_MAX = 16
"""Connections accepted before others have their turn: each costs a quarter of a millisecond."""

LISTEN_BACKLOG = 512
"""Connections that wait to be accepted: all clients of a site reconnect at once after a restart."""

OPEN_FILES_MAX = 65_536
"""Descriptors that a server asks the system for, if it may: sessions, accounts and segments of a large site. The
default of 1,024 could be used up by strangers alone."""

STOP_SECONDS_MAX = 10
"""How long running commands may take to finish when the server is told to stop."""

IDLE_POLL_SECONDS = 15
"""IDLE asks what changed at least so often: a lost wake-up costs this much time and no truth."""

WORKERS_MAX = 64
"""Processes that serve the same listeners."""

WORKER_RESTART_SECONDS_MAX = 10
"""Longest pause before a worker that keeps dying is started again."""
