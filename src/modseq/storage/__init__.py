"""Where mailboxes are kept: one contract, several backends, no knowledge of any protocol."""
