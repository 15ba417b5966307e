"""Every example of the how-to page runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from modseq.testing import Faults, ImapServer, Quirk

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/test-mail-software.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def examples(pytester):
    for name, text in FILES.items():
        (pytester.path / name).write_text(text)
    return pytester


def test_every_block_is_a_file_that_runs():
    assert PAGE.count("```python") == len(FILES) > 5


def test_the_examples_pass(examples):
    result = examples.runpytest_inprocess("--strict-markers", "-W", "error", "-q")
    tests = sum(text.count("def test_") for text in FILES.values())
    result.assert_outcomes(passed=tests - 1 + 21)  # one of them for 21 places where the connection breaks


def test_the_examples_for_unittest_pass_without_pytest(examples):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", "test_unittest"],
        cwd=examples.path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_readme_passes(examples):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    block = re.search(r"```python\n(def test_.*?)```", readme, re.DOTALL)[1]
    head = "import pytest\nfrom receipts import file_receipts\n\n"
    (examples.path / "test_readme.py").write_text(head + block)
    examples.runpytest_inprocess("test_readme.py").assert_outcomes(passed=1)


def test_a_failing_example_shows_what_the_page_shows(examples):
    path = examples.path / "test_receipts.py"
    path.write_text(path.read_text().replace('match="MOVE is not served here"', 'match="something else"'))
    result = examples.runpytest_inprocess("test_receipts.py", "-k", "without_move")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- IMAP conversation, server 1 (call) -*",
            "*#1  -- connected",
            "*#1  S: [*] OK [[]CAPABILITY IMAP4rev1 AUTH=PLAIN * XALLORNONE*[]] modseq is ready",
            "*#1  C: * LOGIN [*][*][*]",
            "*#1  C: * UID MOVE 1 Receipts",
            "*#1  S: * BAD MOVE is not served here",
        ]
    )


def test_the_tables_name_every_fault_and_quirk_and_only_what_is_there():
    for name in vars(Faults):
        if not name.startswith("_"):
            assert f"{name}(" in PAGE, name
    for quirk in Quirk:
        assert f"`{quirk.name}`" in PAGE, quirk
    table = PAGE.partition("## What a test can do")[2].partition("The fixtures")[0]
    server = ImapServer()
    for name in re.findall(r"`(?:imap_server)?\.(\w+)", table):
        assert name in vars(ImapServer) or name in vars(server), name
