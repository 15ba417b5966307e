"""Each quirk as a client meets it."""

import threading

import pytest

from modseq.testing import ImapServer, Quirk
from modseq.testing.quirks import REFUSED_BY_QUIRK, SHAPES


@pytest.fixture
def quirky(stored_server, talk_to):
    """Return a function: a conversation with a server of this quirk that held five messages and lost two."""

    def be(*quirks):
        stored_server.deliver_many(6)
        since = stored_server.look()
        stored_server.expunge([2, 3])
        stored_server.expunge(5)
        stored_server.faults.behave_like(*quirks)
        talk = talk_to(stored_server)
        talk.captures |= {"v": str(since.uid_validity), "m": str(since.highest_mod_seq)}
        return talk

    return be


RESUME = """
    C: a ENABLE QRESYNC
    S: a OK
    C: b SELECT INBOX (QRESYNC ($v $m))
    S: {answer}
    S: b OK
"""


def test_without_quirk(quirky):
    quirky().run(RESUME.replace("{answer}", "* VANISHED (EARLIER) 2:3,5"))


def test_no_enabled_reply(quirky):
    quirky(Quirk.NO_ENABLED_REPLY).run("""
        C: a ENABLE QRESYNC
        !S: * ENABLED...
        S: a OK
        C: b SELECT INBOX (QRESYNC ($v $m))
        S: * VANISHED (EARLIER) 2:3,5
        S: b OK
    """)


def test_no_qresync(quirky):
    quirky(Quirk.NO_QRESYNC).run("""
        C: a CAPABILITY
        !S: * CAPABILITY ...QRESYNC...
        S: * CAPABILITY ...CONDSTORE...
        S: a OK
        C: b ENABLE QRESYNC
        !S: * ENABLED QRESYNC
        S: b OK
        C: c SELECT INBOX (QRESYNC ($v $m))
        S: c BAD
        C: d SELECT INBOX (CONDSTORE)
        S: * OK [HIGHESTMODSEQ
        S: d OK
    """)


def test_no_condstore(quirky):
    quirky(Quirk.NO_CONDSTORE).run("""
        C: a CAPABILITY
        !S: * CAPABILITY ...QRESYNC...
        !S: * CAPABILITY ...CONDSTORE...
        S: a OK
        C: b SELECT INBOX (CONDSTORE)
        S: b BAD
        C: c SELECT INBOX
        !S: * OK [HIGHESTMODSEQ...
        S: c OK
        C: d FETCH 1 (MODSEQ)
        S: d BAD
        C: e STORE 1 (UNCHANGEDSINCE 5) +FLAGS ($A)
        S: e BAD
        C: f SEARCH MODSEQ 5
        S: f BAD
    """)


def test_highestmodseq_zero(quirky):
    quirky(Quirk.HIGHESTMODSEQ_ZERO).run("""
        C: a STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 0)
        S: a OK
        C: b SELECT INBOX
        S: * OK [HIGHESTMODSEQ 0]
        S: b OK
    """)


def test_no_highestmodseq(quirky):
    quirky(Quirk.NO_HIGHESTMODSEQ).run("""
        C: b SELECT INBOX
        !S: * OK [HIGHESTMODSEQ...
        S: b OK
    """)


def test_no_closed(quirky):
    quirky(Quirk.NO_CLOSED).run("""
        C: a SELECT INBOX
        S: a OK
        C: b SELECT INBOX
        !S: * OK [CLOSED]...
        S: b OK
    """)


def test_no_modseq_in_fetch(quirky):
    quirky(Quirk.NO_MODSEQ_IN_FETCH).run("""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 1 +FLAGS (\\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\\Recent \\Seen))
        S: b OK
    """)


@pytest.mark.parametrize(
    ("quirk", "answer"),
    [
        (Quirk.VANISHED_INCOMPLETE, "* VANISHED (EARLIER) 3"),
        (Quirk.VANISHED_TOO_WIDE, "* VANISHED (EARLIER) 1:6"),
        (Quirk.VANISHED_WITHOUT_EARLIER, "* VANISHED 2:3,5"),
    ],
)
def test_wrong_vanished(quirky, quirk, answer):
    quirky(quirk).run(RESUME.replace("{answer}", answer))


def test_unchangedsince_ignored(quirky, stored_server):
    talk = quirky(Quirk.UNCHANGEDSINCE_IGNORED)
    stored_server.store(1, "+", "$Taken")
    talk.run("""
        C: a SELECT INBOX
        S: a OK
        C: b UID STORE 1 (UNCHANGEDSINCE $m) +FLAGS ($Taken)
        S: b OK
        C: c UID STORE 1 (UNCHANGEDSINCE $m) -FLAGS ($Taken)
        S: c OK
    """)
    assert stored_server.look().message(1).flags == frozenset()


def claim(server, results, at):
    client = server.imaplib()
    client.select()
    results[at] = client.uid("STORE", "1", "(UNCHANGEDSINCE 0)", "+FLAGS", "($Claimed)")


@pytest.mark.parametrize(("quirks", "winners"), [((), 1), ((Quirk.TWO_CLAIMS_WIN,), 2)])
def test_two_claims_win(stored_server, quirks, winners):
    stored_server.deliver()
    stored_server.faults.behave_like(*quirks)
    results = {}
    claims = [threading.Thread(target=claim, args=(stored_server, results, at)) for at in range(2)]
    for each in claims:
        each.start()
    for each in claims:
        each.join()
    won = [kind for kind, words in results.values() if kind == "OK"]
    assert len(won) == 2
    log = stored_server.wire_log()
    assert 2 - log.count("[MODIFIED 1]") == winners
    assert stored_server.look().message(1).flags == {"$Claimed"}


def test_a_later_claim_is_refused_by_that_server_too(stored_server, talk_to):
    stored_server.deliver()
    stored_server.faults.behave_like(Quirk.TWO_CLAIMS_WIN)
    talk_to(stored_server).run("""
        C: a SELECT INBOX
        S: a OK
        C: b UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)
        S: b OK
        C: c UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)
        S: c OK [MODIFIED 1]
        C: d UID STORE 1 (UNCHANGEDSINCE 0 XALLORNONE) +FLAGS ($Claimed)
        S: d NO [MODIFIED 1]
    """)


def test_what_that_server_refuses_it_leaves_alone(stored_server, talk_to):
    stored_server.deliver_many(2)
    stored_server.store(1, "+", "$Claimed")
    stored_server.faults.behave_like(Quirk.TWO_CLAIMS_WIN)
    talk_to(stored_server).run("""
        C: a SELECT INBOX
        S: a OK
        C: b UID STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS ($Claimed $Mine)
        S: b OK [MODIFIED 1]
    """)
    assert stored_server.look().message(1).flags == {"$Claimed"}
    assert stored_server.look().message(2).flags == {"$Claimed", "$Mine"}


def test_healing_makes_it_right_again(imap_server, talk_to):
    imap_server.faults.behave_like(*Quirk)
    imap_server.faults.heal()
    talk_to(imap_server).run("""
        C: a ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: a OK
    """)


def test_every_quirk_is_somewhere():
    """What happens to responses and what happens in the storage; nothing stands in the list for show."""
    in_storage = {Quirk.UNCHANGEDSINCE_IGNORED, Quirk.TWO_CLAIMS_WIN}
    assert set(Quirk) == set(SHAPES) | set(REFUSED_BY_QUIRK) | in_storage


def test_quirks_across_processes(talk_to):
    with ImapServer(process=True) as server:
        server.faults.behave_like(Quirk.HIGHESTMODSEQ_ZERO)
        talk_to(server).run("""
            C: b SELECT INBOX
            S: * OK [HIGHESTMODSEQ 0]
            S: b OK
        """)
