"""A server for a test: in a thread or a process, in memory or on disk, sync and async, with and without pytest."""

import asyncio
import datetime as dt
import email.message
import email.policy
import imaplib
import os
import smtplib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from modseq.core.errors import MailboxNotFound, UserNotFound
from modseq.testing import ImapServer, ServerFailed, ServerGone, StoredMailbox, make_message

# --- helpers, the same wherever the server runs ---------------------------------------------------


def test_what_is_delivered_is_what_clients_find(any_server):
    uid = any_server.deliver(
        subject="Invoice", sender="shop@example.org", text="Please pay.", flags=["\\Flagged"]
    )
    assert uid == 1
    client = any_server.imaplib()
    client.select()
    assert client.search(None, "SUBJECT", "invoice")[1] == [b"1"]
    assert b"\\Flagged" in client.fetch("1", "(FLAGS)")[1][0]
    body = client.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1]
    assert body == b"Please pay.\r\n"


def test_what_clients_do_can_be_looked_at(any_server):
    any_server.deliver_many(3)
    client = any_server.imaplib()
    client.select()
    client.store("2", "+FLAGS", "(\\Seen $Work)")
    client.append("INBOX", None, None, b"Subject: appended\r\n\r\n.\r\n")
    held = any_server.look()
    assert isinstance(held, StoredMailbox)
    assert held.uids == [1, 2, 3, 4]
    assert held.uid_next == 5
    assert held.message(2).flags == {"\\Seen", "$Work"}
    assert held.message(2).mod_seq == held.highest_mod_seq - 1
    assert held.message(4).data == b"Subject: appended\r\n\r\n.\r\n"
    with pytest.raises(KeyError):
        held.message(5)


def test_others_change_flags_and_expunge(any_server):
    any_server.deliver_many(3)
    client = any_server.imaplib()
    client.select()
    any_server.store(1, "+", "\\Seen")
    any_server.store([1, 2], "+", "$A")
    any_server.store(1, "-", "\\Seen")
    any_server.expunge(3)
    client.noop()
    assert client.untagged_responses["EXPUNGE"] == [b"3"]
    assert {m.uid: set(m.flags) for m in any_server.look().messages} == {1: {"$A"}, 2: {"$A"}}


def test_users_and_mailboxes(any_server):
    any_server.add_user("bob", "hunter2")
    any_server.add_mailbox("Sent", special_use="\\Sent", user="bob")
    any_server.deliver(mailbox="Sent", user="bob")
    assert any_server.mailboxes(user="bob") == ["INBOX", "Sent"]
    assert any_server.mailboxes() == ["INBOX"]
    client = any_server.imaplib("bob")
    assert any(b"\\Sent" in line for line in client.list()[1])
    with pytest.raises(MailboxNotFound):
        any_server.deliver(mailbox="Nowhere")
    with pytest.raises(UserNotFound):
        any_server.deliver(user="nobody")
    client.logout()
    any_server.remove_user("bob")
    with (
        imaplib.IMAP4(any_server.host, any_server.port) as stranger,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        stranger.login("bob", "hunter2")


def test_mail_is_delivered_by_lmtp_too(any_server):
    with smtplib.LMTP(any_server.host, any_server.lmtp_port) as lmtp:
        lmtp.sendmail("bob@example.org", ["ann@example.org"], "Subject: by LMTP\r\n\r\nHello.\r\n")
    assert b"Subject: by LMTP" in any_server.look().messages[0].data


def test_each_server_stands_alone(make_imap_server):
    first, second = make_imap_server(), make_imap_server()
    first.deliver()
    assert first.port != second.port
    assert second.look().messages == ()


# --- messages -------------------------------------------------------------------------------------


def test_messages_come_as_octets_text_or_objects(imap_server):
    message = email.message.EmailMessage(policy=email.policy.default)
    message["Subject"] = "Grüße"
    message.set_content("Hallo Ann,\n")
    imap_server.deliver(message)
    imap_server.deliver("Subject: text\n\nbody\n")
    imap_server.deliver(b"Subject: octets\r\n\r\nbody\r\n")
    datas = [each.data for each in imap_server.look().messages]
    assert b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" in datas[0]
    assert datas[1:] == [b"Subject: text\r\n\r\nbody\r\n", b"Subject: octets\r\n\r\nbody\r\n"]
    assert all(data.count(b"\n") == data.count(b"\r\n") for data in datas)


def test_a_made_message_says_what_it_was_told():
    moment = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
    octets = make_message(
        subject="s", sender="a@b", to="c@d", text="t\n", date=moment, headers={"X-Priority": "1"}
    )
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert [read[name] for name in ("Subject", "From", "To", "X-Priority")] == ["s", "a@b", "c@d", "1"]
    assert read["Date"].datetime == moment
    assert read.get_content().splitlines() == ["t"]


def test_the_internal_date_can_be_given(imap_server):
    imap_server.deliver(received=dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC))
    client = imap_server.imaplib()
    client.select()
    assert b" 3-Feb-2001 04:05:06 +0000" in client.fetch("1", "(INTERNALDATE)")[1][0]


def test_a_message_is_given_or_made_not_both(imap_server):
    with pytest.raises(TypeError, match="subject"):
        imap_server.deliver(b"Subject: a\r\n\r\n", subject="b")


# --- life -----------------------------------------------------------------------------------------


def test_a_restarted_server_keeps_port_and_mail(any_server):
    any_server.deliver()
    client = any_server.imaplib()
    port = any_server.port
    any_server.restart()
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.noop()
    assert any_server.port == port
    again = any_server.imaplib()
    assert again.select()[1] == [b"1"]


def test_a_killed_server_keeps_what_was_on_disk():
    with ImapServer(storage="disk", process=True) as server:
        client = server.imaplib()
        client.append("INBOX", None, None, b"Subject: kept\r\n\r\n.\r\n")
        port, pid = server.port, server.pid
        server.kill()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
        with pytest.raises(RuntimeError):
            server.deliver()
        server.start()
        assert server.port == port
        assert server.pid != pid
        assert server.imaplib().select()[1] == [b"1"]
        assert any("APPEND" in command for command in server.commands()), "the log outlives the process"


def test_a_server_that_dies_is_noticed():
    server = ImapServer(process=True).start()
    os.kill(server.pid, 9)
    with pytest.raises(ServerGone):
        server.deliver()
    with pytest.raises(ServerGone):
        server.stop()


def test_only_a_process_of_its_own_can_be_killed(imap_server):
    with pytest.raises(TypeError, match="process=True"):
        imap_server.kill()


def test_what_was_temporary_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ImapServer(storage="disk") as server:
        server.deliver()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_kept(tmp_path):
    with ImapServer(storage="disk", directory=tmp_path / "mail") as server:
        server.deliver()
    with ImapServer(storage="disk", directory=tmp_path / "mail") as server:
        assert server.look().uids == [1]
    with pytest.raises(ValueError, match="disk"):
        ImapServer(directory=tmp_path)


def test_it_runs_once_and_only_between_start_and_stop():
    server = ImapServer()
    with pytest.raises(RuntimeError, match="does not run"):
        server.deliver()
    with server, pytest.raises(RuntimeError, match="already"):
        server.start()
    server.stop()


def test_what_the_server_itself_does_wrong_is_raised(monkeypatch):
    server = ImapServer().start()

    async def break_something(stage):
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    server._host.call(break_something)
    server.deliver()
    with pytest.raises(ServerFailed, match="ZeroDivisionError"):
        server.stop()


def test_settings_are_the_servers_settings(make_imap_server):
    server = make_imap_server(settings={"idle_before_login_seconds_max": 0.1})
    connected = server.connect()
    assert connected.recv(1000).startswith(b"* OK")
    assert connected.recv(1000) == b"* BYE Silent for too long\r\n"
    with pytest.raises(TypeError):
        make_imap_server(settings={"no_such_setting": 1})


def test_tls_with_a_certificate(tmp_path, authority_files, client_context):
    certificate, key = authority_files
    with ImapServer(certificate=certificate, key=key) as server:
        server.deliver()
        client = imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=client_context)
        client.login(server.user, server.password)
        assert client.select()[1] == [b"1"]
        client.logout()
        upgraded = imaplib.IMAP4("localhost", server.port)
        upgraded.starttls(client_context)
        upgraded.login(server.user, server.password)
        server.faults.drop_after(10)
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            upgraded.select()
        upgraded.shutdown()
        log = server.wire_log()
        assert "-- TLS" in log, "what passes under TLS is readable in the log"
        assert log.count("LOGIN ***") == 2
    with pytest.raises(ValueError, match="together"):
        ImapServer(certificate=certificate)


@pytest.fixture
def authority():
    import trustme

    return trustme.CA()


@pytest.fixture
def authority_files(authority, tmp_path):
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


@pytest.fixture
def client_context(authority):
    import ssl

    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# --- from coroutines ------------------------------------------------------------------------------


def test_it_is_an_async_context_manager():
    async def work():
        async with ImapServer() as server:
            server.deliver()
            reader, writer = await asyncio.open_connection(server.host, server.port)
            assert (await reader.readline()).startswith(b"* OK")
            writer.write(b"a LOGIN ann secret\r\nb STATUS INBOX (MESSAGES)\r\n")
            await reader.readline()
            assert await reader.readline() == b"* STATUS INBOX (MESSAGES 1)\r\n"
            server.deliver()
            writer.write(b"c STATUS INBOX (MESSAGES)\r\n")
            await reader.readline()
            assert await reader.readline() == b"* STATUS INBOX (MESSAGES 2)\r\n"
            writer.close()
            await writer.wait_closed()

    asyncio.run(work())


# --- without pytest -------------------------------------------------------------------------------


def test_nothing_needs_pytest(tmp_path):
    script = textwrap.dedent("""
        import sys, unittest
        sys.modules["pytest"] = None            # import pytest would raise
        import modseq, modseq.testing
        from modseq.testing import ImapServer

        class Mail(unittest.TestCase):
            def setUp(self):
                self.server = self.enterContext(ImapServer())

            def test_it(self):
                self.server.deliver()
                self.assertEqual(self.server.imaplib().select()[1], [b"1"])

        class AsyncMail(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.server = await self.enterAsyncContext(ImapServer())

            async def test_it(self):
                self.server.deliver()
                self.assertEqual(self.server.look().uids, [1])

        unittest.main(verbosity=2)
    """)
    path = tmp_path / "case.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


def test_a_run_ends_though_a_process_that_it_forked_lives_on(tmp_path):
    script = textwrap.dedent("""
        import os, time
        from modseq.testing import ImapServer, nursery
        nursery._END_SECONDS_MAX = 0.1
        ImapServer(process=True).start().stop()
        pid = os.fork()
        if pid == 0:
            os.close(0), os.close(1), os.close(2)
            time.sleep(60)
            os._exit(0)
        print(pid, flush=True)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    os.kill(int(done.stdout), 9)
    assert (done.returncode, done.stderr) == (0, "")


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = "from modseq.testing import ImapServer; import os; s = ImapServer(process=True).start(); print(s.pid); os._exit(1)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        import time

        time.sleep(0.05)
    raise AssertionError("the server's process still runs")
