"""An offline copy of an IMAP account in one SQLite file, and edits made offline that are pushed later.

It works against any IMAP server: changes are learned by QRESYNC, else by CONDSTORE, else by comparing.
"""
