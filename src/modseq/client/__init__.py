"""modseq.client: a client of any IMAP server that has RFC 7162 in its bones."""
