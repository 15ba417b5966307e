"""`modseq check`: does a server keep RFC 7162?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from modseq import clock
from modseq.check import report as reports
from modseq.check.connection import LoginRefused, ServerBroke, ServerClosed, ServerSilent, Target, shown
from modseq.check.history import histories
from modseq.check.laws import LAWS, Watch
from modseq.check.race import races
from modseq.check.report_html import as_html
from modseq.check.runner import Outcome, Runner, Verdict
from modseq.check.script import Case, all_cases
from modseq.check.server import Facts, Mailboxes, SetUpFailed, learn, with_keywords
from modseq.check.trial import Sizes
from modseq.cli.output import fail, note, progress, say, table
from modseq.limits import PASSWORD_BYTES_MAX

_PORTS = {"none": 143, "starttls": 143, "tls": 993}
_UNREACHABLE = 2
"""Exit status when there was nobody to check: the same as for wrong usage, since nothing is said of the server."""
_KINDS = ("race", "history")
_TRIALS = 16 + len(LAWS)
"""Races, lost-history tests and laws in the progress bar."""


@click.command("check")
@click.argument("server", metavar="HOST[:PORT]", required=False)
@click.option("--user", help="Log in as this user; the mailboxes of the check go here.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)
@click.option("--tls", "security", flag_value="tls", help="TLS from the first octet; port 993 by default.")
@click.option("--starttls", "security", flag_value="starttls", help="Begin with STARTTLS.")
@click.option("--insecure", is_flag=True, help="Take any certificate.")
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="SECTION",
    help="Only this section of RFC 7162 and those below it, such as 3.1.3; or rfc4315, rfc3501/6.4, race, history.",
)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write everything here."
)
@click.option(
    "--html", "html_path", type=click.Path(dir_okay=False, path_type=Path), help="Write a page here."
)
@click.option("--strict", is_flag=True, help="A SHOULD that is not kept is a failure too.")
@click.option(
    "--workers", type=click.IntRange(2, 64), default=Sizes.workers, show_default=True, help="In races."
)
@click.option(
    "--rounds", type=click.IntRange(1, 1_000), default=Sizes.rounds, show_default=True, help="Of races."
)
@click.option(
    "--history", "history", type=click.IntRange(20, 100_000), default=Sizes.history, show_default=True,
    help="Messages in the lost-history tests; half of them are expunged.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=10.0, show_default=True, metavar="SECONDS",
    help="How long an answer may take.",
)  # fmt: skip
@click.option(
    "--progress/--no-progress", "bar", default=None, help="Show a progress bar.  [default: on a terminal]"
)
@click.option("--list", "lists", is_flag=True, help="List the cases and check nothing.")
def command(
    server: str | None,
    *,
    user: str | None,
    password_stdin: bool,
    security: str | None,
    insecure: bool,
    sections: tuple[str, ...],
    json_path: Path | None,
    html_path: Path | None,
    strict: bool,
    workers: int,
    rounds: int,
    history: int,
    timeout: float,
    bar: bool | None,
    lists: bool,
) -> None:
    """
    Check whether an IMAP server keeps RFC 7162 (CONDSTORE and QRESYNC).

    Conversations filed by RFC section, claim races of many workers, and lost-history tests. Everything happens
    in new mailboxes with names that nobody else uses, which are removed afterwards; what the user has is not
    touched. Capabilities that the server lacks are "not offered", not failures.

    Exit status: 0 every MUST holds, 1 something failed, 2 wrong usage or no way in.
    """
    cases = _chosen(all_cases(), sections)
    kinds = [kind for kind in _KINDS if not sections or kind in sections]
    if lists:
        table(
            [("CASE", "LEVEL", "TITLE"), *((each.identity, each.level, each.title) for each in cases)],
            numbers_from=9,
        )
        return
    if server is None or user is None:
        raise click.UsageError("a server and --user are needed")
    _look_at_paths(json_path, html_path)
    target = _target(
        server,
        user=user.encode().decode("latin-1"),
        password=_password(from_stdin=password_stdin),
        security=security or "none",
        timeout=timeout,
        verify=not insecure,
    )
    mailboxes = Mailboxes(target)
    try:
        facts = learn(target)
        mailboxes.prefix = facts.prefix
        facts = with_keywords(facts, mailboxes)
    except (OSError, ServerClosed, ServerSilent, ServerBroke, LoginRefused, SetUpFailed) as error:
        note(f"modseq: {server}: {shown(str(error))}")
        sys.exit(_UNREACHABLE)
    report = reports.begin(
        f"{target.host}:{target.port}", facts.name, facts.greeting, sorted(facts.capabilities)
    )
    sizes = Sizes(workers=workers, rounds=rounds, history=history)
    _run(report, mailboxes=mailboxes, facts=facts, cases=cases, kinds=kinds, sizes=sizes, bar=bar)
    _tell(report, json_path, html_path)
    sys.exit(report.exit_status(is_strict=strict))


def _run(
    report: reports.Report,
    *,
    mailboxes: Mailboxes,
    facts: Facts,
    cases: Sequence[Case],
    kinds: Sequence[str],
    sizes: Sizes,
    bar: bool | None,
) -> None:
    """Run everything, with a progress bar; on Ctrl-C the mailboxes are removed and the rest is not run."""
    began = clock.monotonic_seconds()
    runner = Runner(mailboxes, facts)
    laws = Watch()
    with progress(len(cases) + _TRIALS * bool(kinds), "case", wanted=bar) as done:

        def watch(outcome: Outcome) -> None:
            report.outcomes.append(outcome)
            if outcome.case.script:
                laws.hear(outcome.case.identity, outcome.transcript)
            done.update(1)
            if outcome.verdict is Verdict.FAILED and outcome.case.level in ("MUST", "example"):
                note(f"failed: {outcome.case.identity}")

        try:
            runner.run(cases, watch)
            for outcome in _trials(kinds, mailboxes, facts, sizes, laws):
                watch(outcome)
        except KeyboardInterrupt:
            report.is_stopped = True
            note("stopped; removing the mailboxes of the check")
        finally:
            report.left = mailboxes.remove_late(runner.left + mailboxes.remove())
            mailboxes.drop()
            report.seconds = clock.monotonic_seconds() - began


def _trials(
    kinds: Sequence[str], mailboxes: Mailboxes, facts: Facts, sizes: Sizes, laws: Watch
) -> Iterator[Outcome]:
    if laws.heard and set(kinds) == set(_KINDS):
        yield from laws.outcomes(lambda law: facts.offers([[law.needs]]))
    if "race" in kinds:
        yield from races(mailboxes, facts, sizes)
    if "history" in kinds:
        yield from histories(mailboxes, facts, sizes)


def _tell(report: reports.Report, json_path: Path | None, html_path: Path | None) -> None:
    for text in reports.failures(report):
        say(text + "\n")
    table(reports.rows(report), numbers_from=2)
    say()
    say(f"{report.name or report.greeting}: {reports.summary(report)}")
    if report.left:
        note(f"modseq: these mailboxes of the check could not be removed: {', '.join(report.left)}")
    for path, write in ((json_path, reports.as_json), (html_path, as_html)):
        if path is not None:
            try:
                path.write_text(write(report), "utf-8")
            except OSError as error:
                fail(f"{path}: {error.strerror}")


def _chosen(cases: Sequence[Case], sections: Sequence[str]) -> list[Case]:
    """
    Return the cases of these sections: a number means RFC 7162, and those below it belong to it.

    Raises: UsageError for a section without cases.
    """
    if not sections:
        return list(cases)
    chosen: dict[str, Case] = {}
    for section in sections:
        name = f"rfc7162/{section}" if section[:1].isdigit() else section
        found = [each for each in cases if f"{each.identity}/".startswith((f"{name}/", f"{name}."))]
        if not found and section not in _KINDS:
            raise click.UsageError(f"no cases for section {section}")
        chosen |= {each.identity: each for each in found}
    return list(chosen.values())


def _look_at_paths(*paths: Path | None) -> None:
    """Raise UsageError for a report that could not be written: better before the check than after it."""
    for path in paths:
        if path is not None and not os.access(path.parent, os.W_OK):
            raise click.UsageError(f"{path} cannot be written")


def _target(server: str, *, user: str, password: str, security: str, timeout: float, verify: bool) -> Target:
    host, separator, port = server.rpartition(":")
    if not separator or server.endswith("]") or (":" in host.strip("[]") and not host.startswith("[")):
        host, port = server, str(_PORTS[security])
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise click.UsageError(f"'{port}' is no port")
    return Target(host.strip("[]"), int(port), user, password, security, verify, timeout)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        line = sys.stdin.buffer.readline(PASSWORD_BYTES_MAX + 2)
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True)).encode().decode("latin-1")
    raise click.UsageError("standard input is no terminal: use --password-stdin")
