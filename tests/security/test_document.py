"""docs/security.md names tests that are there, and as many cases as there are."""

import ast
import re
from pathlib import Path

from security.test_mailbox_names import HOSTILE
from security.test_secrets import RIGHT, ways
from security.test_starttls import INJECTED

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs/security.md").read_text()


def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_test_named_is_there():
    named = 0
    for row in PAGE.splitlines():
        path = None
        for file, test in re.findall(r"`(?:([\w/]+\.py)(?:::)?)?(test_\w+)?`", row):
            if file:
                path = TESTS / file
                assert path.exists(), file
            if test:
                assert path is not None, f"{test} stands without a file"
                assert test in functions(path), test
                named += 1
    assert named > 40


def test_every_test_of_security_is_named():
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.name != "test_document.py":
            tests = {name for name in functions(path) if name.startswith("test_")}
            missing = {name for name in tests if name not in PAGE}
            assert len(missing) <= 2, f"{path.name}: {missing}"


def test_the_numbers_are_those_of_the_tests():
    assert f"({len(INJECTED)} payloads" in PAGE
    assert f"({len(HOSTILE)} names in seven commands)" in PAGE
    assert f"to fail: {len(list(ways(RIGHT)))} of them" in PAGE
