"""The programs of the how-to pages run as they stand, against this server."""

import ast
import asyncio
import dataclasses
import inspect
import itertools
import re
import types
from pathlib import Path

import pytest

from client.blocking import DRIVES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs" / "how-to").glob("client-*.md")),
    ROOT / "docs" / "how-to" / "sync-a-mailbox.md",
]
_FENCE = re.compile(r"^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    """Yield each program, and what the page says that it prints."""
    for page in PAGES:
        fences = [match.groups() for match in _FENCE.finditer(page.read_text())]
        for number, (kind, text) in enumerate(fences):
            if kind == "python":
                after = fences[number + 1] if number + 1 < len(fences) else ("", "")
                said = after[1] if after[0] == "text" and page.stem != "sync-a-mailbox" else None
                yield pytest.param(text, said, id=f"{page.stem}-{number}")


_numbers = itertools.count(1)


@pytest.fixture
def docs_server(modseq_process):
    """An account of the test's own with three messages in INBOX, UIDs 1 to 3."""
    server = dataclasses.replace(modseq_process.real, user=f"reader{next(_numbers)}")
    modseq_process.add_user(server.user)
    with DRIVES["sync"](server.url, **server.login) as client:
        for number in range(1, 4):
            client.append("INBOX", b"Subject: letter %d\r\n\r\nHello.\r\n" % number)
    return server


def run(block, server, **names):
    """Run a block with `await` at its top."""
    text = block.replace("imaps://ann@mail.example.org/", server.url)
    text = text.replace("password=PASSWORD", f"user={server.user!r}, password=PASSWORD")
    code = compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    namespace = {"PASSWORD": server.password, **names}
    result = types.FunctionType(code, namespace)()
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize(("block", "said"), list(blocks()))
def test_the_programs_of_the_pages_run(block, said, docs_server, tmp_path, capsys):
    run(block, docs_server, FILE=tmp_path / "copy.sqlite")
    printed = capsys.readouterr().out
    assert said in (None, printed)


def test_sync_in_20_lines_prints_what_the_page_says(docs_server, tmp_path, capsys):
    (page,) = [page for page in PAGES if page.stem == "sync-a-mailbox"]
    (block,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (said,) = re.findall(r"^```text\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    for number in range(3):
        if number == 2:
            with DRIVES["sync"](docs_server.url, **docs_server.login) as client:
                client.select("INBOX")
                client.store(1, add="\\Flagged")
                client.store(2, add="\\Deleted")
                client.expunge()
        run(block, docs_server, FILE=tmp_path / "copy.sqlite")
    assert capsys.readouterr().out == said
