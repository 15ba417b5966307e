"""The grammar of IMAP for both roles: octets to values and back, without any I/O."""
