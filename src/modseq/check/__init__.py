"""Does a server keep RFC 7162? Transcripts by section, claim races and lost history, against any server.

`cases/` holds the conversations, one file for each RFC section, in the language of `script`. `runner` holds
them with a server, `race` and `history` do what a fixed conversation cannot, `report` says what came out.
Nothing here knows the server of this project.
"""
