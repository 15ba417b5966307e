"""The copy brought up to date: what it costs, and that it equals a full fetch whatever the server can."""

import asyncio
import dataclasses
import itertools
import re

import pytest

from mirror_net import (
    NO_CONDSTORE,
    NO_QRESYNC,
    Other,
    Proxy,
    account,
    both,
    dropped,
    mirrored,
    replaced,
    sync,
    without,
)
from mirror_support import mail
from modseq import limits
from modseq.client.errors import ClientError, ResponseTooLarge
from modseq.mirror.errors import MirrorBusy, MirrorError
from modseq.mirror.outbox import Outbox
from server.serving import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def proxy(server):
    with Proxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def other(server):
    with Other(server.address) as other:
        for n in range(1, 8):
            other.append("INBOX", mail(f"letter {n}"), "\\Seen" if n % 2 else "")
        other.do("create", "Archive")
        other.append("Archive", mail("old"))
        yield other


@pytest.fixture
def go(replica, proxy, server):
    """Synchronise through the proxy, hold the copy against a full fetch, return the report."""

    def run(*, right: bool = True, **options):
        proxy.forget()
        report = asyncio.run(sync(replica, proxy.address, **options))
        assert replica.check() == []
        if right:
            assert report.doubts == {}, report
            assert mirrored(replica) == account(server.address)
        return report

    return run


def work(proxy):
    """The commands after those that every session begins with."""
    return [
        each for each in proxy.commands if each not in {"AUTHENTICATE", "LOGIN", "ID", "ENABLE", "LOGOUT"}
    ]


def counts(report):
    return {outcome.name: dataclasses.astuple(outcome.applied) for outcome in report.outcomes}


def test_a_first_copy_equals_a_full_fetch(go, other, replica, proxy):
    assert counts(go()) == {"INBOX": (7, 0, 0), "Archive": (1, 0, 0)}
    row = replica.mailbox("INBOX")
    assert (row.mod_seq, row.told_mod_seq, row.uid_next, row.exists) == (8, 8, 8, 7)
    message = replica.message(row.mailbox_id, 3)
    assert (message.mod_seq, message.received_at, message.received_zone) == (4, 1_793_610_000, 60)
    summary = replica.summary(row.mailbox_id, 3)
    assert (summary.subject, summary.sender) == ("letter 3", "Ann <ann@example.org>")
    assert summary.recipients == "to: ben@example.org"
    assert message.content_id is None
    assert replica.settings().synced_at > 0


def test_an_account_without_changes_costs_one_round_trip(go, other, proxy):
    go()
    report = go()
    assert work(proxy) == ["LIST"]
    assert (report.outcomes, report.unchanged) == ([], 2)


@pytest.mark.parametrize("verify", [False, True])
def test_200_mailboxes_cost_one_list_and_one_select_for_each_that_changed(server, replica, proxy, verify):
    with Other(server.address) as other:
        for n in range(200):
            other.do("create", f"box-{n:03}")
        for n in range(0, 200, 2):
            other.append(f"box-{n:03}", mail(f"letter {n}"))
        other.append("box-008", mail("another"))
        asyncio.run(sync(replica, proxy.address))
        other.store("box-004", "1", "+FLAGS (\\Flagged)")
        other.store("box-006", "1", "+FLAGS ($work)")
        other.expunge("box-008", "1")
        proxy.forget()
        report = asyncio.run(sync(replica, proxy.address, verify=verify))
        assert {outcome.name for outcome in report.outcomes} == {"box-004", "box-006", "box-008"}
        assert report.unchanged == 198
        selects = [line for line in proxy.said if b"EXAMINE" in line or b"SELECT" in line]
        assert len(selects) == 3
        assert all(b"QRESYNC" in line for line in selects)
        assert work(proxy).count("LIST") == 1
        # AUTHENTICATE, ID with ENABLE or apart, LOGOUT; then LIST and one for each mailbox that changed. What checks
        # a mailbox travels with the EXAMINE of the next: only that of the last is a round trip of its own.
        begin_and_end = sum(
            each in {"AUTHENTICATE", "LOGIN", "ID", "ENABLE", "LOGOUT"} for each in proxy.commands
        )
        if verify:
            assert set(work(proxy)) == {"LIST", "EXAMINE", "UID SEARCH", "UID FETCH"}
            assert work(proxy).count("UID SEARCH") <= 3 + 1
            assert work(proxy).count("UID FETCH") == 1  # that of the expunge, which carries no number
            assert proxy.round_trips <= begin_and_end + 1 + 3 + 1
        else:
            assert work(proxy) == ["LIST", "EXAMINE", "EXAMINE", "EXAMINE"]
            assert proxy.round_trips <= begin_and_end + 1 + 3
        proxy.forget()
        asyncio.run(sync(replica, proxy.address, verify=verify))
        assert work(proxy) == ["LIST"]
        assert mirrored(replica) == account(server.address)


@pytest.fixture
def three(go, other, proxy):
    """Three mailboxes that are current, of which flags have changed since."""
    for name in ("B", "C"):
        other.do("create", name)
        for n in range(1, 6):
            other.append(name, mail(f"{name} {n}"))
    go()
    for name in ("INBOX", "B", "C"):
        other.store(name, "2:3", "+FLAGS (\\Flagged)")


def opened(proxy):
    """The names of the mailboxes that were opened, and `?` where one was checked."""
    words = [line.split() for line in proxy.said]
    steps = [
        each[2].decode() if each[1] == b"EXAMINE" else "?"
        for each in words
        if each[1] == b"EXAMINE" or each[1:3] == [b"UID", b"SEARCH"]
    ]
    return [step for step, _ in itertools.groupby(steps)]


def at(pattern, action, *, time=1):
    """Do something when such a line of the server is about to be passed on for the n-th time."""
    seen = itertools.count(1)

    def tamper(line):
        if re.search(pattern, line) and next(seen) == time:
            return action(line) or [line]
        return [line]

    return tamper


def test_a_mailbox_is_checked_while_the_next_is_opened(go, three, other, proxy):
    report = go()
    assert opened(proxy) == ["INBOX", "?", "B", "?", "C", "?"]
    assert counts(report) == dict.fromkeys(("INBOX", "B", "C"), (0, 2, 0))


def test_what_happens_meanwhile_is_told_of_its_own_mailbox(go, three, other, proxy):
    """Events of the mailbox that is left and of the one that is opened come in one answer."""

    def act(_):
        # The first answer is on its way: INBOX is open, and about to be checked.
        other.expunge("INBOX", "1,5")
        other.store("B", "1", "+FLAGS ($later)")

    proxy.tamper = at(rb"^m\d+ OK \[READ-ONLY\]", act)
    report = go(right=False)
    assert report.doubts == {}
    assert opened(proxy) == ["INBOX", "?", "B", "?", "C", "?"]
    assert [counts(report)[name] for name in ("INBOX", "B")] == [(0, 2, 2), (0, 3, 0)]
    proxy.tamper = None
    go()


def test_a_flag_that_changes_meanwhile_is_asked_for(go, three, other, proxy):
    proxy.tamper = at(rb"^m\d+ OK \[READ-ONLY\]", lambda _: other.store("INBOX", "4", "+FLAGS ($late)"))
    report = go(right=False)
    assert report.doubts == {}
    assert opened(proxy)[:4] == ["INBOX", "?", "B", "INBOX"]
    assert counts(report)["INBOX"] == (0, 3, 0)
    proxy.tamper = None
    go()
    assert work(proxy) == ["LIST"]


def test_a_check_that_fails_comes_back(go, three, other, proxy):
    other.expunge("INBOX", "5")
    proxy.tamper = at(rb"^\* 2 FETCH .*FLAGS", lambda _: [b"* OK lost"])
    report = go()
    assert opened(proxy) == ["INBOX", "?", "B", "INBOX", "?", "B", "?", "C", "?"]
    assert counts(report)["INBOX"] == (0, 2, 1)
    assert [outcome.name for outcome in report.outcomes] == ["INBOX", "B", "C"]


def test_who_counts_wrong_stays_until_it_agrees(go, three, other, proxy):
    other.expunge("INBOX", "5")
    proxy.tamper = at(rb"^\* VANISHED", lambda _: [b"* OK lost"])
    report = go()
    assert opened(proxy) == ["INBOX", "?", "B", "?", "C", "?"]
    assert counts(report)["INBOX"] == (0, 2, 1)


def test_a_count_that_changes_with_the_last_answer_comes_back(go, three, other, proxy):
    """Whatever is asked now would be asked of the next mailbox."""
    proxy.tamper = at(rb"^\* ESEARCH", lambda line: [b"* 1 EXPUNGE", line])
    report = go(right=False)
    assert opened(proxy)[:4] == ["INBOX", "?", "B", "INBOX"]
    assert report.doubts == {}
    go()


def test_what_the_next_mailbox_says_at_once_is_not_of_the_one_before(go, three, other, proxy):
    """Both have a message with this UID."""

    def act(line):
        other.store("B", "4", "+FLAGS ($late)")
        (told,) = other.uid("B", "FETCH", "4", "(FLAGS MODSEQ)")
        return [line, b"* 4 FETCH " + told.removeprefix(b"4 ")]

    proxy.tamper = at(rb"^m\d+ OK \[READ-ONLY\]", act, time=2)
    report = go(right=False)
    assert opened(proxy) == ["INBOX", "?", "B", "?", "C", "?"]
    assert [counts(report)[name] for name in ("INBOX", "B")] == [(0, 2, 0), (0, 3, 0)]
    go()


def test_a_flag_that_was_asked_for_and_not_told_is_asked_for_again(go, three, proxy):
    proxy.tamper = both(NO_CONDSTORE, at(rb"^\* 2 FETCH", lambda _: [b"* OK lost"]))
    go()


def test_without_closed_events_that_could_be_of_either_are_of_none(go, three, other, proxy):
    def act(_):
        other.expunge("INBOX", "1")

    drop_closed = dropped(rb"^\* OK \[CLOSED")
    first = at(rb"^m\d+ OK \[READ-ONLY\]", act)
    proxy.tamper = both(first, drop_closed)
    report = go(right=False)
    assert report.doubts == {}
    assert opened(proxy)[:4] == ["INBOX", "?", "B", "INBOX"]
    proxy.tamper = drop_closed
    go()


def test_the_next_mailbox_is_gone(go, three, other, proxy):
    proxy.tamper = at(rb"^m\d+ OK \[READ-ONLY\]", lambda _: other.do("delete", "B") and None)
    report = go(right=False)
    assert opened(proxy) == ["INBOX", "?", "B", "C", "?"]
    assert report.notes == ["B: not opened: There is no such mailbox."]
    assert counts(report) == dict.fromkeys(("INBOX", "C"), (0, 2, 0))
    proxy.tamper = None
    go()


def test_the_next_mailbox_says_too_much(go, three, other, proxy, replica, monkeypatch):
    other.store("B", "1:5", "+FLAGS ($many)")
    monkeypatch.setattr("modseq.client.verbs.select.COLLECTED_MESSAGES_MAX", 4)
    with pytest.raises(ResponseTooLarge):
        go(right=False)
    assert opened(proxy) == ["INBOX", "?", "B"]
    assert [replica.mailbox(name).doubt is None for name in ("INBOX", "B", "C")] == [True, False, True]
    go()


def test_new_messages_whose_bodies_are_not_wanted_keep_nobody(go, three, other, proxy, replica):
    replica.configure(bodies="none")
    other.append("INBOX", mail("new"))
    go()
    assert opened(proxy) == ["INBOX", "?", "B", "?", "C", "?"]
    # What every session begins and ends with; then LIST, INBOX, its new message, two together twice, and the last check.
    assert proxy.round_trips <= 4 + 1 + 1 + 1 + 2 + 1


def test_new_messages_keep_us_until_their_bodies_are_there(go, three, other, proxy, replica):
    replica.configure(bodies="all")
    go()
    other.append("INBOX", mail("new"))
    other.store("B", "1", "+FLAGS ($x)")
    go()
    assert opened(proxy) == ["INBOX", "?", "B", "?"]
    assert proxy.said.index(next(line for line in proxy.said if b"BODY.PEEK[]" in line)) < proxy.said.index(
        next(line for line in proxy.said if b"EXAMINE B" in line)
    )


def _change(other):
    other.store("INBOX", "2", "+FLAGS (\\Flagged $work)")
    other.store("INBOX", "1", "-FLAGS (\\Seen)")
    other.expunge("INBOX", "4,6")
    other.append("INBOX", mail("letter 8"), "\\Answered")
    other.append("INBOX", mail("gone at once"))
    other.expunge("INBOX", "9")
    other.uid("INBOX", "MOVE", "5", "Archive")


SERVERS = {
    "all": lambda line: [line],
    "no CONDSTORE": NO_CONDSTORE,
    "no QRESYNC": NO_QRESYNC,
    "no ESEARCH, no LIST-STATUS": without("ESEARCH", "LIST-STATUS", "LIST-EXTENDED"),
    "no OBJECTID": both(without("OBJECTID"), replaced(rb" MAILBOXID \([^)]*\)| EMAILID \([^)]*\)", b"")),
    "no CONDSTORE, no ESEARCH": both(NO_CONDSTORE, without("ESEARCH", "LIST-STATUS", "OBJECTID")),
    "messages without MODSEQ": replaced(rb"^(\* \d+ FETCH .*?) MODSEQ \(\d+\)", rb"\1"),
    "no UIDNEXT": both(dropped(rb"^\* OK \[UIDNEXT"), replaced(rb" UIDNEXT \d+", b"")),
    "HIGHESTMODSEQ 0": replaced(rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ 0"),
    "NOMODSEQ": both(
        replaced(rb"OK \[HIGHESTMODSEQ \d+\]", b"OK [NOMODSEQ]"),
        replaced(rb" MODSEQ \(\d+\)| HIGHESTMODSEQ \d+", b""),
    ),
}


@pytest.mark.parametrize(
    ("kind", "verify"), [*((kind, True) for kind in SERVERS), ("all", False), ("no QRESYNC", False)]
)
def test_changes_arrive_whatever_the_server_can(go, other, proxy, replica, *, kind, verify):
    proxy.tamper = SERVERS[kind]
    go(verify=verify)
    _change(other)
    report = go(verify=verify)
    applied = counts(report)
    assert (applied["INBOX"][0], applied["INBOX"][2], applied["Archive"][0]) == (1, 3, 1)
    assert report.doubts == {}
    row = replica.mailbox("INBOX")
    assert replica.message(row.mailbox_id, 2).flags == "$work \\Flagged"
    go(verify=verify)


def test_a_first_copy_is_committed_in_pieces_newest_first(go, other, proxy, replica, monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_FETCH_MESSAGES_MAX", 2)
    seen = []
    apply = replica.apply

    def watched(mailbox_id, batch):
        done = apply(mailbox_id, batch)
        seen.append(replica.known_uids(mailbox_id).to_bytes())
        return done

    monkeypatch.setattr(replica, "apply", watched)
    go()
    assert seen[:4] == [b"6:7", b"4:7", b"2:7", b"1:7"]


def test_many_new_messages_are_fetched_in_pieces_too(go, other, replica, monkeypatch):
    go()
    monkeypatch.setattr(limits, "MIRROR_FETCH_MESSAGES_MAX", 2)
    monkeypatch.setattr(limits, "MIRROR_NEW_UIDS_UNLISTED_MAX", 3)
    for n in range(9):
        other.append("INBOX", mail(f"more {n}"), "\\Seen" if n % 2 else "$k")
    other.store("INBOX", "1:3", "+FLAGS ($x)")
    other.expunge("INBOX", "2,9")
    assert counts(go()) == {"INBOX": (8, 2, 1)}


def test_all_bodies(go, other, replica, proxy):
    replica.configure(bodies="all")
    go()
    row = replica.mailbox("INBOX")
    for n in range(1, 8):
        assert replica.content(replica.message(row.mailbox_id, n).content_id) == mail(f"letter {n}")
    other.append("INBOX", mail("letter 8"))
    other.uid("INBOX", "MOVE", "1", "Archive")
    go()
    # A message that was moved keeps its body: its EMAILID is known.
    assert sum(b"BODY.PEEK[]" in line for line in proxy.said) == 1
    archive = replica.mailbox("Archive")
    assert replica.content(replica.message(archive.mailbox_id, 2).content_id) == mail("letter 1")


def test_recent_bodies(go, other, replica, monkeypatch):
    monkeypatch.setattr("modseq.clock.now_seconds", lambda: 1_793_610_000 + 20 * 86_400)
    replica.configure(bodies="recent", recent_days=10)
    go()
    row = replica.mailbox("INBOX")
    assert len(replica.without_body(row.mailbox_id)) == 7
    replica.configure(recent_days=30)
    go()
    assert replica.without_body(row.mailbox_id) == []


def test_bodies_come_in_pieces_that_fit_and_those_that_never_fit_are_named(
    go, other, replica, proxy, monkeypatch
):
    monkeypatch.setattr(limits, "MIRROR_BODY_BATCH_BYTES_MAX", 600)
    monkeypatch.setattr(limits, "MIRROR_BODY_BYTES_MAX", 1_000)
    other.append("INBOX", mail("huge", "x" * 2_000))
    replica.configure(bodies="all")
    report = go()
    assert sum(b"BODY.PEEK[]" in line for line in proxy.said) >= 4
    assert any("1 bodies of more than 1,000 octets" in note for note in report.notes)
    assert [uid for uid, _ in replica.without_body(replica.mailbox("INBOX").mailbox_id)] == [8]


def test_a_size_that_is_wrong_is_told_and_the_body_kept(go, other, replica, proxy):
    replica.configure(bodies="all")
    proxy.tamper = replaced(rb"^(\* 3 FETCH .*RFC822.SIZE) \d+", rb"\1 9")
    report = go(right=False)
    told = f"message 3 has {len(mail('letter 3'))} octets where 9 were told"
    assert any(told in note for note in report.notes)
    row = replica.mailbox("INBOX")
    assert replica.content(replica.message(row.mailbox_id, 3).content_id) == mail("letter 3")


# --- mailboxes ---


def test_a_renamed_mailbox_keeps_its_messages(go, other, replica, proxy):
    replica.configure(bodies="all")
    go()
    other.do("rename", "Archive", "Old")
    report = go()
    assert report.listing.renamed == (("Archive", "Old"),)
    assert work(proxy) == ["LIST"]
    assert replica.without_body(replica.mailbox("Old").mailbox_id) == []


def test_mailboxes_that_swap_their_names_are_told_apart(go, other, replica, proxy):
    other.do("create", "Two")
    other.append("Two", mail("two"))
    go()
    for before, after in (("Archive", "X"), ("Two", "Archive"), ("X", "Two")):
        other.do("rename", before, after)
    go()
    assert work(proxy) == ["LIST"]


def test_a_mailbox_made_anew_under_its_name_is_another(go, other, replica):
    go()
    other.do("delete", "Archive")
    other.do("create", "Archive")
    other.append("Archive", mail("fresh"))
    report = go()
    assert report.listing.removed == ("Archive",)
    assert report.listing.added == ("Archive",)


@pytest.mark.parametrize("kind", ["no OBJECTID", "no CONDSTORE, no ESEARCH"])
def test_a_changed_uidvalidity_begins_anew(go, other, replica, proxy, kind):
    proxy.tamper = SERVERS[kind]
    go()
    archive = replica.mailbox("Archive")
    Outbox(replica).change_flags(archive, 1, add=["$mine"])
    other.do("delete", "Archive")
    other.do("create", "Archive")
    for n in range(3):
        other.append("Archive", mail(f"fresh {n}"))
    report = go(push=False)
    (outcome,) = [each for each in report.outcomes if each.name == "Archive"]
    assert dataclasses.astuple(outcome.applied) == (3, 0, 1)
    assert "UIDVALIDITY went from" in outcome.notes[0]
    (edit,) = Outbox(replica).conflicts()
    assert edit.sides["reason"] == "the mailbox was made anew (UIDVALIDITY changed)"
    assert edit.sides["subject"] == "old"
    # The UID is another message's now, which the old conflict does not concern.
    Outbox(replica).change_flags(replica.mailbox("Archive"), 1, add=["$mine"])
    Outbox(replica).move(replica.mailbox("Archive"), 1, "INBOX")
    report = go()
    assert len(report.pushed.done) == 2


def test_renames_without_object_ids_are_a_new_mailbox(go, other, proxy):
    proxy.tamper = SERVERS["no OBJECTID"]
    go()
    other.do("rename", "Archive", "Old")
    report = go()
    assert (report.listing.added, report.listing.removed) == (("Old",), ("Archive",))


def test_uids_that_do_not_last_are_copied_anew_each_time(go, other, proxy):
    proxy.tamper = replaced(rb"^\* OK \[PERMANENTFLAGS.*", b"* NO [UIDNOTSTICKY] no lasting UIDs")
    go()
    other.store("INBOX", "1", "+FLAGS ($x)")
    report = go()
    assert any("do not last" in note for note in report.outcomes[0].notes)


def test_deleting_a_mailbox_keeps_edits_as_conflicts(go, other, replica):
    go()
    Outbox(replica).delete(replica.mailbox("Archive"), 1)
    other.do("delete", "Archive")
    report = go()
    assert report.listing.removed == ("Archive",)
    (edit,) = Outbox(replica).conflicts()
    assert (edit.sides["reason"], edit.sides["mailbox"]) == ("the mailbox was deleted or renamed", "Archive")


def test_only_the_mailboxes_that_are_wanted(replica, server, proxy, other):
    other.do("create", "Lists/python")
    other.do("create", "[Gmail]/All")
    for patterns, names in (
        (["inbox"], ["INBOX"]),
        (["INBOX", "Lists/*"], ["INBOX", "Lists/python"]),
        (["[Gmail]/A?l"], ["[Gmail]/All"]),
        (["*"], ["INBOX", "Archive", "Lists", "Lists/python", "[Gmail]", "[Gmail]/All"]),
    ):
        replica.configure(patterns=patterns)
        asyncio.run(sync(replica, proxy.address))
        assert [row.name for row in replica.mailboxes()] == names
        assert set(mirrored(replica)) == set(names)


def test_a_server_that_lists_nothing_empties_no_copy(go, other, proxy, replica):
    go()
    proxy.tamper = dropped(rb"^\* (LIST|STATUS)")
    with pytest.raises(MirrorError, match="lists no mailboxes"):
        go()
    assert len(replica.mailboxes()) == 2


def test_a_second_process_is_told_that_one_is_at_work(go, other, replica):
    go()
    with replica.synchronising(), pytest.raises(MirrorBusy):
        go()


def test_changes_while_the_copy_runs_are_not_lost(go, other, proxy, replica, monkeypatch):
    """Somebody changes the mailbox between our commands: it ends right at once or with the next run."""
    monkeypatch.setattr(limits, "MIRROR_FETCH_MESSAGES_MAX", 2)
    acts = iter(
        [
            lambda: other.expunge("INBOX", "7"),
            lambda: other.store("INBOX", "6", "+FLAGS (\\Flagged)"),
            lambda: other.append("INBOX", mail("meanwhile")),
            lambda: other.expunge("INBOX", "1"),
            lambda: other.store("INBOX", "2:5", "-FLAGS (\\Seen)"),
        ]
    )

    def meddle(line):
        if b" FETCH (" in line and b"BODY[HEADER" in line and (act := next(acts, None)):
            act()
        return [line]

    proxy.tamper = meddle
    report = go(right=False)
    assert report.doubts == {}
    assert next(acts, None) is None
    proxy.tamper = None
    go()


def test_a_mailbox_that_cannot_be_opened_keeps_nobody_from_the_others(go, other, proxy, replica):
    go()
    other.append("INBOX", mail("new"))
    other.append("Archive", mail("new"))

    def refuse(line):
        opened = next((said.split()[0] for said in proxy.said if b" EXAMINE INBOX" in said), None)
        if opened and line.startswith(opened + b" OK"):
            return [opened + b" NO [NOPERM] not yours"]
        return [line]

    proxy.tamper = refuse
    report = go(right=False)
    assert report.doubts == {"INBOX": "the server refuses it: not yours"}
    assert counts(report)["Archive"] == (1, 0, 0)
    proxy.tamper = None
    go()


def test_a_cut_between_pieces_loses_no_change_of_what_was_there(go, other, proxy, replica, monkeypatch):
    """Pieces of new messages are committed before the changes of the others: the watermark stays until then."""
    go()
    monkeypatch.setattr(limits, "MIRROR_FETCH_MESSAGES_MAX", 2)
    other.store("INBOX", "3", "+FLAGS (\\Flagged)")
    other.expunge("INBOX", "4")
    for n in range(6):
        other.append("INBOX", mail(f"more {n}"))
    proxy.swallow = re.compile(rb"^\* \d+ FETCH \(UID 10 ")
    with pytest.raises(ClientError):
        go()
    proxy.swallow = None
    row = replica.mailbox("INBOX")
    assert replica.known_uids(row.mailbox_id).max == 13
    assert not row.is_complete
    (outcome,) = go().outcomes
    assert outcome.notes == ()
