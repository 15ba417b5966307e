"""Every bound in the system: one named constant each, with its reason."""

# --- wire: what one command may cost before it is understood -------------------------------------

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

# --- work queue: what workers write on messages, and how long they wait for each other ------------

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


# --- core: what one mailbox may hold -------------------------------------------------------------

KEYWORDS_PER_MAILBOX_MAX = 250
"""Different keywords of a mailbox: clients use a few dozen, a work queue at most 64; all stand in FLAGS."""

PALETTE_MASKS_UNUSED_MAX = 4_096
"""Combinations of flags that a mailbox may keep in memory (as many as are in use where those are more) and on disk
though no message has them any more: they cost some 200 octets each; looking which are in use costs a look at every
message."""

MAILBOX_NAME_CHARS_MAX = 1_000
"""Characters of a full mailbox name: far beyond what people type, small enough for a response line."""

MAILBOX_LEVELS_MAX = 64
"""Levels of hierarchy in a name: wildcard matching and the creation of parents stay cheap."""

MAILBOXES_PER_ACCOUNT_MAX = 20_000
"""Mailboxes of one account: a listing is held in memory and answered in one piece."""

SUBSCRIPTIONS_PER_ACCOUNT_MAX = 40_000
"""Subscribed names, which need not be mailboxes: twice as many as there can be mailboxes."""

LOG_CHANGES_IN_MEMORY_MAX = 16_384
"""Newest changes of a mailbox kept in memory (about 0.5 MB): a client that comes back after more of them
is answered from the chunks instead, which costs more and is equally right."""

LOG_WEIGHT_IN_MEMORY_MAX = 4_000_000
"""Messages named by those changes, together: bounds the memory of few but huge changes."""

ANSWERS_KEPT_PER_STATE_MAX = 8
"""Answers to "what changed since" that a published state remembers: sessions that were told at the same
time ask from the same number, and a state lives only until the next commit."""

TOLD_MESSAGES_PER_STATE_MAX = 256
"""Ready FETCH responses that a published state remembers for other sessions: a change of more messages is
encoded in batches, which costs less per message than looking them up."""

GATHERING_TURNS_MAX = 8
"""Turns of the event loop that a batch waits for operations that probably come: well below a millisecond
while nothing else is to be done, and a fraction of the sync that it saves."""

HUGE_OPERATION_MESSAGES_MIN = 4_096
"""From this many messages on an operation is prepared in slices before it takes the account's lock."""

# --- LMTP: what one delivering client may cost ----------------------------------------------------

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


# --- mime: what reading one message may cost ------------------------------------------------------

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

# --- client: what a server may make a client hold ---------------------------------------------------

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

PIPELINED_IN_FLIGHT_MAX = 100
"""Commands of a pipeline that are sent before the first answer is awaited: their octets fit into the socket's
buffers, so that two sides which only write never wait for each other."""

IDLE_POLL_BY_NOOP_SECONDS = 30
"""How often a server without IDLE is asked what is new: people wait so long, servers bear it."""

KEEPALIVE_IDLE_SECONDS = 120
"""Silence after which the kernel probes a client's connection: routers forget quiet ones after some minutes."""

KEEPALIVE_PROBE_SECONDS = 30
"""Time between such probes."""

# --- server: what one connection may cost ---------------------------------------------------------

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

# --- logging in -----------------------------------------------------------------------------------

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


# --- storage: what the embedded store may hold open, queue and let grow ---------------------------

OPEN_ACCOUNTS_MAX = 128
"""Accounts one process keeps open: each costs up to seven descriptors and some 200 KB, and 1,024 descriptors
is what a process gets by default. Accounts with sessions or queued work are kept beyond it."""

BATCH_OPERATIONS_MAX = 1_024
"""Operations of one commit: the sync is paid for long before, and those who wait stay below a tenth of a second."""

BATCH_BODY_BYTES_MAX = 134_217_728
"""Octets of bodies in one commit: one MULTIAPPEND of the largest size, held in memory anyway."""

WRITER_THREADS_MAX = 32
"""Threads that commit: one is busy for each account that waits for the disk at this moment."""

READER_THREADS_MAX = 8
"""Threads that read: reads are short, and come from the page cache."""

WAL_PAGES_CHECKPOINT_MIN = 2_000
"""Pages in the write-ahead log (8 MB) at which they are copied into the database: rare enough to be cheap,
small enough that opening after a crash takes milliseconds."""

BUSY_MILLISECONDS_MAX = 5_000
"""How long SQLite waits for somebody who takes its locks without taking turns: a backup, an administrator."""

LOG_ROWS_FOLD_MIN = 4_096
"""Log rows after which a mailbox's log is copied into its chunks: a cold load folds no more than these."""

LOG_WEIGHT_FOLD_MIN = 65_536
"""The same in messages named by those rows: bounds the time of a cold load after few but huge changes."""

LOG_ROWS_KEPT_MIN = 16_384
"""Newest log rows of a mailbox that stay after they were folded: another process catches up from them."""

LOG_BYTES_KEPT_MAX = 67_108_864
"""Octets of folded log rows of a mailbox beyond which they go whatever their number: few but huge changes."""

LOG_ROWS_TRIMMED_PER_COMMIT = 1_024
"""Old log rows deleted in one transaction, a few milliseconds."""

ROWS_PER_COMMIT_MAX = 2_048
"""Rows of messages that are written ahead of a huge copy, or deleted after a huge expunge, in one commit: some
milliseconds for which others wait."""

DOOMED_UIDS_PER_ROW = 65_536
"""UIDs in one record of rows still to be deleted: 8 KB at most, which each step writes anew."""

FOLD_CHUNKS_PER_COMMIT = 8
"""Chunks written in one transaction while a log is folded: about 4 ms for which a queued batch waits."""

EXPUNGES_PER_BLOCK_MAX = 16_384
"""Pairs of mod-sequence and UID in one row of the expunge history."""

SEGMENT_BYTES_MAX = 268_435_456
"""A body segment that has grown to this size is not continued: bounds the work of compacting one."""

SEGMENT_FILES_OPEN_MAX = 8
"""Body segments of one account kept open for reading."""

COMPRESSED_BODY_BYTES_MAX = 262_144
"""Larger bodies are stored as they are: a client reads them in pieces, and each piece would cost the whole."""

COMPACTION_BYTES_PER_COMMIT = 4_194_304
"""Octets of bodies moved in one transaction while segments are compacted."""

COMPACTION_DEAD_PERCENT_MIN = 25
"""A segment is rewritten when at least this share of it is dead."""

WAKEUP_TIMER_SECONDS = 1.0
"""How often watched accounts look at the storage by themselves: what a lost wake-up costs at most."""

WAKEUP_DATAGRAM_BYTES_MAX = 64
"""An account's number and nothing else."""

MAILBOXES_LOADED_MAX = 64
"""Mailboxes of one account whose state stays in memory although no session watches the account."""

UNKNOWN_OUTCOME_ATTEMPTS_MAX = 3
"""How often the outcome of a commit is looked up before it is given up as unknown."""

# --- delivery and import ---------------------------------------------------------------------------

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

# --- testing: what a server for tests remembers ---------------------------------------------------

WIRE_LOG_LINES_MAX = 20_000
"""Lines of conversation that a test's server remembers, the oldest forgotten first: any test that a person
reads, and a bound for one that loads the server."""

WIRE_LOG_LINE_BYTES_MAX = 1_000
"""Octets remembered of one line: a command or response is recognised by its beginning."""

# --- fetch and search: how much is prepared at once -----------------------------------------------

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

# --- mirror: how much is asked, kept and committed at once -----------------------------------------

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

# --- check: what the conformance checker takes from a server -------------------------------------

CHECK_RESPONSE_BYTES_MAX = 1_048_576
"""One response without its literals: a VANISHED of the largest lost-history test stays far below."""

CHECK_LITERAL_BYTES_MAX = 1_048_576
"""One literal from the server under test: the checker's own messages have a few hundred octets."""

CHECK_REMOVAL_SECONDS = 1.5
"""Pause before a mailbox that could not be removed is tried again: longer than a second, by which servers may name
what they deleted."""

CHECK_SILENCE_SECONDS = 0.3
"""How long the checker listens for what must not come unasked: a server that sends it does so at once."""
# --- bench: servers that are measured --------------------------------------------------------------

BENCH_REPLY_SECONDS_MAX = 60.0
"""What a measured server may take to greet, to deliver or to notify before its row says that it failed."""

BENCH_START_SECONDS_MAX = 20.0
"""What a measured server may take to start and to stop."""
