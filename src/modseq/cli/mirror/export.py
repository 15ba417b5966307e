"""`modseq mirror export`: the copy as mbox files or Maildirs."""

from __future__ import annotations

from pathlib import Path

import click

from modseq.cli.mailstore import progress_option
from modseq.cli.mirror.support import chosen, file_argument, globs_option, mirror_at
from modseq.cli.output import fail, note, progress, say
from modseq.mirror.export import export_maildir, export_mbox, maildir_folders, mbox_files
from modseq.mirror.records import MailboxRow


@click.command("export")
@file_argument
@click.option(
    "--to",
    "target",
    required=True,
    metavar="FILE.mbox|DIR",
    type=click.Path(path_type=Path),
    help="A new file for one mailbox, or a new or empty directory.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("mbox", "maildir")),
    help="What to write. [default: mbox for a name that ends in .mbox, else maildir]",
)
@globs_option
@click.option("--crlf", is_flag=True, help="Keep CR LF line ends instead of writing LF.")
@click.option("--skip-missing", is_flag=True, help="Leave out messages whose body is not in the mirror.")
@progress_option
def export_command(
    *,
    file: Path,
    target: Path,
    form: str | None,
    globs: tuple[str, ...],
    crlf: bool,
    skip_missing: bool,
    progress_wanted: bool | None,
) -> None:
    """
    Write the copy out, with the edits that wait: needs no connection.

    A Maildir holds INBOX at its root and every other mailbox as a Maildir++ folder inside, with flags,
    keywords and dates; one mailbox alone, named by --mailbox, is written at the root. As mbox one mailbox
    goes to one file, and several go to a directory with a file for each.
    """
    form = form or ("mbox" if target.suffix.lower() in {".mbox", ".mbx"} else "maildir")
    with mirror_at(file) as replica:
        rows = [row for row in chosen(replica, globs) if row.uid_validity]
        if not rows:
            fail("the mirror holds no mailbox yet")
        missing = sum(len(replica.without_body(row.mailbox_id)) for row in rows)
        if missing and not skip_missing:
            fail(
                f"{missing} messages have no body in the mirror: run modseq mirror with --bodies all first, "
                "or leave them out with --skip-missing"
            )
        places = _places(target, form, rows)
        total = sum(row.exists for row in rows)
        write = export_mbox if form == "mbox" else export_maildir
        with progress(total, "messages", wanted=progress_wanted) as bar:
            done = [write(replica, row, places[row.name], crlf=crlf, step=bar.update) for row in rows]
    count, left_out = sum(each.written for each in done), sum(each.missing for each in done)
    say(
        f"Exported {count:,} messages of {len(rows)} {'mailbox' if len(rows) == 1 else 'mailboxes'} to {target}."
    )
    if left_out:
        note(f"{left_out} messages without a body were left out.")
    if lost := sorted({keyword for each in done for keyword in each.keywords_lost}):
        note(f"A Maildir has letters for 26 keywords; not kept: {', '.join(lost)}")


def _places(target: Path, form: str, rows: list[MailboxRow]) -> dict[str, Path]:
    """Return where each mailbox goes; refuse to write over what is there."""
    if form == "mbox" and len(rows) == 1 and not target.is_dir():
        if target.exists():
            fail(f"{target} exists already; choose another name or remove it")
        return {rows[0].name: target}
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        fail(f"{target} exists already and is no empty directory; choose another name or remove it")
    if form == "mbox":
        target.mkdir(parents=True, exist_ok=True)
        return {name: target / file for name, file in mbox_files(rows).items()}
    if len(rows) == 1:
        return {rows[0].name: target}
    folders = {name: target / folder for name, folder in maildir_folders(rows).items()}
    for folder in folders.values():
        if folder != target:
            # What makes a folder one of Maildir++: mail programs look for it.
            folder.mkdir(parents=True)
            (folder / "maildirfolder").touch()
    return folders
