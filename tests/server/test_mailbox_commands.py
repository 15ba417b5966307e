"""CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, NAMESPACE over the wire."""

import pytest

from modseq.core.mailbox_operations import RenameMailbox


def test_create_gives_an_object_id_and_makes_parents(talk):
    talk.run("""
        C: a CREATE Work/2024/May/
        S: a OK [MAILBOXID ($may)]
        C: b LIST "" "Work*"
        S: * LIST (\\HasChildren) "/" Work
        S: * LIST (\\HasChildren) "/" Work/2024
        S: * LIST (\\HasNoChildren) "/" Work/2024/May
        S: b OK
        C: c CREATE work
        S: c OK [MAILBOXID ($other)]
        C: d STATUS Work/2024/May (MAILBOXID)
        S: * STATUS Work/2024/May (MAILBOXID ($may))
        S: d OK
    """)
    assert talk.captures["may"] != talk.captures["other"]


def test_create_refused(talk):
    talk.run("""
        C: a CREATE INBOX
        S: a NO [ALREADYEXISTS]
        C: b CREATE inbox
        S: b NO [ALREADYEXISTS]
        C: c CREATE a//b
        S: c NO [CANNOT]
        C: d CREATE "a*"
        S: d NO [CANNOT]
        C: e CREATE (x)
        S: e BAD
    """)


def test_delete(talk):
    talk.run("""
        C: a DELETE INBOX
        S: a NO
        C: b DELETE nothing
        S: b NO [NONEXISTENT]
        C: c CREATE foo/bar
        S: c OK
        C: d DELETE foo
        S: d OK
        C: e LIST "" "f*"
        S: * LIST (\\HasChildren \\Noselect) "/" foo
        S: * LIST (\\HasNoChildren) "/" foo/bar
        S: e OK
        C: f DELETE foo
        S: f NO [HASCHILDREN]
        C: g DELETE foo/bar
        S: g OK
        C: h LIST "" "f*"
        !S: * LIST ...
        S: h OK
    """)


def test_rename_keeps_identity_and_takes_children_along(talk):
    talk.run("""
        C: a CREATE old/child
        S: a OK [MAILBOXID ($child)]
        C: b RENAME old new/place
        S: b OK
        C: c STATUS new/place/child (MAILBOXID)
        S: * STATUS new/place/child (MAILBOXID ($child))
        S: c OK
        C: d LIST "" "*"
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * LIST (\\HasChildren) "/" new
        S: * LIST (\\HasChildren) "/" new/place
        !S: * LIST ... old...
        S: d OK
        C: e RENAME nothing else
        S: e NO [NONEXISTENT]
        C: f RENAME new INBOX
        S: f NO [ALREADYEXISTS]
        C: g RENAME new new/below
        S: g NO [CANNOT]
    """)


def test_rename_of_inbox_leaves_an_inbox(talk):
    talk.run("""
        C: a RENAME INBOX Old
        S: a OK
        C: b STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: b OK
        C: c STATUS Old (MESSAGES)
        S: * STATUS Old (MESSAGES 0)
        S: c OK
    """)


@pytest.fixture
def three(talk):
    """Three messages in INBOX."""
    talk.run("C: m APPEND INBOX {{m}} {{m}} {{m}}\nS: m OK", m=b"Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("huge", [1, 9], ids=["huge", "small"])
def test_rename_of_inbox_moves_its_messages(talk, three, monkeypatch, huge):
    monkeypatch.setattr("modseq.server.commands.mailbox.HUGE_OPERATION_MESSAGES_MIN", huge)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: a STORE 2 +FLAGS.SILENT (\Seen $Work)
        S: a OK
        C: b RENAME inbox Old/There
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: b OK
        C: c EXAMINE Old/There
        S: * 3 EXISTS
        S: c OK
        C: d FETCH 2 (FLAGS)
        S: * 2 FETCH (FLAGS (\Recent \Seen $Work))
        S: d OK
        C: e RENAME INBOX Old
        S: e NO [ALREADYEXISTS]
        C: f STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: f OK
    """)


def test_a_huge_inbox_whose_new_place_is_gone_again_stays_as_it_was(talk, three, monkeypatch):
    """Between the commit that makes the mailbox and the one that fills it others may do what they like."""
    whole = RenameMailbox.apply

    def apply(self, draft):
        target = whole(self, draft)
        draft.delete(target)
        return target

    monkeypatch.setattr("modseq.server.commands.mailbox.HUGE_OPERATION_MESSAGES_MIN", 1)
    monkeypatch.setattr(RenameMailbox, "apply", apply)
    talk.run("""
        C: a RENAME INBOX Old
        S: a NO [NONEXISTENT]
        C: b STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 3)
        S: b OK
    """)


def test_subscriptions_need_no_mailbox(talk):
    talk.run("""
        C: a SUBSCRIBE nowhere
        S: a OK
        C: b LSUB "" "*"
        S: * LSUB () "/" nowhere
        S: b OK
        C: c UNSUBSCRIBE nowhere
        S: c OK
        C: d UNSUBSCRIBE nowhere
        S: d OK
        C: e LSUB "" "*"
        !S: * LSUB ...
        S: e OK
    """)


def test_status(talk):
    talk.run("""
        C: a STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY $v UNSEEN 0 SIZE 0 HIGHESTMODSEQ 1)
        S: a OK
        C: b STATUS nothing (MESSAGES)
        S: b NO [NONEXISTENT]
        C: c STATUS INBOX (COLOUR)
        S: c BAD
        C: d STATUS INBOX ()
        S: d BAD
    """)


def test_namespace(talk):
    talk.run("""
        C: a NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: a OK
    """)


def test_mailbox_commands_need_a_login(server):
    from server.talk import Conversation

    with Conversation(server, login=False) as talk:
        for command in (
            "CREATE a",
            "DELETE a",
            "RENAME a b",
            'LIST "" *',
            "STATUS INBOX (MESSAGES)",
            "NAMESPACE",
        ):
            talk.run(f"""
                C: a {command}
                S: a BAD
            """)
