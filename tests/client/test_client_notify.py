"""NOTIFY with a real server: Debian's Dovecot. modseq does not offer it. RFC 5465."""

import asyncio
import itertools
import time

import pytest

from client.cancelling import cancelled_once
from modseq.client import (
    CommandRefused,
    CommandRejected,
    Exists,
    ListData,
    MessageData,
    NotSupported,
    NumSet,
    StatusData,
    Vanished,
    connect,
)

MAIL = b"Subject: x\r\n\r\nBody\r\n"
SELECTED = "selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)"
PERSONAL = "personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"
HEAR_SECONDS_MAX = 20.0
_numbers = itertools.count(1)


@pytest.fixture
def boxes():
    """Two names of the test's own, one of them no ASCII."""
    number = next(_numbers)
    return f"notify{number}", f"Grüße & mehr {number}"


@pytest.fixture
def pair(drive, dovecot_server, boxes):
    """One client with the first mailbox open, which has a message; and one that does things."""
    with (
        drive(dovecot_server.url, **dovecot_server.login) as client,
        drive(dovecot_server.url, **dovecot_server.login) as other,
    ):
        if not client.has("NOTIFY"):
            pytest.skip("this Dovecot does not offer NOTIFY")
        for name in boxes:
            other.create(name)
            other.append(name, MAIL)
        client.select(boxes[0])
        client.events.take()
        yield client, other


def hear(client, *wanted):
    """Wait until each of these was told, in this order, and return the last of them."""
    told, left, found = [], list(wanted), None
    until = time.monotonic() + HEAR_SECONDS_MAX
    while left:
        seconds = until - time.monotonic()
        assert seconds > 0, f"never told, of {len(wanted)}: {left[0]}; told: {told}"
        for event in client.wait(seconds):
            told.append(event)
            if left and left[0](event):
                left.pop(0)
                found = event
    return found


def counts(name, **fields):
    """Return a check for STATUS of a mailbox."""
    return lambda event: (
        isinstance(event, StatusData)
        and event.mailbox == name
        and all(getattr(event, field) == value for field, value in fields.items())
    )


def is_(kind, **fields):
    """Return a check for an event with these fields."""
    return lambda event: (
        isinstance(event, kind) and all(getattr(event, field) == value for field, value in fields.items())
    )


def test_another_mailbox(pair, boxes):
    """A message that arrives, a flag that changes, a message that goes: STATUS, without asking."""
    client, other = pair
    far = boxes[1]
    assert client.notify(SELECTED, PERSONAL).text
    other.append(far, MAIL)
    hear(client, counts(far, messages=2, uid_next=3))
    other.select(far)
    before = other.status(far, ["HIGHESTMODSEQ"]).highest_mod_seq
    other.store(1, add="\\Seen")
    flagged = hear(client, counts(far, unseen=1))
    assert flagged.highest_mod_seq > before
    other.store(1, add="\\Deleted")
    other.expunge()
    hear(client, counts(far, messages=1))


def test_the_selected_mailbox(pair, boxes):
    """What MessageNew asked for comes with the message; a change comes as FETCH, an end as VANISHED."""
    client, other = pair
    near = boxes[0]
    client.notify(SELECTED, PERSONAL)
    other.append(near, MAIL, flags=["\\Flagged"])
    new = hear(client, is_(Exists, count=2), is_(MessageData, uid=2))
    assert "\\Flagged" in new.flags
    other.select(near)
    other.store(1, add="$x")
    changed = hear(client, is_(MessageData, uid=1))
    assert "$x" in changed.flags
    other.store(1, add="\\Deleted")
    other.expunge()
    hear(client, is_(Vanished, uids=NumSet([1])))


def test_mailboxes_that_come_change_their_name_and_go(pair, boxes):
    client, other = pair
    client.notify(SELECTED, PERSONAL)
    name = f"{boxes[1]} neu"
    other.create(name)
    hear(client, is_(ListData, name=name))
    other.rename(name, f"{name}er")
    hear(client, is_(ListData, name=f"{name}er", old_name=name))
    other.subscribe(f"{name}er")
    hear(client, lambda event: is_(ListData, name=f"{name}er")(event) and "\\Subscribed" in event.attributes)
    other.unsubscribe(f"{name}er")
    hear(
        client,
        lambda event: is_(ListData, name=f"{name}er")(event) and "\\Subscribed" not in event.attributes,
    )
    other.delete(f"{name}er")
    hear(client, lambda event: is_(ListData, name=f"{name}er")(event) and "\\NonExistent" in event.attributes)


def test_during_any_command(pair, boxes):
    """Not only while IDLE is on: what comes with another answer is an event too, and no part of the answer."""
    client, other = pair
    far = boxes[1]
    client.notify(SELECTED, PERSONAL)
    other.append(far, MAIL)
    until = time.monotonic() + HEAR_SECONDS_MAX
    told = []
    while not any(counts(far, messages=2)(event) for event in told):
        assert time.monotonic() < until
        assert [each.uid for each in client.fetch("1:*").messages] == [1]
        assert client.status(boxes[0], ["MESSAGES"]).messages == 1
        told += client.events.take()


def test_only_what_was_asked_for(pair, boxes):
    client, other = pair
    near, far = boxes
    client.notify(f"mailboxes {near} (MessageNew MessageExpunge)")
    other.append(far, MAIL)
    other.create(f"{near}-new")
    assert not [each for each in client.wait(0.5) if isinstance(each, StatusData | ListData)]


def test_none(pair, boxes):
    """Nothing is told any more; not even of the mailbox that is open, until NOTIFY SET or SELECT asks for it."""
    client, other = pair
    near, far = boxes
    client.notify(SELECTED, PERSONAL)
    other.append(far, MAIL)
    hear(client, counts(far, messages=2))
    assert client.notify().text
    other.append(far, MAIL)
    other.append(near, MAIL)
    other.create(f"{near}-new")
    told = [*client.wait(0.5)]
    client.noop()
    told += client.events.take()
    assert not [each for each in told if isinstance(each, StatusData | ListData | Exists)]
    client.notify(SELECTED, PERSONAL)
    other.append(far, MAIL)
    hear(client, counts(far, messages=4))


def test_what_the_server_does_not_take(pair):
    """An error like any other: the connection goes on."""
    client, _ = pair
    with pytest.raises(CommandRejected):
        client.notify("frobnicate (MessageNew)")
    with pytest.raises(CommandRefused) as caught:
        client.notify("personal (AnnotationChange)")
    assert caught.value.code is None or caught.value.code.name == "BADEVENT"
    assert client.noop().text


def test_modseq_offers_none_of_it(drive, modseq_server):
    with (
        drive(modseq_server.url, **modseq_server.login) as client,
        pytest.raises(NotSupported, match="NOTIFY"),
    ):
        client.notify(SELECTED)


def test_cancelled_while_waiting_for_notifications(dovecot_server, boxes):
    async def main():
        async with (
            connect(dovecot_server.url, **dovecot_server.login) as client,
            connect(dovecot_server.url, **dovecot_server.login) as other,
        ):
            if not client.has("NOTIFY"):
                pytest.skip("this Dovecot does not offer NOTIFY")
            await other.create(boxes[1])
            await client.notify(PERSONAL)
            for number in range(1, 4):
                task = asyncio.create_task(client.wait(60))
                await asyncio.sleep(0.1)
                await cancelled_once(task)
                await other.append(boxes[1], MAIL)
                async with asyncio.timeout(HEAR_SECONDS_MAX):
                    while not any(
                        counts(boxes[1], messages=number)(event)
                        for event in await client.wait(HEAR_SECONDS_MAX)
                    ):
                        pass

    asyncio.run(main())
