"""What one command may cost before it is understood."""

LINE_BYTES_MAX = 131_072
"""All text of one command, literals aside: about 20,000 scattered UIDs. RFC 7162 section 4
lets clients send 8,192; the common C server takes 65,536, and clients have grown used to that."""

LINE_BYTES_BEFORE_LOGIN_MAX = 16_384
"""The same from somebody unknown: a token of AUTHENTICATE in base64 is the longest that there is to say."""

LITERAL_BYTES_MAX = 65_536
"""A literal of a logged-in session outside APPEND: search strings, mailbox names, header field names."""

LITERAL_BYTES_BEFORE_LOGIN_MAX = 4_096
"""A literal from somebody unknown: a user name or a password and nothing else."""

APPEND_LITERAL_BYTES_MAX = 67_108_864
"""One message: above what any common SMTP server lets through, and a fraction of a worker's memory."""

COMMAND_LITERAL_BYTES_MAX = 134_217_728
"""All literals of one command (MULTIAPPEND): two messages of the largest size, or many of common size."""

LITERALS_PER_COMMAND_MAX = 1_000
"""MULTIAPPEND in batches stays far below; a million empty literals would cost memory without bytes."""

LITERAL_SKIP_BYTES_MAX = 134_217_728
"""A refused non-synchronising literal up to this size is read and dropped; beyond it the connection is
closed, because a client that sends more than this unasked does not listen (RFC 7888 section 4)."""

LITERAL_SKIP_BYTES_BEFORE_LOGIN_MAX = 65_536
"""The same for somebody unknown, who has no reason to send any of it."""

TAG_BYTES_MAX = 255
"""A tag is echoed; real ones have up to twenty octets."""

ATOM_BYTES_MAX = 1_024
"""An atom outside mailbox names and strings: keywords, capability and item names."""

MAILBOX_NAME_BYTES_MAX = 1_000
"""A mailbox name in modified UTF-7: more than any client shows, below what a path may have."""

FLAGS_PER_COMMAND_MAX = 512
"""More flags than this in one list are no mail client's."""

SET_RANGES_MAX = 65_536
"""Elements of one sequence set: more than a line of the largest length can spell."""

FETCH_ITEMS_MAX = 256
"""Items in one FETCH: a client that asks for every part of a message with a hundred parts stays below."""

HEADER_FIELDS_MAX = 256
"""Field names in one BODY[HEADER.FIELDS (...)]; clients ask for up to fifty."""

SECTION_PATH_MAX = 64
"""Part numbers in one section; the MIME scanner goes no deeper."""

SEARCH_DEPTH_MAX = 100
"""Nesting of NOT, OR and parentheses: clients chain an OR for each alternative; below Python's stack."""

SEARCH_KEYS_MAX = 1_000
"""Keys of one SEARCH, each of which is a pass over the mailbox."""

LIST_PATTERNS_MAX = 100
"""Patterns of one LIST, each of which is matched with every mailbox."""

CAPABILITIES_PER_ENABLE_MAX = 100
"""Names in one ENABLE: more than there are extensions to enable."""

ID_PAIRS_MAX = 30
"""Field and value pairs of ID. RFC 2971 section 3.3 names this number."""

ID_FIELD_BYTES_MAX = 30
"""Octets of a field name of ID. RFC 2971 section 3.3 names this number."""

ID_VALUE_BYTES_MAX = 1_024
"""Octets of a value of ID. RFC 2971 section 3.3 names this number."""

RESPONSE_LINE_BYTES = 8_000
"""VANISHED is split so that a line stays below: what section 4 of RFC 7162 asks of clients suits them as well."""

QUOTED_BYTES_MAX = 1_000
"""Longer strings go out as literals: some clients read quoted strings into small buffers."""
