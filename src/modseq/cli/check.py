"""`modseq check`: does a server keep RFC 7162?"""

from __future__ import annotations

import sys
import click
from modseq.check.connection import Target
from modseq.check.runner import Runner
from modseq.check.script import all_cases
from modseq.check.server import Mailboxes, learn, with_keywords


@click.command("check")
@click.argument("server")
@click.option("--section", multiple=True)
def command(server: str, section: tuple[str, ...]) -> None:
    """Check."""
    host, _, port = server.rpartition(":")
    target = Target(host, int(port), "u", "pw")
    facts = learn(target)
    mailboxes = Mailboxes(target, facts.prefix)
    facts = with_keywords(facts, mailboxes)
    runner = Runner(mailboxes, facts)
    cases = [c for c in all_cases() if not section or any(s in c.identity for s in section)]
    import collections
    n = collections.Counter()
    def watch(o):
        n[o.verdict.value, o.case.level] += 1
        if o.verdict.value in ("failed", "not run"):
            print("----", o.case.identity, o.case.level, o.problem, *o.expected, sep="\n   ")
            if "-v" in sys.argv or len(cases) < 400:
                for l in o.transcript: print("      ", str(l)[:300])
        elif o.verdict.value=="not offered": print("not offered", o.case.identity, o.problem)
    runner.run(cases, watch)
    print(n, runner.left)
