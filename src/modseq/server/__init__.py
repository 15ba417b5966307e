"""The IMAP server: wire, storage and the session view joined; one handler a command."""
