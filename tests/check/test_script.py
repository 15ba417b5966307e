"""The language of the cases, and the cases that come with the program."""

import re
from pathlib import Path

import pytest

from modseq.check import laws
from modseq.check.script import Hear, ScriptError, Send, Step, all_cases, parse, section_key

RFC_TEXTS = Path(__file__).resolve().parents[3] / "shared" / "rfc"
CASES = all_cases()
HEAD = "rfc: 7162\nsection: 3.1.3\ntitle: STORE\nneeds: CONDSTORE\n"
CASE = "case: a store\nMUST: The server\n  MUST store.\n"


def test_a_case_is_read():
    (case,) = parse(
        "x.txt",
        HEAD
        + CASE
        + """needs: UIDPLUS|IMAP4rev2 keywords
messages: 3
flags: 1:2 \\Seen \\Flagged; 3 $Work
expunged: 2
note: because
C: a STORE 1 +FLAGS (\\Seen)
S: * 1 FETCH (FLAGS (\\Seen))
S>: * 2 EXISTS
!S: * 1 EXPUNGE
S: a OK
check: $u1 < $u2
C2: b NOOP
S2: b OK
""",
    )
    assert case.identity == "rfc7162/3.1.3/a-store"
    assert (case.level, case.sentence) == ("MUST", "The server MUST store.")
    assert case.source == "RFC 7162 section 3.1.3"
    assert case.needs == (("CONDSTORE",), ("UIDPLUS", "IMAP4rev2"), ("keywords",))
    assert case.flags == (("1:2", "\\Seen \\Flagged"), ("3", "$Work"))
    assert (case.messages, case.expunged, case.note, case.heading) == (3, "2", "because", "STORE")
    assert [type(step) for step in case.script] == [Send, Hear, Step, Send, Hear]
    heard = case.script[1]
    assert [(line.is_forbidden, line.is_after) for line in heard.lines] == [
        (False, False), (False, True), (True, False), (False, False),
    ]  # fmt: skip
    assert heard.end.text == "a OK"
    assert case.script[4].connection == 2


def test_variants():
    cases = parse(
        "x.txt",
        HEAD + CASE + "with: change -> after = +FLAGS (\\Seen) -> \\Seen | FLAGS () ->\n"
        "C: a STORE 1 <change>\nS: * 1 FETCH (FLAGS (<after>))\nS: a OK\n",
    )
    assert [case.identity for case in cases] == ["rfc7162/3.1.3/a-store/1", "rfc7162/3.1.3/a-store/2"]
    assert [case.script[0].text for case in cases] == ["a STORE 1 +FLAGS (\\Seen)", "a STORE 1 FLAGS ()"]
    assert cases[1].script[1].lines[0].text == "* 1 FETCH (FLAGS ())"
    (first, second) = parse(
        "x.txt", HEAD + CASE + "with: silent = | .SILENT\nC: a STORE 1 FLAGS<silent> ()\n"
    )
    assert (first.script[0].text, second.script[0].text) == (
        "a STORE 1 FLAGS ()",
        "a STORE 1 FLAGS.SILENT ()",
    )


def test_settings_are_taken_over():
    (case,) = parse(
        "x.txt",
        HEAD + "setting: open\nC: s SELECT $box\nS: s OK\n" + CASE + "given: open\nC: a NOOP\nS: a OK\n",
    )
    assert [step.text for step in case.script if isinstance(step, Send)] == ["s SELECT $box", "a NOOP"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "case: x\nC: a NOOP\nS: a OK\n", "a case has one of"),
        (HEAD + "case: x\nMUST: a\nSHOULD: b\nC: a NOOP\nS: a OK\n", "a case has one of"),
        (HEAD + CASE + "given: nothing\nC: a NOOP\nS: a OK\n", "no setting"),
        (HEAD + CASE + "colour: red\n", "'colour:' has no place here"),
        (HEAD + CASE + "C: a NOOP\nneeds: IDLE\n", "'needs:' has no place here"),
        (HEAD + CASE + "needs: IDLE\nneeds: MOVE\n", "a second time"),
        (HEAD + CASE + "C: a NOOP\nS: a OK\nC: a NOOP\nS: a OK\n", "tag a a second time"),
        (HEAD + CASE + "C: a NOOP\n!S: * 1 EXISTS\nC: b NOOP\n", "a block ends with a line that must come"),
        (HEAD + CASE + "C: a NOOP\nS: nonsense\n", "not a response"),
        (HEAD + CASE + "C: a NOOP\nS: * VANISHED 1\nS: * VANISHED 2\nS: a OK\n", "VANISHED twice"),
        (HEAD + CASE + "hello\n", "not understood"),
        ("  hanging\n", "nothing to continue"),
        (HEAD + CASE + "source: somewhere\nC: a NOOP\nS: a OK\n", "'source:' wants"),
        (HEAD + CASE + "messages: many\nC: a NOOP\nS: a OK\n", "wrong or missing"),
        (HEAD + CASE + "flags: x \\Seen\nC: a NOOP\nS: a OK\n", "wrong or missing"),
        (HEAD + CASE + "with: a\nC: a NOOP\nS: a OK\n", "'with:' wants"),
        (HEAD + CASE + "with: a -> b = c\nC: a NOOP\nS: a OK\n", "not a value for each name"),
        (HEAD + CASE + "C: a NOOP\nS: a OK\n" + CASE + "C: a NOOP\nS: a OK\n", "a second case"),
        ("title: x\n" + CASE + "C: a NOOP\nS: a OK\n", "wrong or missing"),
    ],
)
def test_mistakes_are_told_with_their_line(text, problem):
    with pytest.raises(ScriptError, match=r"x\.txt:\d+: .*" + re.escape(problem)):
        parse("x.txt", text)


def test_sections_sort_as_in_the_rfc():
    assert sorted(["3.1.10", "3.1.9", "3.1", "10", "4"], key=section_key) == [
        "3.1",
        "3.1.9",
        "3.1.10",
        "4",
        "10",
    ]
    of_main = [case.section for case in CASES if case.rfc == 7162]
    assert of_main == sorted(of_main, key=section_key)


# --- the cases that come with the program ---------------------------------------------------------


def test_there_are_cases_for_every_section_with_requirements():
    written = {(case.file, case.line) for case in CASES}
    assert len(written) >= 400
    assert len({case.identity for case in CASES}) == len(CASES) >= 600
    sections = {case.section for case in CASES if case.rfc == 7162}
    assert sections >= {
        "3.1", "3.1.1", "3.1.2", "3.1.2.1", "3.1.3", "3.1.4.1", "3.1.4.2", "3.1.5", "3.1.6", "3.1.7", "3.1.8", "3.1.9",
        "3.1.10", "3.1.11", "3.1.12", "3.2", "3.2.2", "3.2.3", "3.2.4", "3.2.5", "3.2.5.1", "3.2.5.2", "3.2.6", "3.2.7",
        "3.2.8", "3.2.9", "3.2.10", "3.2.10.1", "3.2.10.2", "3.2.11", "4", "5", "6", "7",
    }  # fmt: skip


def test_every_case_stands_in_the_file_of_its_section():
    for case in CASES:
        assert case.file == f"rfc{case.rfc}/{case.section}.txt", case.identity


def test_every_case_expects_something():
    for case in CASES:
        lines = [line for step in case.script if isinstance(step, Hear) for line in step.lines]
        telling = [line for line in lines if line.is_forbidden or not re.fullmatch(r"\w+ OK", line.text)]
        checks = [step for step in case.script if isinstance(step, Step)]
        assert telling or checks or "taken" in case.title or "OK" in lines[-1].text, case.identity


@pytest.mark.skipif(not RFC_TEXTS.is_dir(), reason="the RFC texts are not in this place")
def test_every_sentence_stands_in_its_rfc():
    texts = {}
    for case in CASES:
        number = re.match(r"RFC (\d+)", case.source)[1]
        if number not in texts:
            path = RFC_TEXTS / f"rfc{number}.txt"
            texts[number] = _flat(path.read_text(errors="replace")) if path.exists() else None
        if texts[number] is None:
            continue
        for part in case.sentence.split("[...]"):
            assert _squeezed(part) in texts[number], (case.file, case.line, part)


@pytest.mark.skipif(not RFC_TEXTS.is_dir(), reason="the RFC texts are not in this place")
def test_every_law_stands_in_rfc_7162():
    text = _flat((RFC_TEXTS / "rfc7162.txt").read_text(errors="replace"))
    for law in laws.LAWS:
        assert _squeezed(law.sentence) in text, law.name


def _flat(text):
    """The text of an RFC without page breaks and white space."""
    text = re.sub(r"\n+[^\n]*\[Page \d+\]\n\f?\n?RFC \d+[^\n]*\n+", "\n", text)
    return _squeezed(text)


def _squeezed(text):
    return re.sub(r"\s+", "", text.replace(";", ""))


def test_every_section_is_a_heading_of_its_rfc():
    if not RFC_TEXTS.is_dir():
        pytest.skip("the RFC texts are not in this place")
    for rfc, section in {(case.rfc, case.section) for case in CASES}:
        path = RFC_TEXTS / f"rfc{rfc}.txt"
        if path.exists():
            assert re.search(
                rf"^ {{0,3}}{re.escape(section)}\.? +\S", path.read_text(errors="replace"), re.MULTILINE
            )
