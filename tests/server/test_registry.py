"""The rows of commands and capabilities."""

import ast
from pathlib import Path

import pytest

from modseq import server
from modseq.server import commands, registry
from modseq.wire.messages import COMMAND_NAMES

assert commands.access is not None


def test_every_command_of_the_grammar_has_a_row():
    assert {row.name for row in registry.rows()} == COMMAND_NAMES


def test_every_row_names_its_sections():
    for row in registry.rows():
        assert row.rfc
        assert all(section.split()[0].isdigit() for section in row.rfc), row.name


def test_what_may_not_vanish_is_what_uses_sequence_numbers():
    from modseq.wire.messages import parse_command

    for line in (b"a FETCH 1 FLAGS", b"a STORE 1 FLAGS ()", b"a SEARCH ALL", b"a UID SEARCH 1:5"):
        command = parse_command((line,))
        assert not registry.row_of(command).may_vanish(command), line
    for line in (
        b"a UID FETCH 1 FLAGS",
        b"a UID STORE 1 FLAGS ()",
        b"a UID SEARCH ALL",
        b"a NOOP",
        b"a CHECK",
    ):
        command = parse_command((line,))
        assert registry.row_of(command).may_vanish(command), line


def test_a_name_has_one_handler():
    with pytest.raises(ValueError, match="two handlers"):
        registry.command("NOOP", family="access", states=registry.ANY_STATE, rfc="3501 section 6")(
            lambda: None
        )
    with pytest.raises(ValueError, match="twice"):
        registry.advertise("IMAP4rev1", rfc="3501 section 6")


@pytest.mark.parametrize(
    "module", ["session", "dispatch", "registry", "connection", "output", "telling", "reply"]
)
def test_the_machinery_names_no_command(module):
    tree = ast.parse((Path(server.__path__[0]) / f"{module}.py").read_text())
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation | bare:
            assert node.value not in COMMAND_NAMES
