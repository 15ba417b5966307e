"""The pytest plugin as pytest loads it: fixtures, marker, settings, and the conversation in the report."""

import importlib.metadata
import subprocess
import sys


def test_pytest_finds_it_by_its_entry_point():
    found = importlib.metadata.entry_points(group="pytest11", name="modseq")
    assert [each.value for each in found] == ["modseq.testing.plugin"]


def test_loading_the_plugin_does_not_load_the_server():
    script = (
        "import sys, modseq.testing.plugin; print(sorted(name for name in sys.modules if 'modseq' in name))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "['modseq', 'modseq.testing', 'modseq.testing.plugin']\n"


def test_every_exported_name_is_there():
    import modseq.testing

    assert sorted(modseq.testing._HOMES) == modseq.testing.__all__
    assert all(getattr(modseq.testing, name) is not None for name in modseq.testing.__all__)
    assert not hasattr(modseq.testing, "nothing_of_the_kind")


def test_the_fixtures(pytester):
    pytester.makepyfile("""
        import pytest

        def test_in_memory(imap_server, imaplib_client):
            imap_server.deliver()
            assert imaplib_client.select()[1] == [b"1"]

        def test_a_client_of_this_project(imap_server, imap_client):
            imap_server.deliver()
            assert imap_client.select("INBOX").exists == 1

        def test_fresh_for_each_test(imap_server):
            assert imap_server.look().messages == ()

        @pytest.mark.imap_server(storage="disk", user="bob")
        def test_marker(imap_server, imaplib_client):
            assert imap_server.user == "bob"
            assert imap_server._options.storage == "disk"

        def test_several(make_imap_server):
            first, second = make_imap_server(), make_imap_server(user="carl")
            first.deliver()
            assert second.look().messages == ()
    """)
    pytester.runpytest_inprocess("--strict-markers", "-W", "error").assert_outcomes(passed=5)


def test_options_for_a_module_and_the_marker_before_them(pytester):
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.imap_server(password="module")

        @pytest.fixture
        def imap_server_options():
            return {"user": "dora", "password": "fixture"}

        def test_fixture_and_module(imap_server):
            assert (imap_server.user, imap_server.password) == ("dora", "module")

        @pytest.mark.imap_server(password="test")
        def test_closest_marker(imap_server):
            assert (imap_server.user, imap_server.password) == ("dora", "test")

        @pytest.mark.imap_server(user="emil")
        def test_markers_add_up(imap_server):
            assert (imap_server.user, imap_server.password) == ("emil", "module")
    """)
    pytester.runpytest_inprocess("--strict-markers").assert_outcomes(passed=3)


FAILING = """
    import imaplib

    def test_fails(make_imap_server):
        server = make_imap_server(password="pa55-w0rd")
        other = make_imap_server()
        client = server.imaplib()
        client.status("INBOX", "(MESSAGES)")
        assert client.noop()[0] == "NO"
"""


def test_a_failing_test_shows_the_conversation(pytester):
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- IMAP conversation, server 1 (call) -*",
            "*#1*C: * LOGIN ***",
            "*#1*C: * STATUS INBOX (MESSAGES)",
            "*#1*S: [*] STATUS INBOX (MESSAGES 0)",
            "*#1*S: * OK Nothing done",
        ]
    )
    conversation = result.stdout.str().partition("IMAP conversation")[2]
    assert "pa55-w0rd" not in conversation
    assert "server 2" not in conversation, "nobody spoke to it"


def test_a_passing_test_shows_nothing(pytester):
    pytester.makepyfile("def test_it(imaplib_client): imaplib_client.noop()")
    result = pytester.runpytest_inprocess("-rA")
    result.assert_outcomes(passed=1)
    assert "IMAP conversation" not in result.stdout.str()


def test_how_much_is_shown_is_a_setting(pytester):
    pytester.makepyfile(FAILING)
    pytester.makeini("[pytest]\nimap_log_lines = 2\n")
    text = pytester.runpytest_inprocess().stdout.str()
    assert " lines before" in text
    assert "STATUS INBOX" not in text.partition("IMAP conversation")[2]
    pytester.makeini("[pytest]\nimap_log_lines = 0\n")
    assert "IMAP conversation" not in pytester.runpytest_inprocess().stdout.str()


def test_a_server_that_does_wrong_is_an_error_of_the_test(pytester):
    pytester.makepyfile("""
        import asyncio

        async def break_something(stage):
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)

        def test_it(imap_server, imaplib_client):
            imap_server._host.call(break_something)
    """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*", "*- IMAP conversation, server 1 (teardown) -*"])


def test_a_setup_that_fails_says_so(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.imap_server(no_such_option=1)
        def test_it(imap_server):
            pass
    """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no_such_option*"])
