"""SEARCH below its command: the tree of keys, what each key costs, and the walk over the mailbox."""
