"""What reading one message may cost."""

MIME_DEPTH_MAX = 100
"""Nested parts in one message: real mail stays below 20 even after years of forwarding as attachment.
What lies deeper is one opaque part, so that no client has to read parentheses without end."""

MIME_PARTS_MAX = 10_000
"""Parts in one message: the largest digests have some hundreds. The last part holds the rest."""

MIME_HEADER_BYTES_MAX = 262_144
"""How much of one header is read for ENVELOPE and BODYSTRUCTURE: several thousand recipients."""

MIME_HEADERS_BYTES_MAX = 524_288
"""How much of all headers of one message together. One octet of header makes up to thirteen octets of
ready ENVELOPE (an address in From is repeated as Sender and Reply-To): this bounds both."""

MIME_DELIMITERS_EXAMINED_MAX = 200_000
"""Lines that begin like a multipart delimiter and are looked at: 20 for each part there may be, and about
0.1 s of work on a message made of nothing else."""

MIME_PARAMETERS_MAX = 128
"""Parameters of one Content-Type or Content-Disposition: RFC 2231 continuations of a very long file name
take some dozens."""

MIME_CHARSETS_CACHED_MAX = 256
"""Charset labels whose codec is remembered; mail knows about a hundred."""

MIME_FIELD_NAMES_CACHED_MAX = 64
"""Header field names whose search pattern is remembered; searches name a handful."""

MIME_PART_HEADERS_CACHED_MAX = 512
"""Headers of parts whose meaning is remembered: most text parts of a mailbox share a dozen headers."""

MIME_PART_HEADER_CACHED_BYTES_MAX = 256
"""The largest header that is remembered: longer ones carry file names and ids and do not recur."""
