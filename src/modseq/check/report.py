"""What came out: a table by RFC section, each failure with all that was said, JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from modseq import clock
from modseq.check.connection import shown
from modseq.check.runner import Outcome, Verdict
from modseq.check.script import section_key

_STOPPED = 130
"""What shells take for ended by Ctrl-C."""
JSON_FORMAT = 1
"""The form of the JSON report; a change that breaks readers raises it."""
_LINES_MAX = 60
"""Lines of one conversation on the terminal; the JSON and HTML reports have all."""
HEADING = ("SECTION", "", "PASSED", "FAILED", "SHOULD NOT KEPT", "MAY NOT USED", "NOT OFFERED")


@dataclass
class Report:
    """
    All outcomes of one run.

    Attributes:
        server: host and port.
        name, greeting, capabilities: what the server says of itself.
        began_seconds: when, in seconds since 1970.
        left: mailboxes of the checker that could not be removed.
        is_stopped: whether somebody stopped it before its end.

    """

    server: str
    name: str
    greeting: str
    capabilities: Sequence[str]
    began_seconds: int
    seconds: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    is_stopped: bool = False

    @property
    def began(self) -> str:
        """When the run began, in UTC."""
        moment: str = datetime.fromtimestamp(self.began_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return moment

    def of(self, kind: str) -> list[Outcome]:
        """Return the outcomes of one kind, as `kind_of` names it."""
        return [each for each in self.outcomes if kind_of(each) == kind]

    def exit_status(self, *, is_strict: bool = False) -> int:
        """Return 0 when every MUST held (with `is_strict` every SHOULD too), else 1; 130 when it was stopped."""
        if self.is_stopped:
            return _STOPPED
        bad = {"failed", "not kept"} if is_strict else {"failed"}
        return int(any(kind_of(each) in bad for each in self.outcomes))


def kind_of(outcome: Outcome) -> str:
    """Return what an outcome means: passed, failed, not kept (SHOULD), not used (MAY) or not offered."""
    if outcome.verdict is Verdict.FAILED and not outcome.is_broken:
        return {"SHOULD": "not kept", "MAY": "not used"}.get(outcome.case.level, "failed")
    if outcome.is_broken or outcome.verdict is Verdict.NOT_RUN:
        return "failed"
    return outcome.verdict.value


KINDS = ("passed", "failed", "not kept", "not used", "not offered")


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the table: a row for each section, and the sums."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for outcome in report.outcomes:
        key = (section_of(outcome), outcome.case.heading)
        counts.setdefault(key, Counter())[kind_of(outcome)] += 1
    made: list[tuple[str, ...]] = [HEADING]
    made += [(name, title, *_cells(count)) for (name, title), count in counts.items()]
    total: Counter[str] = Counter()
    for count in counts.values():
        total.update(count)
    return [*made, ("all", "", *_cells(total))]


def _cells(count: Counter[str]) -> Iterator[str]:
    return (str(count[kind]) if count[kind] else "-" for kind in KINDS)


def section_of(outcome: Outcome) -> str:
    """Return the name of a row: RFC 7162 3.1.3, races, lost history."""
    case = outcome.case
    if not section_key(case.section):
        return {"race": "races", "history": "lost history", "throughout": "throughout"}.get(
            case.section, case.section
        )
    return f"RFC {case.rfc} {case.section}"


def failures(report: Report) -> Iterator[str]:
    """Yield each failure as text: what the RFC says, what was said, what was expected."""
    for kind in ("failed", "not kept"):
        for outcome in report.of(kind):
            yield "\n".join(_failure(outcome, kind))


def _failure(outcome: Outcome, kind: str) -> Iterator[str]:
    case = outcome.case
    mark = {"failed": "FAILED", "not kept": "SHOULD NOT KEPT"}[kind]
    yield f"{mark}  {case.identity}"
    yield f"  {case.title}"
    yield f"  {case.source}, {case.level}: {case.sentence}"
    if case.note:
        yield f"  {case.note}"
    yield f"  {shown(outcome.problem)}"
    for line in outcome.expected:
        yield f"  expected  {line}"
    for name, figure in outcome.figures.items():
        yield f"  {name}: {figure}"
    lines = outcome.transcript[-_LINES_MAX:]
    if len(lines) < len(outcome.transcript):
        yield f"    ({len(outcome.transcript) - len(lines)} lines before)"
    for each in lines:
        yield f"    {each}"


def summary(report: Report) -> str:
    """Return the last line."""
    count = Counter(kind_of(each) for each in report.outcomes)
    parts = [f"{count['passed']} passed"]
    words = {
        "failed": "failed", "not kept": "SHOULD not kept", "not used": "MAY not used", "not offered": "not offered",
    }  # fmt: skip
    parts += [f"{count[kind]} {word}" for kind, word in words.items() if count[kind]]
    end = " and was stopped" if report.is_stopped else ""
    return f"{', '.join(parts)}; {report.seconds:.1f} s{end}"


def as_json(report: Report) -> str:
    """Return everything as JSON."""
    count = Counter(kind_of(each) for each in report.outcomes)
    return json.dumps(
        {
            "format": JSON_FORMAT,
            "server": {
                "address": report.server,
                "name": report.name,
                "greeting": report.greeting,
                "capabilities": sorted(report.capabilities),
            },
            "began": report.began,
            "seconds": round(report.seconds, 3),
            "stopped": report.is_stopped,
            "summary": {kind: count[kind] for kind in KINDS},
            "left_mailboxes": report.left,
            "results": [_result(each) for each in report.outcomes],
        },
        indent=1,
        ensure_ascii=False,
    )


def _result(outcome: Outcome) -> dict[str, object]:
    case = outcome.case
    return {
        "id": case.identity,
        "title": case.title,
        "rfc": case.rfc,
        "section": case.section,
        "level": case.level,
        "sentence": case.sentence,
        "source": case.source,
        "note": case.note,
        "result": kind_of(outcome),
        "problem": shown(outcome.problem),
        "expected": outcome.expected,
        "figures": outcome.figures,
        "transcript": [str(line) for line in outcome.transcript] if kind_of(outcome) != "passed" else [],
        "seconds": round(outcome.seconds, 3),
    }


def begin(server: str, name: str, greeting: str, capabilities: Sequence[str]) -> Report:
    """Return a report to which outcomes are added."""
    return Report(server, name, shown(greeting), capabilities, clock.now_seconds())
