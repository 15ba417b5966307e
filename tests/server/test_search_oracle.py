"""SEARCH against the plainest evaluator: any tree of keys, over messages of every kind."""

import asyncio
import datetime as dt
import email
import email.policy

from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from modseq.core.message import NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge
from modseq.core.store_flags import StoreFlags
from modseq.core.view import SessionView
from modseq.server.delivery import content_of
from modseq.server.searching.content import wanted_texts
from modseq.server.searching.tree import Tier, leaves, tier_of
from modseq.server.searching.walk import Walk
from modseq.storage.memory import MemoryAccount
from modseq.wire.messages import parse_command
from modseq.wire.values import SearchAnd, SearchNot, SearchOr, SearchSequence

WORDS = ("alpha", "Beta", "gamma")
NOW = 1_000_000_000
DAY = 86_400


def octets(at):
    subject, body = WORDS[at % 3], WORDS[at // 3 % 3]
    date = f"Date: {at % 28 + 1} Jan 2001 12:00:00 +0000\r\n" if at % 5 else ""
    return (
        f"From: {WORDS[at % 2]}@example.org\r\nSubject: {subject}\r\n{date}\r\n{body} {'x' * at}\r\n".encode()
    )


async def filled():
    """60 messages; some expunged since the view was taken, some changed one by one."""
    account = MemoryAccount("alice")
    mailbox = account.listing().find("INBOX").mailbox_id
    flags = [(), ("\\Seen",), ("\\Flagged", "$A"), ("\\Seen", "$B"), ("\\Deleted",)]
    for at in range(60):
        made = NewMessage(flags[at % 5], NOW - at * DAY // 2, 60 * (at % 3), NOW, content_of(octets(at)))
        await account.commit(Append(mailbox, (made,)))
    for uid in range(1, 60, 7):
        await account.commit(StoreFlags(mailbox, NumSet([uid]), "+", ("$A", "\\Answered")))
        await account.commit(StoreFlags(mailbox, NumSet([uid + 1]), "-", ("$A", "\\Seen")))
    before = await account.mailbox(mailbox)
    view = SessionView(before, recent_from=50)
    await account.commit(Expunge(mailbox, NumSet(range(20, 30))))
    after = await account.mailbox(mailbox)
    view.advance(after, after.changes_since(before.mod_seq), may_vanish=False)
    return account, view


ACCOUNT, VIEW = asyncio.run(filled())


# --- the plainest evaluator -----------------------------------------------------------------------


class Naive:
    """One message, one key: what RFC 3501 section 6.4.4 says, word by word."""

    def __init__(self, seq_num, uid):
        self.seq_num, self.uid = seq_num, uid
        self.octets = octets(uid - 1)
        self.parsed = email.message_from_bytes(self.octets, policy=email.policy.default)
        self.flags = {name.lower() for name in VIEW.state.flag_table.names(VIEW.state.message(uid).flags)}
        self.received = NOW - (uid - 1) * DAY // 2
        self.zone = 60 * ((uid - 1) % 3)

    def fits(self, text):
        word, _, rest = text.partition(" ")
        match word:
            case "ALL":
                return True
            case "SEEN" | "FLAGGED" | "DELETED" | "ANSWERED" | "DRAFT":
                return f"\\{word.lower()}" in self.flags
            case "UNSEEN" | "UNFLAGGED" | "UNDELETED" | "UNANSWERED" | "UNDRAFT":
                return f"\\{word[2:].lower()}" not in self.flags
            case "KEYWORD":
                return rest.lower() in self.flags
            case "UNKEYWORD":
                return rest.lower() not in self.flags
            case "RECENT":
                return self.uid >= 50
            case "LARGER":
                return len(self.octets) > int(rest)
            case "SMALLER":
                return len(self.octets) < int(rest)
            case "UID":
                low, high = sorted(map(int, rest.split(":")))
                return low <= self.uid <= high
            case "SEQ":
                low, high = sorted(map(int, rest.split(":")))
                return low <= self.seq_num <= high
            case "FROM" | "SUBJECT":
                return rest.lower() in str(self.parsed[word]).lower()
            case "BODY":
                return rest.lower() in self.parsed.get_content().lower()
            case "TEXT":
                return rest.lower() in self.octets.decode().lower()
            case "OLDER":
                return self.received <= NOW - int(rest)
            case "YOUNGER":
                return self.received >= NOW - int(rest)
            case "MODSEQ":
                return self.mod_seq_fits(rest)
        return self.day_fits(word, dt.datetime.strptime(f"{rest} +0000", "%d-%b-%Y %z").date())

    def mod_seq_fits(self, rest):
        state = VIEW.state
        if not rest.startswith('"'):
            return state.message(self.uid).mod_seq >= int(rest)
        entry, _, least = rest.split(" ")
        bit = state.flag_table.bit(entry.strip('"').removeprefix("/flags/").replace("\\\\", "\\"))
        number = None if bit is None else state.item_mod_seq(self.uid, bit)
        return number is not None and number >= int(least)

    def day_fits(self, word, wanted):
        if word.startswith("SENT"):
            if self.parsed["Date"] is None:
                return False
            day, relation = self.parsed["Date"].datetime.date(), word[4:]
        else:
            zone = dt.timezone(dt.timedelta(minutes=self.zone))
            day, relation = dt.datetime.fromtimestamp(self.received, zone).date(), word
        return {"BEFORE": day < wanted, "ON": day == wanted, "SINCE": day >= wanted}[relation]


MESSAGES = [
    Naive(seq_num, uid) for seq_num, uid in enumerate(VIEW.uids, 1) if VIEW.state.message(uid) is not None
]


# --- any tree -------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 130)
RANGES = st.tuples(st.integers(1, 65), st.integers(1, 65)).map(lambda pair: f"{pair[0]}:{pair[1]}")
DAYS = st.dates(dt.date(2000, 12, 25), dt.date(2001, 9, 20)).map(lambda day: f"{day.day}-{day:%b-%Y}")
LEAF = st.one_of(
    st.sampled_from(
        ["ALL", "SEEN", "UNSEEN", "FLAGGED", "DELETED", "UNDELETED", "ANSWERED", "UNDRAFT", "RECENT"]
    ),
    st.sampled_from(["KEYWORD $a", "KEYWORD $B", "KEYWORD $none", "UNKEYWORD $A", "UNKEYWORD $none"]),
    NUMBERS.map(lambda size: f"LARGER {size}"),
    NUMBERS.map(lambda size: f"SMALLER {size}"),
    RANGES.map(lambda numbers: f"UID {numbers}"),
    RANGES.map(lambda numbers: f"SEQ {numbers}"),
    st.tuples(
        st.sampled_from(["FROM", "SUBJECT", "BODY", "TEXT"]), st.sampled_from([*WORDS, "ALP", "zzz", "xxxxx"])
    ).map(" ".join),
    st.tuples(st.sampled_from(["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]), DAYS).map(
        " ".join
    ),
    st.tuples(st.sampled_from(["OLDER", "YOUNGER"]), st.integers(1, 30 * DAY)).map(
        lambda both: f"{both[0]} {both[1]}"
    ),
    NUMBERS.map(lambda least: f"MODSEQ {least}"),
    st.tuples(st.sampled_from(["\\\\Seen", "\\\\Answered", "$A", "$B", "$none"]), NUMBERS).map(
        lambda both: f'MODSEQ "/flags/{both[0]}" all {both[1]}'
    ),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(st.just("NOT"), inner),
        st.tuples(st.just("OR"), inner, inner),
        st.lists(inner, min_size=1, max_size=4).map(lambda keys: ("AND", *keys)),
    ),
    max_leaves=12,
)


def spelled(tree):
    if isinstance(tree, str):
        return tree.removeprefix("SEQ ")
    word, *inner = tree
    joined = " ".join(map(spelled, inner))
    return f"({joined})" if word == "AND" else f"{word} {joined}"


def naively(tree, message):
    if isinstance(tree, str):
        return message.fits(tree)
    word, *inner = tree
    answers = [naively(each, message) for each in inner]
    return {"NOT": not answers[0], "OR": any(answers), "AND": all(answers)}[word]


def searched(text, *, backwards=False, account=ACCOUNT):
    """UIDs that the server finds, block by block."""
    key = parse_command((f"a1 SEARCH {text}".encode(),)).args.program.key
    sets = {}
    for leaf in leaves(key):
        if isinstance(leaf, SearchSequence):
            numbers = leaf.sequence_set.resolve(len(VIEW.uids), ceiling=1000)
            sets[leaf] = numbers if leaf.uid else NumSet(VIEW.uids.uids_of(numbers))
    walk = Walk(account, VIEW, key, sets=sets, texts=wanted_texts(leaves(key), None), now=NOW)

    async def collect():
        return [uid async for hit in walk.hits(backwards=backwards) for uid in hit.uids]

    return asyncio.run(collect())


@settings(max_examples=examples(300))
@given(TREE)
def test_any_tree_of_keys_finds_what_the_plainest_evaluator_finds(tree):
    expected = [message.uid for message in MESSAGES if naively(tree, message)]
    assert searched(spelled(tree)) == expected
    assert searched(spelled(tree), backwards=True) == expected


# --- cheap before dear ----------------------------------------------------------------------------


class Counting:
    """An account that counts what is read."""

    def __init__(self):
        self.rows_read = 0
        self.octets_read = 0

    async def rows(self, mailbox_id, uids, *, ready):
        self.rows_read += len(uids)
        return await ACCOUNT.rows(mailbox_id, uids, ready=ready)

    async def read(self, email_id, offset=0, length=None):
        data = await ACCOUNT.read(email_id, offset, length)
        self.octets_read += len(data)
        return data


def cost(text):
    account = Counting()
    searched(text, account=account)
    return account.rows_read, account.octets_read


def test_a_dear_key_is_judged_only_where_a_cheap_one_leaves_it_open():
    assert cost("BODY alpha UID 900") == (0, 0)
    assert cost("BODY alpha KEYWORD $none") == (0, 0)
    assert cost("OR BODY alpha ALL") == (0, 0)
    assert cost("NOT (OR ALL SUBJECT alpha)") == (0, 0)
    assert cost("TEXT alpha UID 7") == (1, len(octets(6)))
    rows, read = cost("BODY alpha SINCE 1-Jan-2002")
    assert (rows, read) == (len(MESSAGES), 0)
    rows, read = cost("BODY alpha SUBJECT nothing")
    assert 0 < read < sum(len(message.octets) for message in MESSAGES)


def test_tiers_cover_every_kind_of_key():
    key = parse_command(
        (b"a1 SEARCH SEEN SINCE 1-Jan-2001 FROM a BODY b EMAILID c THREADID d",)
    ).args.program.key
    assert [tier_of(leaf) for leaf in leaves(key)] == [
        Tier.PACKED,
        Tier.ROW,
        Tier.HEADER,
        Tier.TEXT,
        Tier.ROW,
        Tier.PACKED,
    ]
    assert not any(isinstance(leaf, (SearchAnd, SearchOr, SearchNot)) for leaf in leaves(key))
