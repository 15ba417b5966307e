r"""The rules of the mod-sequence beyond the RFC: exclusive claims, all or nothing, expunged messages.

The RFC leaves these open or to "nice" servers; a work queue rests on them.
"""

import asyncio
import re
import threading

import pytest

from modseq.core.numset import NumSet
from modseq.core.operations import Purge
from modseq.core.store_flags import StoreFlags
from server.talk import Conversation


def race(server, sessions: int, command: str) -> tuple[int, list[str]]:
    """Let each session send a command (`{who}` is its number) at the same moment; return winners and replies."""
    barrier = threading.Barrier(sessions)
    replies: list[str] = []

    def work(who: int) -> None:
        with Conversation(server) as talk:
            talk.run("C: a SELECT INBOX (CONDSTORE)\nS: a OK")
            barrier.wait(30)
            peer = talk.peer()
            peer.send(f"b {command.format(who=who)}\r\n".encode())
            said = [peer.read_response()]
            while not said[-1].startswith("b "):
                said.append(peer.read_response())
            replies.append(said[-1] if any("FETCH" in line for line in said) else f"no FETCH, {said[-1]}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sum(reply.startswith("b OK Changed") for reply in replies), replies


# --- claims (clauses 5, 6, 10) --------------------------------------------------------------------


@pytest.mark.parametrize("m", [0, 2])
@pytest.mark.parametrize("command", ["STORE 1", "UID STORE 1"])
def test_of_any_number_of_clients_exactly_one_claims(server, fill, m, command):
    """One keyword and one m at which it was not set: exactly one succeeds, the others read MODIFIED."""
    fill(1)
    winners, replies = race(server, 8, f"{command} (UNCHANGEDSINCE {m}) +FLAGS.SILENT ($Claimed)")
    assert winners == 1, replies
    assert sum("[MODIFIED 1]" in reply for reply in replies) == 7


def test_of_any_number_of_replacements_exactly_one_is_done(server, fill):
    """A conditional FLAGS compares everything, so different owners exclude each other."""
    fill(1)
    winners, replies = race(server, 8, "UID STORE 1 (UNCHANGEDSINCE 2) FLAGS.SILENT ($Claimed owner-{who})")
    assert winners == 1, replies


def test_of_any_number_of_removals_exactly_one_takes_a_lease_over(server, fill):
    """A conditional removal of the old lease's keyword with m > 0."""
    fill(1, flags="lease-1")
    winners, replies = race(server, 8, "UID STORE 1 (UNCHANGEDSINCE 2) -FLAGS.SILENT (lease-1)")
    assert winners == 1, replies


def test_different_keywords_under_one_m_do_not_exclude_each_other(server, fill):
    """Items have numbers of their own: this is why a claim names one keyword that all claimants use."""
    fill(1)
    winners, _ = race(server, 4, "UID STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (mine-{who})")
    assert winners == 4


def test_pipelined_claims_of_one_session_are_answered_in_order(talk, fill):
    """Consecutive STOREs share a commit; each is an operation of its own, in the order of the commands."""
    fill(20)
    talk.run("C: s SELECT INBOX (CONDSTORE)\nS: s OK")
    peer = talk.peer()
    peer.send(
        b"".join(
            b"t%d UID STORE %d (UNCHANGEDSINCE 0) +FLAGS.SILENT ($C)\r\n" % (n, n % 20 + 1) for n in range(40)
        )
    )
    replies = []
    while len(replies) < 40:
        line = peer.read_response()
        if not line.startswith("*"):
            replies.append(line)
    assert [reply.split()[0] for reply in replies] == [f"t{n}" for n in range(40)]
    assert all(" OK Changed" in reply for reply in replies[:20])
    assert all(f"[MODIFIED {n % 20 + 1}]" in replies[n] for n in range(20, 40))


def test_a_claim_of_an_expunged_message_is_not_won(talk, fill):
    """No FETCH, not in MODIFIED, and by number NO (clauses 7 and 10)."""
    fill(2)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 2 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C: c STORE 2 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)
        !S: * 2 FETCH ...
        S: c NO [EXPUNGEISSUED]
        C: d UID STORE 2 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)
        S: * 2 EXPUNGE
        !S: * ... FETCH ...
        S: d OK
    """)


@pytest.mark.parametrize(
    "edit",
    [
        "(UNCHANGEDSINCE 2) +FLAGS ($Claimed)",
        "(UNCHANGEDSINCE 0) +FLAGS ($Claimed)",
        "(UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
        "+FLAGS (\\Seen)",
    ],
)
def test_a_message_expunged_right_behind_the_commit_is_not_won_either(server, talk, fill, monkeypatch, edit):
    """Another session's expunge shares the batch: at the time of the answer the message is gone. It is neither
    told nor in MODIFIED, whether the STORE was refused or not."""
    fill(3)

    async def expunge_behind_each_store() -> None:
        account = await server.store.account("alice")
        commit = account.commit

        async def commit_both(operation):
            outcome = await commit(operation)
            if isinstance(operation, StoreFlags):
                await commit(Purge(operation.mailbox_id, NumSet([operation.uids.max])))
            return outcome

        monkeypatch.setattr(account, "commit", commit_both)

    talk.run("C: s SELECT INBOX (CONDSTORE)\nS: s OK")
    server.call(expunge_behind_each_store())
    talk.run(rf"""
        C: a STORE 3 {edit}
        !S: * 3 FETCH ...
        !S: * 3 EXPUNGE
        S: a NO [EXPUNGEISSUED]
        C: b NOOP
        S: * 3 EXPUNGE
        S: b OK
        C: c UID STORE 2 {edit}
        S: * 2 EXPUNGE
        !S: * ... FETCH ...
        S: c OK [HIGHESTMODSEQ ...]
    """)


def test_numbers_in_a_mailbox_with_gaps(talk, fill):
    """What was expunged and told long ago is not missed by anybody."""
    fill(9)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: a STORE 2,5:6 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: b EXPUNGE
        S: b OK
        C: c STORE 1:2,3:* (UNCHANGEDSINCE 2) +FLAGS.SILENT ($Claimed)
        S: * 1 FETCH (UID 1 MODSEQ (5))
        S: * 2 FETCH (UID 3 MODSEQ (5))
        S: * 3 FETCH (UID 4 MODSEQ (5))
        S: * 4 FETCH (UID 7 MODSEQ (5))
        S: * 6 FETCH (UID 9 MODSEQ (5))
        S: c OK Changed
        C: d COPY 1:4 INBOX
        S: * 10 EXISTS
        S: d OK [COPYUID $v 1,3:4,7 10:13]
    """)


# --- all or nothing (clause 14) -------------------------------------------------------------------


@pytest.fixture
def one_newer(talk, fill):
    """Five messages at 2, of which 3 got `$Claimed` with 3 from another session."""
    fill(5)
    talk.run("""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 3 +FLAGS.SILENT ($Claimed)
        S2: a OK
    """)


def test_all_or_none_is_advertised(talk):
    talk.run("C: a CAPABILITY\nS: * CAPABILITY ...XALLORNONE...\nS: a OK")


@pytest.mark.parametrize("modifiers", ["UNCHANGEDSINCE 0 XALLORNONE", "xallornone unchangedsince 2"])
@pytest.mark.parametrize("command", ["STORE", "UID STORE"])
def test_all_or_none_changes_nothing_if_one_is_refused(talk, one_newer, modifiers, command):
    """NO [MODIFIED refused-set]; what is there is told all the same, the refused one with its flags."""
    talk.run(f"""
        C: b {command} 1:5 ({modifiers}) +FLAGS.SILENT ($Claimed)
        S: * 1 FETCH (UID 1 MODSEQ (2))
        S: * 3 FETCH (UID 3 FLAGS ($Claimed) MODSEQ (3))
        S: * 5 FETCH (UID 5 MODSEQ (2))
        S: b NO [MODIFIED 3]
        C: c SEARCH KEYWORD $Claimed
        S: * SEARCH 3
        S: c OK
        C: d STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 3)
        S: d OK
    """)


def test_all_or_none_changes_all_if_none_is_refused(talk, one_newer):
    talk.run("""
        C: b UID STORE 1:2,4:5,77 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS.SILENT ($Claimed)
        S: * 1 FETCH (UID 1 MODSEQ (4))
        S: * 2 FETCH (UID 2 MODSEQ (4))
        S: * 4 FETCH (UID 4 MODSEQ (4))
        S: * 5 FETCH (UID 5 MODSEQ (4))
        S: b OK Changed
    """)


def test_all_or_none_an_expunged_number_refuses_all(talk, one_newer):
    """A UID that is missing is ignored, a sequence number whose message is gone is not."""
    talk.run(r"""
        C2: b STORE 5 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C: d STORE 1:2,5 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS.SILENT ($Claimed)
        !S: * 5 FETCH ...
        S: d NO [EXPUNGEISSUED]
        C: e STORE 1:5 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS.SILENT ($Claimed)
        S: e NO [MODIFIED 3]
        C: f SEARCH KEYWORD $Claimed
        S: * SEARCH 3
        S: f OK
        C: g UID STORE 1:2,5 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS.SILENT ($Claimed)
        S: * 5 EXPUNGE
        S: * 1 FETCH (UID 1 MODSEQ (6))
        S: g OK
    """)


def test_all_or_none_in_a_race_has_one_winner(server, fill):
    """Two batches that overlap: one gets all of its messages, the other none."""
    fill(9)
    winners, replies = race(server, 6, "UID STORE 1:9 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS.SILENT ($Claimed)")
    assert winners == 1
    assert sum("NO [MODIFIED 1:9]" in reply for reply in replies) == 5


# --- one number for one operation (clause 1), in all sessions -------------------------------------


def test_whoever_has_seen_m_finds_no_change_numbered_m_or_less_later(server, fill, validity):
    """Allocation order is commit order: a reader that resynchronises while others write misses nothing."""
    fill(4)
    is_done = threading.Event()

    def write(who: int) -> None:
        with Conversation(server) as talk:
            talk.run("C: a SELECT INBOX\nS: a OK")
            for turn in range(60):
                talk.run(f"C: b UID STORE {who} {'+-'[turn % 2]}FLAGS.SILENT ($T)\nS: b OK")

    threads = [threading.Thread(target=write, args=(who + 1,)) for who in range(4)]
    for thread in threads:
        thread.start()
    seen: dict[int, int] = {}
    mod_seq = 2
    with Conversation(server) as talk:
        talk.run("C: q ENABLE QRESYNC\nS: q OK")
        while True:
            is_last = not any(thread.is_alive() for thread in threads)
            talk.run(f"C: a SELECT INBOX (QRESYNC ({validity} {mod_seq}))\nS: a OK")
            for line in talk.came:
                if match := re.match(r"\* \d+ FETCH \(UID (\d+) .*MODSEQ \((\d+)\)\)", line):
                    assert int(match[2]) > mod_seq
                    assert int(match[2]) > seen.get(int(match[1]), 0)
                    seen[int(match[1])] = int(match[2])
                elif match := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                    highest = int(match[1])
            mod_seq = highest
            if is_last:
                break
        talk.run("C: z UID FETCH 1:* (MODSEQ)\nS: z OK")
        truth = re.findall(r"UID (\d+) MODSEQ \((\d+)\)", "\n".join(talk.came))
    is_done.set()
    for thread in threads:
        thread.join(60)
    assert {int(uid): int(number) for uid, number in truth} == seen
    assert mod_seq == 2 + 240


def test_sets_that_are_spelled_in_a_thread_are_the_same(talk, fill, monkeypatch):
    """What is long to spell does not hold up other sessions: of the messages refused, and of those copied."""
    threads = []
    plain = asyncio.to_thread

    def noted(function, *arguments):
        threads.append(function.__name__)
        return plain(function, *arguments)

    monkeypatch.setattr("modseq.server.commands.store.SETS_IN_LOOP_MAX", 2)
    monkeypatch.setattr("modseq.server.commands.transfer.SETS_IN_LOOP_MAX", 2)
    monkeypatch.setattr("modseq.server.commands.store.asyncio.to_thread", noted)
    fill(6)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: d STORE 1 +FLAGS.SILENT (\Deleted)
        S: d OK
        C: e EXPUNGE
        S: e OK
        C: a STORE 1:4 +FLAGS.SILENT ($A)
        S: a OK
        C: b STORE 1,3:5 (UNCHANGEDSINCE 1) +FLAGS ($A)
        S: b OK [MODIFIED 1,3:4]
        C: c UID STORE 2:6 (UNCHANGEDSINCE 1) +FLAGS ($A)
        S: c OK [MODIFIED 2:6]
        C: f UID COPY 2,4:6 INBOX
        S: f OK [COPYUID $v 2,4:6 7:10]
        C: g UID MOVE 2,4:5 INBOX
        S: * OK [COPYUID $v 2,4:5 11:13]
        S: g OK
    """)
    assert threads == ["_modified", "_modified", "spell", "spell"]
