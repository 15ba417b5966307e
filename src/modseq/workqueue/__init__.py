"""
A mailbox as a queue for many workers, on any IMAP server with CONDSTORE.

    async for job in Queue("imaps://robot@example.org/INBOX", password=...):
        ...
        await job.ack()

QueueError
├── QueueUnusable
└── LeaseLost
    └── MessageGone
"""

from modseq.workqueue.errors import LeaseLost, MessageGone, QueueError, QueueUnusable
from modseq.workqueue.queue import Job, Queue

__all__ = ["Job", "LeaseLost", "MessageGone", "Queue", "QueueError", "QueueUnusable"]
