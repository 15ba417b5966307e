"""Measure IMAP servers as their clients see them, side by side and in turn."""
