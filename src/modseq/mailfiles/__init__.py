"""Mail in files: mbox, Maildir and single messages, read and written byte for byte."""
