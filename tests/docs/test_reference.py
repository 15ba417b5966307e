"""What the documents say of the code is made from the code; here it is held against it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_rfc_lines_have_their_form_and_name_real_sections():
    texts = ROOT.parent / "shared" / "rfc"
    words = [str(texts)] if texts.is_dir() else []
    done = subprocess.run(
        [sys.executable, "tools/check_rfc.py", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_limit_has_a_reason_and_a_user():
    limits = ROOT / "src/modseq/limits"
    text = "".join(path.read_text() for path in limits.glob("*.py"))
    names = re.findall(r"^([A-Z][A-Z0-9_]+) = ", text, re.MULTILINE)
    assert len(names) == len(set(names)), "two files of the package name one limit"
    sources = [path.read_text() for path in (ROOT / "src/modseq").rglob("*.py") if path.parent != limits]
    unused = [
        name for name in names if not any(name in source for source in sources) and text.count(name) < 2
    ]
    assert unused == []
    # A copy of a name would not be replaced where a test replaces it.
    assert not [source for source in sources if re.search(r"(from|import) modseq\.limits\.", source)]
    assert len(re.findall(r'^[A-Z][A-Z0-9_]+ = .*\n"""', text, re.MULTILINE)) == len(names)


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_files_stay_small():
    long = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if len(path.read_text().splitlines()) > 600
    ]
    assert long == []
