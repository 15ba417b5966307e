"""The report as one HTML page that needs nothing else: no scripts, no other files."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from modseq.check.connection import shown
from modseq.check.report import HEADING, Report, kind_of, rows, section_of, summary
from modseq.check.runner import Outcome

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #ddd}
td:nth-child(n+3),th:nth-child(n+3){text-align:right;font-variant-numeric:tabular-nums}
tr:last-child{font-weight:600}
details{border:1px solid #ddd;border-left:.4rem solid #888;border-radius:.25rem;margin:.5rem 0;padding:.3rem .8rem}
details.failed{border-left-color:#b3261e}details.not-kept{border-left-color:#b26a00}
summary{cursor:pointer}pre{background:#f5f5f5;padding:.7rem;overflow:auto;font-size:.85rem}
.s{color:#00508a}.sentence{font-style:italic}.level{font-size:.8rem;color:#555}
@media(prefers-color-scheme:dark){body{background:#181818;color:#e5e5e5}pre{background:#252525}
td,th,details{border-color:#444}.s{color:#7cc0ff}.level{color:#aaa}}
"""
_PARTS = (
    ("failed", "Failed", True),
    ("not kept", "SHOULD not kept", True),
    ("not used", "MAY not used", False),
    ("not offered", "Not offered", False),
    ("passed", "Passed", False),
)


def as_html(report: Report) -> str:
    """Return the page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    title = f"RFC 7162 on {report.name or report.server}"
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(title)}</h1>"
    yield f"<p>{escape(report.server)}, {escape(report.began)}: {escape(summary(report))}</p>"
    yield f"<p><code>{escape(report.greeting)}</code></p>"
    yield (
        "<table><thead><tr>"
        + "".join(f"<th>{escape(each)}</th>" for each in HEADING)
        + "</tr></thead><tbody>"
    )
    for row in rows(report)[1:]:
        yield "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>"
    yield "</tbody></table>"
    for kind, heading, shows_lines in _PARTS:
        outcomes = report.of(kind)
        if outcomes:
            yield f"<h2>{heading} ({len(outcomes)})</h2>"
            for outcome in outcomes:
                yield from _details(outcome, shows_lines=shows_lines)
    yield "</body></html>"


def _details(outcome: Outcome, *, shows_lines: bool) -> Iterator[str]:
    case = outcome.case
    kind = kind_of(outcome).replace(" ", "-")
    yield f'<details class="{kind}"><summary>{escape(section_of(outcome))}: {escape(case.title)} '
    yield f'<span class="level">{escape(case.level)}</span></summary>'
    yield f'<p class="sentence">{escape(case.source)}: “{escape(case.sentence)}”</p>'
    if case.note:
        yield f"<p>{escape(case.note)}</p>"
    if outcome.problem:
        yield f"<p><b>{escape(shown(outcome.problem))}</b></p>"
    if outcome.figures:
        yield (
            "<p>"
            + escape(", ".join(f"{name}: {figure}" for name, figure in outcome.figures.items()))
            + "</p>"
        )
    if outcome.expected:
        yield "<p>Expected:</p><pre>" + escape("\n".join(outcome.expected)) + "</pre>"
    if shows_lines and outcome.transcript:
        yield "<pre>" + "\n".join(_line(str(line)) for line in outcome.transcript) + "</pre>"
    yield f'<p class="level">{escape(case.identity)}</p></details>'


def _line(text: str) -> str:
    return f'<span class="s">{escape(text)}</span>' if text.startswith("S") else escape(text)
