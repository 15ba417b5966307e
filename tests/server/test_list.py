r"""LIST and LSUB: RFC 3501 section 6.3.8, RFC 5258, RFC 5819, RFC 6154.

The examples of RFC 5258 with this server's additions: \HasChildren or \HasNoChildren always stands, INBOX is
spelled so and has no \Marked or \NoInferiors. REMOTE changes nothing: there are no remote mailboxes.
"""

import pytest

from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox, Subscribe
from modseq.server.provision import furnish
from server.talk import Conversation


def _build(server, mailboxes=(), subscribed=(), deleted=()):
    async def build():
        account = await server.store.account("alice")
        for name in mailboxes:
            await account.commit(CreateMailbox(name))
        for name in subscribed:
            await account.commit(Subscribe(name))
        for name in deleted:
            await account.commit(DeleteMailbox(name))

    server.call(build())


@pytest.fixture
def fruit(server, talk):
    _build(
        server,
        ["Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable", "Vegetable/Broccoli", "Vegetable/Corn"],
        ["INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"],
    )
    return talk


def _lines(talk, command):
    peer = talk.peer()
    peer.send(f"a {command}\r\n".encode())
    lines = []
    while not (line := peer.read_response()).startswith("a "):
        lines.append(line)
    assert line.startswith("a OK"), line
    return lines


def _bare(lines):
    r"""Leave out \HasChildren and \HasNoChildren, which the examples mostly do not show."""
    shown = [line.replace("\\HasChildren", "").replace("\\HasNoChildren", "") for line in lines]
    return [line.replace("( ", "(").removeprefix("* LIST ") for line in shown]


# --- RFC 5258 section 5 ---------------------------------------------------------------------------


def test_example_1_everything(fruit):
    assert _bare(_lines(fruit, 'LIST "" "*"')) == [
        '() "/" INBOX',
        '() "/" Fruit',
        '() "/" Fruit/Apple',
        '() "/" Fruit/Banana',
        '() "/" Tofu',
        '() "/" Vegetable',
        '() "/" Vegetable/Broccoli',
        '() "/" Vegetable/Corn',
    ]


def test_example_2_subscribed(fruit):
    for command in ('LIST (SUBSCRIBED) "" "*"', 'LIST (REMOTE SUBSCRIBED) "" "*"'):
        assert _bare(_lines(fruit, command)) == [
            '(\\Subscribed) "/" INBOX',
            '(\\Subscribed) "/" Fruit/Banana',
            '(\\NonExistent \\Subscribed) "/" Fruit/Peach',
            '(\\Subscribed) "/" Vegetable',
            '(\\Subscribed) "/" Vegetable/Broccoli',
        ]


def test_example_3_children(fruit):
    assert _lines(fruit, 'LIST () "" "%" RETURN (CHILDREN)') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasChildren) "/" Fruit',
        '* LIST (\\HasNoChildren) "/" Tofu',
        '* LIST (\\HasChildren) "/" Vegetable',
    ]


def test_example_6_return_subscribed(fruit):
    assert _bare(_lines(fruit, 'LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)')) == [
        '(\\Subscribed) "/" INBOX',
        '() "/" Fruit',
        '() "/" Fruit/Apple',
        '(\\Subscribed) "/" Fruit/Banana',
        '() "/" Tofu',
        '(\\Subscribed) "/" Vegetable',
        '(\\Subscribed) "/" Vegetable/Broccoli',
        '() "/" Vegetable/Corn',
    ]


def test_example_7_several_patterns_name_each_mailbox_once(server, talk):
    _build(server, ["Drafts", "Sent/March2004", "Sent/December2003", "Sent/August2004"])
    lines = _lines(talk, 'LIST "" ("INBOX" "Drafts" "Sent/%" "Sent/March%")')
    assert [line.split('"/" ')[1] for line in lines] == [
        "INBOX",
        "Drafts",
        "Sent/August2004",
        "Sent/December2003",
        "Sent/March2004",
    ]


@pytest.fixture
def foo(server, talk):
    _build(server, ["Foo", "Foo/Bar", "Foo/Baz", "Moo"])
    return talk


def test_example_8a_child_info(server, foo):
    _build(server, subscribed=["Foo/Baz"])
    assert _bare(_lines(foo, 'LIST (SUBSCRIBED) "" "*"')) == ['(\\Subscribed) "/" Foo/Baz']
    assert _lines(foo, 'LIST (SUBSCRIBED) "" "%"') == []
    assert _bare(_lines(foo, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')) == [
        '() "/" Foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]
    _build(server, subscribed=["Foo"])
    assert _bare(_lines(foo, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')) == [
        '(\\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]


def test_example_8a2_parent_does_not_exist(server, foo):
    _build(server, subscribed=["Foo/Baz"], deleted=["Foo"])
    assert _bare(_lines(foo, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"')) == [
        '(\\NonExistent) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]


def test_example_8b_nothing_subscribed(foo):
    assert _lines(foo, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == []


def test_example_8c_children_are_not_subscribed(server, foo):
    _build(server, subscribed=["Foo", "Moo"])
    assert _lines(foo, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)') == [
        '* LIST (\\HasChildren \\Subscribed) "/" Foo',
        '* LIST (\\HasNoChildren \\Subscribed) "/" Moo',
    ]


def test_example_9_child_info_whether_or_not_children_match(server, talk):
    names = ["foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222"]
    names += ["eps2", "eps2/mamba", "qux2/bar2"]
    subscribed = [name for name in names if "/" in name] + ["eps2"]
    _build(server, names, subscribed, deleted=["qux2"])
    assert _bare(_lines(talk, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')) == [
        '(\\Subscribed) "/" baz2/bar2',
        '(\\Subscribed) "/" baz2/bar22',
        '(\\Subscribed) "/" baz2/bar222',
        '(\\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))',
        '() "/" foo2 ("CHILDINFO" ("SUBSCRIBED"))',
        '(\\Subscribed) "/" foo2/bar2',
        '(\\Subscribed) "/" qux2/bar2',
    ]


def test_example_10_child_info_without_existing_children(server, talk):
    _build(server, ["foo"], ["foo/bar"])
    assert _bare(_lines(talk, 'LIST "" ("foo" "foo/*")')) == ['() "/" foo']
    assert _bare(_lines(talk, 'LIST (SUBSCRIBED) "" "foo/*"')) == ['(\\NonExistent \\Subscribed) "/" foo/bar']
    assert _lines(talk, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)') == [
        '* LIST (\\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))'
    ]


def test_example_11_missing_level(server, talk):
    _build(server, ["music/rock"], deleted=["music"])
    assert _lines(talk, 'LIST () "" m%') == ['* LIST (\\HasChildren \\NonExistent) "/" music']
    assert _lines(talk, 'LIST "" m%') == ['* LIST (\\HasChildren \\Noselect) "/" music']


# --- other rules ----------------------------------------------------------------------------------


def test_recursivematch_alone_is_bad(talk):
    talk.run("""
        C: a LIST (RECURSIVEMATCH) "" "*"
        S: a BAD
        C: b LIST (REMOTE RECURSIVEMATCH) "" "*"
        S: b BAD
        C: c LIST (COLOUR) "" "*"
        S: c BAD
    """)


def test_empty_pattern_asks_for_the_delimiter(talk):
    assert _lines(talk, 'LIST "" ""') == ['* LIST (\\Noselect) "/" ""']
    assert _lines(talk, 'LIST "anything" ""') == ['* LIST (\\Noselect) "/" ""']


def test_empty_pattern_of_an_extended_list_is_ignored(talk):
    assert _lines(talk, 'LIST () "" ""') == []
    assert _lines(talk, 'LIST "" ("" "INBOX")') == ['* LIST (\\HasNoChildren) "/" INBOX']


def test_names_beyond_ascii(server, talk):
    _build(server, ["Entwürfe", "a&b", 'quo"te'])
    lines = _lines(talk, 'LIST "" "*"')
    assert '* LIST (\\HasNoChildren) "/" "Entw&APw-rfe"' in lines
    assert '* LIST (\\HasNoChildren) "/" "a&-b"' in lines
    assert '* LIST (\\HasNoChildren) "/" "quo\\"te"' in lines
    assert len(_lines(talk, 'LIST "" "Entw&APw-%"')) == 1


def test_special_use(server, talk):
    async def provide():
        await furnish(await server.store.account("alice"))

    server.call(provide())
    server.call(provide())
    assert _bare(_lines(talk, 'LIST (SPECIAL-USE) "" "*"')) == [
        '(\\Archive) "/" Archive',
        '(\\Drafts) "/" Drafts',
        '(\\Junk) "/" Junk',
        '(\\Sent) "/" Sent',
        '(\\Trash) "/" Trash',
    ]
    assert '* LIST (\\HasNoChildren \\Sent) "/" Sent' in _lines(talk, 'LIST "" "%" RETURN (SPECIAL-USE)')
    assert len(_lines(talk, 'LIST (SPECIAL-USE SUBSCRIBED) "" "*"')) == 5
    talk.run("""
        C: a UNSUBSCRIBE Sent
        S: a OK
    """)
    assert len(_lines(talk, 'LIST (SPECIAL-USE SUBSCRIBED) "" "*"')) == 4


def test_create_special_use(talk):
    talk.run("""
        C: t2 CREATE MySpecial (USE (\\Drafts \\Sent))
        S: t2 OK
        C: t3 CREATE Everything (USE (\\All))
        S: t3 NO [USEATTR]
        C: t4 LIST (SPECIAL-USE) "" "*"
        S: * LIST (\\HasNoChildren \\Drafts \\Sent) "/" MySpecial
        S: t4 OK
        C: t5 LIST "" Everything
        !S: * LIST ...
        S: t5 OK
    """)


def test_recursivematch_names_each_option_met(server, talk):
    talk.run("""
        C: a CREATE Mail/Out (USE (\\Sent))
        S: a OK
        C: b SUBSCRIBE Mail/Out
        S: b OK
        C: c LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) "" "%"
        S: * LIST (\\HasChildren) "/" Mail ("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))
        S: c OK
    """)


# --- LSUB (RFC 3501 section 6.3.9) ----------------------------------------------------------------


def test_lsub(fruit):
    assert _lines(fruit, 'LSUB "" "*"') == [
        '* LSUB () "/" INBOX',
        '* LSUB () "/" Fruit/Banana',
        '* LSUB () "/" Fruit/Peach',
        '* LSUB () "/" Vegetable',
        '* LSUB () "/" Vegetable/Broccoli',
    ]


def test_lsub_percent_names_the_level_above_as_noselect(fruit):
    assert _lines(fruit, 'LSUB "" "%"') == [
        '* LSUB () "/" INBOX',
        '* LSUB (\\Noselect) "/" Fruit',
        '* LSUB () "/" Vegetable',
    ]


# --- LIST-STATUS (RFC 5819) -----------------------------------------------------------------------


def test_list_status_follows_each_list(server, talk):
    _build(server, ["foo", "bar/baz"], deleted=["bar"])
    assert _lines(talk, 'LIST "" % RETURN (STATUS (MESSAGES UNSEEN))') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        "* STATUS INBOX (MESSAGES 0 UNSEEN 0)",
        '* LIST (\\HasChildren \\NonExistent) "/" bar',
        '* LIST (\\HasNoChildren) "/" foo',
        "* STATUS foo (MESSAGES 0 UNSEEN 0)",
    ]


def test_list_status_leaves_out_what_only_has_matching_children(server, talk):
    _build(server, ["foo", "foo/bar"], ["INBOX", "foo/bar"])
    assert _lines(talk, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))') == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        "* STATUS INBOX (MESSAGES 0)",
        '* LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))',
    ]


def test_one_round_trip_for_an_account(server, talk):
    _build(server, [f"box{number}" for number in range(300)])
    lines = _lines(talk, 'LIST "" "*" RETURN (SUBSCRIBED STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ))')
    assert len(lines) == 2 * 301


def test_user_sees_only_own_mailboxes(server):
    server.add_user("bob")
    _build(server, ["private"])
    with Conversation(server, user="bob") as talk:
        assert _lines(talk, 'LIST "" "*"') == ['* LIST (\\HasNoChildren) "/" INBOX']
