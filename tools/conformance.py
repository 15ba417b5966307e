"""Print tables of docs/conformance.md from reports of `modseq check --json`: by section, and what failed where.

`python tools/conformance.py modseq.json dovecot.json cyrus.json`
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

KINDS = {"passed": "passed", "failed": "failed", "not kept": "SHOULD not kept", "not used": "MAY not used",
         "not offered": "not offered"}  # fmt: skip


def main() -> int:
    reports = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    names = [report["server"]["name"] or report["server"]["address"] for report in reports]
    print("| | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for kind, words in KINDS.items():
        print(f"| {words} | " + " | ".join(str(report["summary"][kind]) for report in reports) + " |")
    print("\n" + sections(reports, names))
    for report, name in zip(reports, names, strict=True):
        print(f"\n### {name}, {report['began'][:10]}\n\n" + shortfalls(report))
    return 0


def sections(reports: list[dict], names: list[str]) -> str:
    """Return the table by section: passed of those that apply."""
    lines = ["| section | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names)]
    order = dict.fromkeys((each["rfc"], each["section"]) for report in reports for each in report["results"])
    for rfc, section in order:
        cells = []
        for report in reports:
            count = Counter(
                each["result"]
                for each in report["results"]
                if (each["rfc"], each["section"]) == (rfc, section)
            )
            applies = count.total() - count["not offered"] - count["not used"]
            cells.append(f"{count['passed']} of {applies}" if applies else "not offered")
        label = {"race": "races", "history": "lost history", "throughout": "throughout"}.get(
            section, f"RFC {rfc} {section}"
        )
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shortfalls(report: dict) -> str:
    """Return what failed and which SHOULD was not kept, variants of one case together."""
    lines = []
    for kind in ("failed", "not kept"):
        together: dict[str, list[dict]] = {}
        for each in report["results"]:
            if each["result"] == kind:
                together.setdefault("/".join(each["id"].split("/")[:3]), []).append(each)
        for identity, group in together.items():
            title = group[0]["title"].split(": ")[0] if len(group) > 1 else group[0]["title"]
            times = f" ({len(group)} variants)" if len(group) > 1 else ""
            lines.append(f"- {KINDS[kind]}: `{identity}` {title}{times}")
    return "\n".join(lines) or "Nothing."


if __name__ == "__main__":
    sys.exit(main())
