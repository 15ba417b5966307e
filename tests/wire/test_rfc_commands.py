"""Each command that the RFCs show is understood.

Adapted: RFC 5819's example A02 lacks the space before the reference; examples of commands that this
server does not have (SORT, GETMETADATA, XPIG-LATIN) are left out; wrapped lines are joined.
"""

from pathlib import Path

import pytest

from wire.framing_support import WAYS, parse

EXAMPLES = [
    line.split("\t") for line in (Path(__file__).parent / "rfc_commands.tsv").read_text().splitlines()
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("rfc", "section", "text"), EXAMPLES)
def test_the_example_is_understood(way, rfc, section, text):
    command = parse(text.encode(), way)
    words = text.upper().split(" ")
    assert command.tag == text.split(" ")[0].encode()
    assert command.name == (words[2] if command.uid else words[1])
    assert command.uid == (words[1] == "UID")
