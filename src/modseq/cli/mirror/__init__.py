"""`modseq mirror`: an offline copy of an account, searched, edited and written out."""
