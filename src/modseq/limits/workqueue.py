"""What workers of a queue write on messages, and how long they wait for each other."""

WORK_ATTEMPTS_MAX = 10
"""Attempts that can be counted on a message, a keyword each; who fails ten times will fail again."""

OWNER_KEYWORDS_OF_ONE = 10
"""Owner keywords that one connection draws of forty: 850 million different draws, 80 octets in a STORE."""

WORK_STATES_CACHED_MAX = 8_192
"""Different sets of flags whose meaning is remembered: messages of a queue share a few hundred."""

LEASE_SURE_PART = 0.8
"""Part of the lease after which its holder stops working. Watchers wait for all of it: the rest pays for clocks
that run at different speeds and for the time that it takes to end a command."""

LEASE_RENEW_PART = 0.25
"""Part of the lease after which it is renewed: two renewals may fail before the holder has to stop."""

LEASE_EXTEND_PART = 0.17
"""A lease renewed more recently than this part of it is not renewed again: a watcher that looks six times in a lease
never misses two heartbeats in a row, which could look like none."""

LEASE_LOOK_PART = 0.125
"""Part of the lease after which a watcher looks again at what others hold."""

OFFER_SECONDS = 1.0
"""A name on a message without a heartbeat for so long is left over from a claim that nobody finished: finishing takes
two round trips."""

WATCH_SPREAD_PART = 0.25
"""Watchers wait up to so much longer than they must, each its own time, so that not all take over at once."""

SETTLE_SECONDS = 1.0
"""How long a server that is not known to be exact may take between the comparison and the change of one STORE;
after a connection broke, whoever wants to know what became of a STORE looks only then."""

CLAIM_ROUNDS_MAX = 10
"""How often a change is tried again because somebody else changes other flags of the message all the time."""

CLAIMS_PER_STORE_MAX = 32
"""Messages claimed in one round trip: a few milliseconds of work at most are hoarded, and the round trip is paid."""

LEASE_SECONDS_MIN = 2.0
"""A shorter lease is less than a few round trips to a busy server, or than a STORE may take on one that is not exact."""

RECONNECT_SECONDS_MIN = 0.2
"""First pause before a worker connects again; doubled by each further failure, and spread."""

RECONNECT_SECONDS_MAX = 30.0
"""Longest pause: short against any lease that survives an outage."""

BODY_AHEAD_BYTES = 65_536
"""So much of each message comes with its claim, in the same round trip for all; longer ones are read when asked for."""

STOP_SECONDS_WITHOUT_SERVER = 10.0
"""How long a worker that stops tries to reach its server to give messages back; else their leases run out."""

ENDED_TOGETHER_MAX = 64
"""Finished messages whose keywords are cleared with one STORE."""

ENDED_WAIT_SECONDS = 0.2
"""How long the first of them waits for others."""

LOOK_AGAIN_SECONDS_MIN = 0.25
"""Shortest time between two searches of one worker, or two looks at what others hold."""

PREFETCH_SECONDS = 0.5
"""As many messages are claimed ahead as a worker takes in so long: fast ones never wait, slow ones hoard nothing."""

KILL_SECONDS = 5.0
"""How long a command may take to end by itself when its lease is lost; less where the lease leaves less."""

WORK_DELAY_SECONDS_MAX = 86_400.0
"""Longest pause between two attempts."""
