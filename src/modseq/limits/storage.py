"""What the embedded store may hold open, queue and let grow."""

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
