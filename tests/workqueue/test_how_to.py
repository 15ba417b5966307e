"""The program of the how-to page is run, and killed where it hurts."""

import os
import re
import signal
import subprocess
import sys
import threading
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from dovecot_server import free_port
from wire_client import PASSWORD, USER
from wire_server import Running
from workqueue.crew import Account

PAGE = Path(__file__).parents[2] / "docs/how-to/answer-mail-once.md"


class Sink:
    """A mail server that notes what it accepted, and may kill who sent it before saying so."""

    def __init__(self):
        self.ids = []
        self.kill = None
        self.came = threading.Event()

    async def handle_DATA(self, server, session, envelope):
        self.ids.append(message_from_bytes(envelope.content)["Message-ID"])
        if self.kill is not None:
            self.kill()
        self.came.set()
        return "250 OK"


@pytest.fixture
def sink():
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    sink.port = controller.port
    yield sink
    controller.stop()


@pytest.fixture
def agent(tmp_path, sink):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = tmp_path / "agent.py"
    program.write_text(code)
    with Running(tmp_path) as server:
        host, port = server.address
        account = Account(server.address, USER, PASSWORD)
        with account.talk() as talk:
            assert (
                any(b" Sent" in line for line in talk.run('LIST "" *')) or talk.run("CREATE Sent") is not None
            )
            talk.fill(1)
        environment = os.environ | {
            "AGENT_SERVER": f"imap+insecure://{USER}@{host}:{port}",
            "AGENT_PASSWORD": PASSWORD,
            "AGENT_LEASE": "2",
            "AGENT_SMTP_PORT": str(sink.port),
        }

        def start():
            return subprocess.Popen([sys.executable, str(program)], env=environment, stdout=subprocess.PIPE)

        yield start, account


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()


def test_an_agent_that_is_killed_while_it_sends(agent, sink):
    start, account = agent
    first = start()
    sink.kill = first.kill
    assert sink.came.wait(20)
    sink.kill = None
    end(first)
    second = start()
    assert second.stdout.readline() == b"answered 1 attempt 2\n"
    end(second)
    assert len(sink.ids) == 2
    assert len(set(sink.ids)) == 1
    with account.talk() as talk:
        talk.run("EXAMINE Sent")
        assert len(talk.search("ALL")) == 1


def test_an_agent_that_is_killed_after_it_filed_the_reply(agent, sink):
    start, account = agent
    first = start()
    assert first.stdout.readline() == b"answered 1 attempt 1\n"
    end(first)
    with account.talk() as talk:
        # As if it had died before its ack.
        talk.run("SELECT INBOX")
        talk.run("UID STORE 1 -FLAGS ($Done)")
    second = start()
    assert second.stdout.readline().startswith(b"answered 1 attempt")
    end(second)
    assert len(sink.ids) == 1
