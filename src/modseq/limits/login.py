"""What logging in may cost, and how guessing is slowed down."""

USER_NAME_BYTES_MAX = 255
"""A user name: an address of RFC 5321 has at most 254 octets."""

SECRET_LINE_BYTES_MAX = 65_536
"""A password or token for another server, read from standard input: tokens of some providers have ten thousand octets."""

PASSWORD_BYTES_MAX = 1_024
"""argon2 reads all of a password; longer ones only cost time."""

PASSWORD_THREADS_MAX = 2
"""Passwords checked at the same time: each takes 64 MiB and a core for some 50 ms."""

PASSWORDS_WAITING_MAX = 64
"""Passwords of somebody unknown that wait for their check, some two seconds of work: whoever comes when there are as
many is told to come later. Users known at their address have a thread of their own and no such queue."""

LOGIN_CACHE_ENTRIES_MAX = 10_000
"""Recent successful logins remembered as keyed digests, 100 bytes each."""

LOGIN_CACHE_SECONDS = 600
"""How long a success is remembered; a changed password is noticed at once all the same."""

LOGIN_FAILURES_PER_CONNECTION_MAX = 5
"""Wrong passwords on one connection before it is cut."""

LOGIN_DELAY_SECONDS = 0.5
"""Wait after the second failure; doubled by each further one."""

LOGIN_DELAY_SECONDS_MAX = 15
"""Longest wait: clients give up after 30 to 60 seconds."""

LOGIN_FAILURES_KEPT_SECONDS = 900
"""A failure counts for so long against its address and its user."""

LOGIN_FAILURES_TRACKED_MAX = 32_768
"""Addresses and users with recent failures that all workers of a server remember together, 40 octets each. Whoever
wants them forgotten must fail as often himself meanwhile, and each failure costs him a password check."""

LOGIN_KNOWN_PAIRS_MAX = 32_768
"""Users with the addresses they logged in from: one line for each device and place."""

LOGIN_KNOWN_PAIRS_KEPT_SECONDS = 2_592_000
"""A user who comes back within thirty days to the place he logged in from is still known there."""
