"""What the package offers, what it promises, and that both drivers offer the same."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import modseq.client
from modseq.client import aio, errors, sync
from modseq.client.surface import options_of

ROOT = Path(__file__).resolve().parents[2]


def test_exports_are_sorted_and_there():
    names = modseq.client.__all__
    assert names == sorted(names)
    assert all(hasattr(modseq.client, name) for name in names)
    public = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert public <= set(names)


@pytest.mark.parametrize("docstring", [errors.__doc__, modseq.client.__doc__])
def test_the_tree_of_errors_is_the_one_that_is_printed(docstring):
    parents, found = ["Exception"], {}
    for line in docstring.splitlines():
        match = re.match(r"([ │├└─]*)([A-Z]\w+)(?=  |$)", line.removeprefix("    "))
        if match is None or (not match[1] and match[2] != "ClientError"):
            continue
        depth = len(match[1]) // 4
        del parents[depth + 1 :]
        found[match[2]] = parents[depth]
        parents.append(match[2])
    actual = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert found == actual


def methods(kind):
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize("name", ["Client", "Stream", "BodyStream", "Sync", "Pipeline"])
def test_both_drivers_have_the_same_methods(name):
    ours, theirs = methods(getattr(aio, name)), methods(getattr(sync, name))
    renamed = {"close" if each == "aclose" else each: value for each, value in ours.items()}
    assert renamed.keys() == theirs.keys()
    for each, value in renamed.items():
        mine, other = inspect.signature(value), inspect.signature(theirs[each])
        assert [(p.name, p.kind, p.default) for p in mine.parameters.values()] == [
            (p.name, p.kind, p.default) for p in other.parameters.values()
        ]
        assert inspect.getdoc(value) == inspect.getdoc(theirs[each])


def test_connect_takes_the_same_everywhere():
    for function in (sync.connect, options_of):
        expected = inspect.signature(aio.connect).parameters
        assert {n: p.default for n, p in inspect.signature(function).parameters.items()} == {
            n: p.default for n, p in expected.items()
        }


def test_every_public_thing_has_a_docstring():
    for name in modseq.client.__all__:
        value = getattr(modseq.client, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_nothing_returns_a_bare_boolean():
    for kind in (aio.Client, sync.Client):
        for name, value in methods(kind).items():
            returned = inspect.signature(value).return_annotation
            assert "bool" not in str(returned) or name == "has", name


def test_types_are_what_the_examples_say():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unused-ignores",
            "tests/client/typing_examples.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
