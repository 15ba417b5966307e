r"""The language of the cases: an annotated IMAP transcript.

    rfc: 7162
    section: 3.1.3
    title: STORE and UID STORE Commands
    needs: CONDSTORE

    case: a conditional STORE of a message that nobody changed succeeds
    MUST: If the operation is successful, the server MUST update the mod-sequence attribute of the
      message.
    messages: 2
    C: s SELECT $box (CONDSTORE)
    S: s OK
    C: a STORE 1 (UNCHANGEDSINCE $h) +FLAGS (\Flagged)
    S: * 1 FETCH (UID $u1 FLAGS (\Flagged) MODSEQ ($m>$h))
    !S: * 2 FETCH ...
    S: a OK [!MODIFIED]
    check: $m > $h

**A file** belongs to one section of one RFC. `setting: NAME` begins lines that cases take over with
`given: NAME`; `case:` begins a case.

**The head of a case**
- `MUST:`, `SHOULD:`, `MAY:` or `example:` and the sentence of the RFC that it tests, word for word, with
  [...] where something is left out. An indented line continues the one before.
- `source: RFC 3501 section 6.4.6` where the sentence stands elsewhere.
- `needs: QRESYNC SORT|SORT=DISPLAY keywords`: capabilities; one word each, alternatives joined by `|`.
  `keywords` means that clients may create keywords. What the file needs, each case needs.
- `messages: 5`, `flags: 1,3 \Seen; 2 $Work`, `expunged: 2,4`, `mailboxes: 2`: what there is before it begins.
- `with: item = FLAGS | BODY[TEXT]`: the case is run once for each, with `<item>` replaced in its lines;
  `with: change -> after = +FLAGS (\Seen) -> \Seen | -FLAGS (\Seen) -> ` for what belongs together.
- `note:` why it is a fair test, where that is not plain.

**What is there.** `$box` is a new mailbox with those messages (`$box2` ... for more), `$v` its UIDVALIDITY,
`$u1` ... the UIDs in order, `$next` its UIDNEXT, `$h` its HIGHESTMODSEQ, `$h0` the one before `expunged`.
Tags are written out; a connection uses each once. `{{message}}` sends a message as a literal, `{{word}}`
that word.

**What is said.** `C:` is sent, `S:` must come. `C2:` and `S2:` are another connection, logged in; it opens
where it first occurs. A block of `S:` lines ends with a tagged line, with `S: +`, or with `S: <closed>`; the
untagged lines before it may come in any order, among others. `S>:` must come after the line written above
it. `!S:` must not come in that block. `S: <silence>`: for a moment nothing that `!S:` forbids comes. `S:`
lines without an end wait until all of them came.

**What matches.** Atoms in any case. `?` stands for one word, `...` for all further ones. `$name` takes
what stands there, and must find the same again. Numbers: `$m>$h`, `>=5`, `<$h`, `$(h + 1)`. Sequence sets as
sets. `FETCH (...)`, `STATUS`, `ESEARCH`: the named items are among those that came, in any order; `!MODSEQ`
is not among them. `FLAGS (\Seen)` is all flags but \Recent, `FLAGS (\Seen !$Work ...)` some of them.
`VANISHED 3,4` and `VANISHED (EARLIER) 3,4` compare with all such responses of the block together; `...`
after the set allows more. `OK|NO` is either. `[CODE ...]` is the response code, `[!CODE]` another one or
none; a tag `?` is `*` or the command's. `SEARCH` numbers are a set, `SORT` numbers a list.

**Between.** `check: $m > $h + 1`, `let: name = $h - 1`, `assume: $h > 2` (else the case does not apply);
numbers, `+ - *`, comparisons, `and or not in`, `set($x)`, `len(...)`, `odd(9)` for 1,3,5,7,9.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.abc import Traversable

from modseq.check.response import CLOSED, SILENCE, numbers_of, read_response

LEVELS = ("MUST", "SHOULD", "MAY", "example")
_HEAD = re.compile(r"(?P<key>[A-Za-z]+): ?(?P<value>.*)\Z")
_TALK = re.compile(r"(?P<not>!)?(?P<who>[CS])(?P<number>\d?)(?P<after>>)?: ?(?P<text>.*)\Z")
_STEP = re.compile(r"(?P<kind>check|let|assume): ?(?P<text>.*)\Z")
_KEYS = frozenset(
    [*LEVELS, "source", "needs", "messages", "flags", "expunged", "mailboxes", "with", "note", "given"]
)
_SOURCE = re.compile(r"RFC (\d{4})(?: section (\S+))?\Z")


class ScriptError(ValueError):
    """A case file cannot be understood; says where and why."""


@dataclass(frozen=True, slots=True)
class Send:
    """A `C:` line."""

    line: int
    connection: int
    text: str


@dataclass(frozen=True, slots=True)
class Expect:
    """An `S:` line."""

    line: int
    connection: int
    text: str
    is_forbidden: bool = False
    is_after: bool = False

    @property
    def ends(self) -> bool:
        """Whether this line ends a block."""
        return not self.is_forbidden and not self.text.startswith(("* ", "? "))

    def __str__(self) -> str:
        return f"{'!' * self.is_forbidden}S{self.connection if self.connection > 1 else ''}: {self.text}"


@dataclass(frozen=True, slots=True)
class Hear:
    """The lines that one connection says up to the end of a block; the last one ends it, if it is an end."""

    connection: int
    lines: tuple[Expect, ...]

    @property
    def end(self) -> Expect | None:
        """The line that ends the block; None for lines that come unasked."""
        return self.lines[-1] if self.lines[-1].ends else None


@dataclass(frozen=True, slots=True)
class Step:
    """A `check:`, `let:` or `assume:` line."""

    line: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """
    One conversation and what it shows.

    Attributes:
        identity: rfc7162/3.1.3/name-of-the-case, with the variant's value after it.
        rfc, section: where it is filed.
        level, sentence, source: what the RFC says, and where: "RFC 7162 section 3.1.3".
        needs: each of these groups must be met by one of its capabilities.
        messages, flags, expunged, mailboxes: what there is before it begins.
        script: what is said.
        note: why it is a fair test, or what it means for a client.
        heading: the title of the section.

    """

    identity: str
    title: str
    rfc: int
    section: str
    level: str
    sentence: str
    source: str
    script: tuple[Send | Hear | Step, ...]
    needs: tuple[tuple[str, ...], ...] = ()
    messages: int = 0
    flags: tuple[tuple[str, str], ...] = ()
    expunged: str = ""
    mailboxes: int = 1
    note: str = ""
    heading: str = ""
    file: str = ""
    line: int = 0


@dataclass
class _Draft:
    """A case or a setting while its lines are read."""

    name: str
    line: int
    head: dict[str, str] = field(default_factory=dict)
    body: list[tuple[int, str]] = field(default_factory=list)


def all_cases(folder: Traversable | None = None) -> list[Case]:
    """Return every case that comes with the program, sorted by RFC and section."""
    folder = folder or resources.files("modseq.check") / "cases"
    shared = folder / "settings.txt"
    settings: dict[str, list[tuple[int, str]]] = {}
    if shared.is_file():
        settings = _Reader("settings.txt", shared.read_text("utf-8"), {}).settings
    cases: list[Case] = []
    for place in folder.iterdir():
        if place.is_dir():
            for file in place.iterdir():
                if file.name.endswith(".txt"):
                    cases += parse(f"{place.name}/{file.name}", file.read_text("utf-8"), settings)
    cases.sort(key=lambda case: (case.rfc != _MAIN_RFC, case.rfc, section_key(case.section), case.line))
    return cases


_MAIN_RFC = 7162


def section_key(section: str) -> tuple[int, ...]:
    """Return what sorts sections as the RFC does: 3.1.9 before 3.1.10."""
    return tuple(int(part) for part in re.findall(r"\d+", section))


def parse(name: str, text: str, settings: dict[str, list[tuple[int, str]]] | None = None) -> list[Case]:
    """
    Return the cases of one file.

    Raises: ScriptError for a line that cannot be understood, with its number.
    """
    return list(_Reader(name, text, settings or {}).cases())


class _Reader:
    """Reads one file."""

    def __init__(self, name: str, text: str, settings: dict[str, list[tuple[int, str]]]) -> None:
        self._name = name
        self._head: dict[str, str] = {}
        self.settings = dict(settings)
        self._drafts: list[_Draft] = []
        self._read(text)

    def _read(self, text: str) -> None:
        head, draft, key, in_setting = self._head, None, "", False
        for number, line in enumerate(text.splitlines(), 1):
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                continue
            if line[0] in " \t":
                if not key:
                    raise self._error(number, "nothing to continue")
                head[key] += " " + stripped
                continue
            if draft is not None and (_TALK.match(stripped) or _STEP.match(stripped)):
                draft.body.append((number, stripped))
                key = ""
                continue
            match = _HEAD.match(stripped)
            if match is None:
                raise self._error(number, f"not understood: {stripped}")
            key, value = match["key"], match["value"].strip()
            if key in ("case", "setting"):
                draft = _Draft(value, number)
                in_setting = key == "setting"
                if in_setting:
                    self.settings[value] = draft.body
                else:
                    self._drafts.append(draft)
                head, key = draft.head, ""
                continue
            allowed = _KEYS if draft is not None else {"rfc", "section", "title", "needs"}
            if key not in allowed or in_setting or (draft is not None and draft.body):
                raise self._error(number, f"'{key}:' has no place here")
            if key in head:
                raise self._error(number, f"'{key}:' a second time")
            head[key] = value

    def _error(self, line: int, sentence: str) -> ScriptError:
        return ScriptError(f"{self._name}:{line}: {sentence}")

    def cases(self) -> Iterator[Case]:
        """Yield the cases, once for each variant."""
        names: set[str] = set()
        for draft in self._drafts:
            slug = _slug(draft.name)
            if slug in names:
                raise self._error(draft.line, f"a second case '{draft.name}'")
            names.add(slug)
            yield from self._variants(draft, slug)

    def _variants(self, draft: _Draft, slug: str) -> Iterator[Case]:
        lines = self._given(draft)
        case = self._case(draft, slug)
        variants = self._with(draft)
        if not variants:
            yield replace(case, script=tuple(self._script(lines)))
            return
        for number, variant in enumerate(variants, 1):
            shown = ", ".join(variant.values())
            filled = [(line, _fill(text, variant)) for line, text in lines]
            yield replace(
                case,
                identity=f"{case.identity}/{number}",
                title=f"{case.title}: {shown}",
                script=tuple(self._script(filled)),
            )

    def _with(self, draft: _Draft) -> list[dict[str, str]]:
        if "with" not in draft.head:
            return []
        names, values = [], []
        for part in draft.head["with"].split(" ; "):
            name, sign, choices = part.partition(" = ")
            if not sign:
                raise self._error(draft.line, "'with:' wants: name = one | other")
            names.append([each.strip() for each in name.split(" -> ")])
            values.append(
                [
                    [each.strip() for each in re.split(r"(?:^|\s)->(?:\s|$)", choice)]
                    for choice in re.split(r"(?:^|\s)\|(?:\s|$)", choices)
                ]
            )
        try:
            return [
                {
                    name: value
                    for group, chosen in zip(names, choice, strict=True)
                    for name, value in zip(group, chosen, strict=True)
                }
                for choice in itertools.product(*values)
            ]
        except ValueError as error:
            raise self._error(draft.line, "'with:' has not a value for each name") from error

    def _given(self, draft: _Draft) -> list[tuple[int, str]]:
        lines: list[tuple[int, str]] = []
        for name in filter(None, map(str.strip, draft.head.get("given", "").split(","))):
            if name not in self.settings:
                raise self._error(draft.line, f"no setting '{name}'")
            lines += self.settings[name]
        return lines + draft.body

    def _case(self, draft: _Draft, slug: str) -> Case:
        head = draft.head
        levels = [level for level in LEVELS if level in head]
        if len(levels) != 1:
            raise self._error(draft.line, f"a case has one of {', '.join(LEVELS)}")
        try:
            rfc, section = int(self._head["rfc"]), self._head["section"]
            source = head.get("source", f"RFC {rfc} section {section}")
            if not _SOURCE.match(source):
                raise self._error(draft.line, "'source:' wants: RFC 3501 section 6.4.6")
            return Case(
                identity=f"rfc{rfc}/{section}/{slug}",
                title=draft.name,
                rfc=rfc,
                section=section,
                level=levels[0],
                sentence=head[levels[0]],
                source=source,
                script=(),
                needs=_needs(f"{self._head.get('needs', '')} {head.get('needs', '')}"),
                messages=int(head.get("messages", "0")),
                flags=tuple(_flags(head.get("flags", ""))),
                expunged=head.get("expunged", ""),
                mailboxes=int(head.get("mailboxes", "1")),
                note=head.get("note", ""),
                heading=self._head.get("title", ""),
                file=self._name,
                line=draft.line,
            )
        except (KeyError, ValueError) as error:
            raise self._error(draft.line, f"wrong or missing: {error}") from error

    def _script(self, lines: Sequence[tuple[int, str]]) -> Iterator[Send | Hear | Step]:
        block: list[Expect] = []
        tags: set[tuple[int, str]] = set()
        for number, text in lines:
            if step := _STEP.match(text):
                if block:
                    yield self._hear(block)
                    block = []
                yield Step(number, step["kind"], step["text"])
                continue
            match = _TALK.match(text)
            assert match is not None
            connection = int(match["number"] or 1)
            if block and (match["who"] == "C" or block[0].connection != connection):
                yield self._hear(block)
                block = []
            if match["who"] == "C":
                tag, space, _ = match["text"].partition(" ")
                if space and (connection, tag) in tags:
                    raise self._error(number, f"tag {tag} a second time")
                tags.add((connection, tag))
                yield Send(number, connection, match["text"])
                continue
            block.append(Expect(number, connection, match["text"], bool(match["not"]), bool(match["after"])))
            if block[-1].ends:
                yield self._hear(block)
                block = []
        if block:
            yield self._hear(block)

    def _hear(self, block: list[Expect]) -> Hear:
        if block[-1].is_forbidden:
            raise self._error(block[-1].line, "a block ends with a line that must come")
        for each in block:
            name = read_response(each.text).name
            if not name and each.text not in (CLOSED, SILENCE) and not each.text.startswith("+"):
                raise self._error(each.line, f"not a response: {each.text}")
        kinds = [
            each.text.upper().startswith("* VANISHED (EARLIER)")
            for each in block
            if each.text.upper().startswith("* VANISHED") and not each.is_forbidden
        ]
        if len(kinds) != len(set(kinds)):
            raise self._error(block[0].line, "VANISHED twice in one block: they count together")
        return Hear(block[0].connection, tuple(block))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _fill(text: str, variant: dict[str, str]) -> str:
    for name, value in variant.items():
        text = text.replace(f"<{name}>", value)
    return text


def _needs(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(tuple(word.split("|")) for word in text.split()))


def _flags(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, map(str.strip, text.split(";"))):
        numbers, _, flags = part.partition(" ")
        if numbers_of(numbers) is None or not flags:
            raise ValueError(f"flags: {part}")
        yield numbers, flags
