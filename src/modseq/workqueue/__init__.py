"""A mailbox as a queue for many workers, on any IMAP server with CONDSTORE."""
