"""Write docs/reference from the code: command rows, capabilities, settings, limits and the command line.

`python tools/reference.py` writes the pages; `--check` only says which are out of date and exits with 1.
A test runs the check.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- made by tools/reference.py from the code: change the code, then run it again -->\n\n"


def main() -> int:
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if "--check" in sys.argv and stale:
        print("out of date, run tools/reference.py:", ", ".join(stale))
        return 1
    return 0


def pages() -> dict[str, str]:
    """Return each page by file name."""
    return {
        "commands.md": commands(),
        "settings.md": settings(),
        "limits.md": limits(),
        "cli.md": command_line(),
    }


def commands() -> str:
    from modseq.server import commands as package
    from modseq.server import registry

    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    lines = [MADE + "# Commands and capabilities\n", "## Commands\n"]
    lines.append(
        "| command | family | states | may expunge be told | joins a batch | RFC |\n|---|---|---|---|---|---|"
    )
    for row in registry.rows():
        states = ", ".join(sorted(state.value for state in row.states))
        lines.append(
            f"| {row.name} | {row.family} | {states} | {_answer(row.may_vanish)} | "
            f"{'yes' if row.joins_batch else 'no'} | {'; '.join('RFC ' + each for each in row.rfc)} |"
        )
    lines.append("\n## Capabilities\n\n| capability | RFC |\n|---|---|")
    lines.extend(f"| {each.name} | RFC {each.rfc} |" for each in registry.capabilities())
    return "\n".join(lines) + "\n"


def _answer(test: object) -> str:
    from modseq.server import registry

    if test is registry.always:
        return "yes"
    return "no" if test is registry.never else "depends"


def settings() -> str:
    from modseq.server.settings import Settings

    lines = [
        MADE + "# Settings\n",
        "A TOML file given by `--config`; options of the command line win. Unknown keys are errors.\n",
    ]
    lines.append("| key | default | meaning |\n|---|---|---|")
    lines.extend(f"| `{key}` | {default} | {text} |" for key, default, text in _fields(Settings, ""))
    return "\n".join(lines) + "\n"


def _fields(kind: type, prefix: str) -> Iterator[tuple[str, str, str]]:
    import msgspec

    for field in msgspec.structs.fields(kind):
        inner = field.type
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from _fields(inner, f"{prefix}{field.encode_name}.")
            continue
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        shown = "required" if default is msgspec.NODEFAULT else f"`{_toml(default)}`"
        (meta,) = (each for each in inner.__metadata__ if isinstance(each, msgspec.Meta))
        yield prefix + field.encode_name, shown, meta.description or ""


def _toml(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def limits() -> str:
    lines = [MADE + "# Limits"]
    values = vars(importlib.import_module("modseq.limits"))
    for path in sorted((ROOT / "src" / "modseq" / "limits").glob("[a-z]*.py")):
        what = ast.get_docstring(ast.parse(path.read_text()))
        lines.append(f"\n## {path.stem}\n\n{what}\n\n| limit | value | why |\n|---|---|---|")
        lines.extend(
            f"| `{name}` | {_number(values[name])} | {text} |" for name, text in _documented(path, None)
        )
    return "\n".join(lines) + "\n"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _documented(path: Path, of: str | None) -> Iterator[tuple[str, str]]:
    """Yield names assigned at the top of a module, or in a class of it, with the strings below them."""
    body = ast.parse(path.read_text()).body
    if of is not None:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == of).body
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign):
            target = node.target
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
        else:
            continue
        if (
            isinstance(target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            yield target.id, re.sub(r"\s+", " ", after.value.value).strip()


def command_line() -> str:
    from modseq.cli.main import program

    parts = [MADE + "# Command line\n"]
    parts.extend(_command(program, "modseq", None))
    return "\n".join(parts)


def _command(command: click.Command, path: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command, info_name=path.rsplit(" ", 1)[-1], parent=parent, terminal_width=100, max_content_width=100
    )
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _command(inner, f"{path} {name}", context)


if __name__ == "__main__":
    sys.exit(main())
