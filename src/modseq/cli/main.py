"""The command `modseq`: its sub-commands are loaded when they are used, so that each starts at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from modseq import __version__
from modseq.cli.groups import LazyGroup

_SUB_COMMANDS = {
    "serve": ("modseq.cli.serve:command", "Serve mail by IMAP and LMTP."),
    "demo": ("modseq.cli.demo:command", "Try it: a server with an account and some mail."),
    "user": ("modseq.cli.user:command", "Add, remove and list users, change passwords."),
    "mailbox": ("modseq.cli.mailbox:command", "List, create, delete and rename mailboxes."),
    "import": ("modseq.cli.import_mail:command", "Bring mail in from mbox, Maildir and message files."),
    "export": ("modseq.cli.export_mail:command", "Write a mailbox to an mbox file or a Maildir."),
    "mirror": (
        "modseq.cli.mirror.group:command",
        "Keep an offline copy of an IMAP account, and edit it offline.",
    ),
    "check": (
        "modseq.cli.check:command",
        "Check any IMAP server against RFC 7162, with races and lost history.",
    ),
    "bench": ("modseq.cli.bench:command", "Measure this server, and others beside it."),
    "work": (
        "modseq.cli.work.group:command",
        "Run a command for each message of a mailbox that workers share.",
    ),
    "admin": ("modseq.cli.admin:command", "Check, compact and measure the store."),
}
"""Each sub-command: where it stands, and its summary in the list of all."""


@click.group(
    cls=LazyGroup, sub_commands=_SUB_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="modseq")
def program() -> None:
    """
    A mail store in which every change has a number: an IMAP server with CONDSTORE and QRESYNC.

    Begin with `modseq demo`, or with your own mail:

    \b
        modseq user add alice --data ./mail
        modseq import --data ./mail --user alice old.mbox
        modseq serve --data ./mail --imap 127.0.0.1:1143 --allow-plaintext
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 when all went well, 1 for a failure, 2 for wrong usage."""
    try:
        program.main(args=None if arguments is None else list(arguments), prog_name="modseq")
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("MODSEQ_TRACEBACK"):
            raise
        kind = type(error).__name__
        click.echo(
            f"modseq: this should not have happened: {kind}: {error} (MODSEQ_TRACEBACK=1 shows where)",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
