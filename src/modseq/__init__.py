"""modseq: a mail store in which every change has a number."""

__version__ = "0.1.0"
