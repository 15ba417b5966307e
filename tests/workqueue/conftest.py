import itertools

import pytest

from dovecot_server import DOVECOT_PASSWORD, dovecot
from wire_client import PASSWORD, USER
from wire_server import Running
from workqueue.crew import Account

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["modseq", "dovecot"])
def account(request, tmp_path_factory):
    """An account on each kind of server, whatever the kind of claim that it needs."""
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "modseq":
        with Running(place) as server:
            yield Account(server.address, USER, PASSWORD)
    else:
        with dovecot(place) as server:
            yield Account((server.host, server.port), "ann", DOVECOT_PASSWORD)


@pytest.fixture
def mailbox(account):
    """A mailbox that no other test uses."""
    name = f"Queue{next(_numbers)}"
    with account.talk() as talk:
        talk.run(f"CREATE {name}")
    return name
