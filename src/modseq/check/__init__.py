"""Does a server keep RFC 7162? Transcripts by section, claim races and lost history, against any server.

`cases/` holds the conversations, one file for each RFC section, in the language of `script`. `runner` holds
them with a server, `laws` watches all of them, `race` and `history` do what a fixed conversation cannot, `report`
and `report_html` say what came out.
Nothing here knows the server of this project.
"""
