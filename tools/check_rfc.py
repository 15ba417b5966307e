"""Check every `RFC:` line of the code against the RFC texts, and say which sections have code and tests.

`python tools/check_rfc.py FOLDER` reads rfcNNNN.txt from FOLDER: a section named in the code must be a
heading there. Without the texts only the form of the lines is checked.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"^\s*RFC: (.*)$", re.MULTILINE)
FORM = re.compile(r"(\d{4})(?: section (\d+(?:\.\d+)*[a-z]?(?:, (?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*))*))?\.?")


@cache
def headings(folder: Path, number: str) -> frozenset[str] | None:
    """Return the section numbers of an RFC, None when its text is not there."""
    path = folder / f"rfc{number}.txt"
    if not path.exists():
        return None
    text = path.read_text(errors="replace")
    return frozenset(re.findall(r"^ {0,4}(\d+(?:\.\d+)*)\.?[ \t]+\S", text, re.MULTILINE))


def problems(folder: Path | None) -> list[str]:
    """Return what is wrong, as file:line and a sentence."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text()
        for match in LINE.finditer(text):
            where = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            for part in match[1].rstrip(".").split("; "):
                form = FORM.fullmatch(part)
                if form is None:
                    found.append(f"{where}: '{part}' is not of the form '7162 section 3.1.3, 3.2'")
                    continue
                known = headings(folder, form[1]) if folder is not None else None
                sections = form[2].split(", ") if form[2] and known is not None else []
                found.extend(
                    f"{where}: RFC {form[1]} has no section {section}"
                    for section in sections
                    if section not in known
                )
    return found


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found = problems(folder)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
