"""How much of an answer to FETCH and SEARCH is prepared at once."""

FETCH_BATCH_MESSAGES_MAX = 2_048
"""Messages whose packed items are rendered in one step: half a block, some 130 KB and less than a millisecond,
after which others have their turn."""

FETCH_TEMPLATE_MESSAGES_MIN = 64
"""Fewer lines are spelled one by one: cutting a template for them would cost more."""

FETCH_TEMPLATES_CACHED_MAX = 32
"""Templates of a thousand lines, some 50 KB each: one for each combination of items that clients ask for."""

FETCH_ROWS_MAX = 128
"""Rows read at once, and answered in some two milliseconds; with ENVELOPE and BODYSTRUCTURE some 3 KB each."""

FETCH_PIECE_BYTES = 65_536
"""Octets of a message read and passed on at once: as much as the socket takes in one step."""

FETCH_READ_AHEAD_MESSAGES_MAX = 16
"""Small messages read at the same time for one client."""

FETCH_READ_AHEAD_BYTES_MAX = 1_048_576
"""Octets of those messages together: what one body fetch holds in memory."""

SEARCH_ROWS_MAX = 256
"""Rows read at once by a search, a few milliseconds; with part tables some 3 KB each."""

SEARCH_KEYS_PER_STEP_MAX = 8
"""Keys judged over one block of messages before others have their turn: about two milliseconds."""

SEARCH_READ_MESSAGES_MAX = 32
"""Messages or headers read at the same time for one search."""

SEARCH_READ_BYTES_MAX = 4_194_304
"""Octets of those messages together; their decoded text takes up to four times as much."""

SEARCH_TEXT_IN_LOOP_BYTES_MAX = 65_536
"""Octets of headers searched on the loop, about a millisecond; more go to a thread."""

SEARCH_NUMBERS_PER_PIECE = 16_384
"""Numbers of an untagged SEARCH written at once, about a millisecond."""

SETS_IN_LOOP_MAX = 16_384
"""Members of a set that is spelled on the loop, of what a SEARCH found or a COPY copied; more go to a thread,
because scattered ones take microseconds each."""
