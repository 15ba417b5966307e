"""`modseq work`: a command for each message of a shared mailbox, run by many workers."""
