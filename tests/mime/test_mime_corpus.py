"""Every message of the corpus, where it exists: no exception, consistent, and `email` agrees where it is right."""

import os
import re
from pathlib import Path

import pytest

from mime.agree import check, told
from mime.oracle import email_nodes, without_last_line_ends
from modseq.mime.text import all_text, body_text, fold, header_text

CORPUS = Path(os.environ.get("MODSEQ_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")

# Files on which `email` is not the judge, and why.
EMAIL_DIFFERS = {
    "feedback-report.txt": "email takes a header after a byte order mark for text",
    "issue358.txt": "email ends the header at a value that was folded without a space",
    "content-length.mbox-15": "email ends the header of a message at an mbox line >From",
    "content-length.mbox-16": "email ends the header of a message at an mbox line >From",
}


def _messages():
    if not CORPUS.is_dir():
        return
    for path in sorted(CORPUS.glob("messages/*")):
        yield path.name, path.read_bytes()
    for path in sorted(CORPUS.glob("mbox/*.mbox")):
        for number, message in enumerate(re.split(rb"(?m)^From [^\r\n]*\r?\n", path.read_bytes())[1:]):
            yield f"{path.name}-{number}", message


MESSAGES = dict(_messages())

pytestmark = pytest.mark.skipif(not MESSAGES, reason=f"no corpus at {CORPUS}")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_real_message_is_consistent(name):
    message = MESSAGES[name]
    scanned = check(message)
    text = all_text(message, scanned.parts)
    assert body_text(message, scanned.parts) in text
    assert fold(text) == fold(fold(text))
    for field in (b"Subject", b"from", b"TO"):
        header_text(message, field)


@pytest.mark.parametrize("name", MESSAGES)
def test_email_agrees_on_a_real_message(name):
    if name in EMAIL_DIFFERS:
        pytest.skip(EMAIL_DIFFERS[name])
    message = MESSAGES[name]
    scanned = check(message)
    mine = without_last_line_ends(told(message, scanned))
    theirs = without_last_line_ends(email_nodes(message))
    told_by_email = {path: octets for path, _, octets in theirs}
    # email opens message/delivery-status and the like: only their place and type are compared.
    mine = [
        (path, media, None if told_by_email.get(path) is None else octets) for path, media, octets in mine
    ]
    assert [node[:2] for node in mine] == [node[:2] for node in theirs]
    assert mine == theirs
