"""What the conformance checker takes from a server, a server for tests remembers, and a benchmark waits for."""

CHECK_RESPONSE_BYTES_MAX = 1_048_576
"""One response without its literals: a VANISHED of the largest lost-history test stays far below."""

CHECK_LITERAL_BYTES_MAX = 1_048_576
"""One literal from the server under test: the checker's own messages have a few hundred octets."""

CHECK_REMOVAL_SECONDS = 1.5
"""Pause before a mailbox that could not be removed is tried again: longer than a second, by which servers may name
what they deleted."""

CHECK_SILENCE_SECONDS = 0.3
"""How long the checker listens for what must not come unasked: a server that sends it does so at once."""

WIRE_LOG_LINES_MAX = 20_000
"""Lines of conversation that a test's server remembers, the oldest forgotten first: any test that a person
reads, and a bound for one that loads the server."""

WIRE_LOG_LINE_BYTES_MAX = 1_000
"""Octets remembered of one line: a command or response is recognised by its beginning."""

BENCH_REPLY_SECONDS_MAX = 60.0
"""What a measured server may take to greet, to deliver or to notify before its row says that it failed."""

BENCH_START_SECONDS_MAX = 20.0
"""What a measured server may take to start and to stop."""
