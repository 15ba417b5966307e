"""`modseq check` as a person uses it."""

import json
import re

import pytest
from click.testing import CliRunner

from check.tamper import Honest, Tampering
from modseq.check.runner import Runner
from modseq.cli.check import _target, command


def run(*words, password="secret", input_text=None):
    entered = f"{password}\n" if input_text is None else input_text
    return CliRunner().invoke(command, list(words), input=entered)


@pytest.fixture
def where(server):
    return f"127.0.0.1:{server.address[1]}"


def test_a_section_that_passes(where, tmp_path):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html")}
    done = run(
        where, "--user", "alice", "--password-stdin", "--section", "3.2.11",
        "--json", str(files["json"]), "--html", str(files["html"]),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert re.search(r"RFC 7162 3\.2\.11 +CLOSED Response Code +11 +- +- +- +-", done.output)
    assert re.search(r"modseq \S+: 11 passed; \d+\.\d s", done.output)
    report = json.loads(files["json"].read_text())
    assert report["summary"] == {"passed": 11, "failed": 0, "not kept": 0, "not used": 0, "not offered": 0}
    assert report["server"]["name"].startswith("modseq")
    assert {each["section"] for each in report["results"]} == {"3.2.11"}
    assert report["left_mailboxes"] == []
    page = files["html"].read_text()
    assert "<title>RFC 7162 on modseq" in page
    assert "CLOSED Response Code" in page
    assert not re.search(r"<script|src=|href=", page)


def test_a_section_that_fails(server, tmp_path):
    class Forgets(Honest):
        def response(self, raw):
            return [] if "[CLOSED]" in raw else [raw]

    with Tampering(server.address, Forgets) as proxy:
        done = run(
            f"127.0.0.1:{proxy.address[1]}", "--user", "alice", "--password-stdin", "--section", "3.2.11",
            "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"),
        )  # fmt: skip
    assert done.exit_code == 1
    assert "FAILED  rfc7162/3.2.11/another-mailbox-is-opened-closed/1" in done.output
    assert "RFC 7162 section 3.2.11, MUST: A server implementing the extension" in done.output
    assert "expected  S: * OK [CLOSED]" in done.output
    assert "    C: a SELECT modseq-check-" in done.output
    assert "SHOULD NOT KEPT  rfc7162/3.2.11/the-same-mailbox-opened-again" in done.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["summary"]["failed"] == 7
    assert any("SELECT" in line for line in report["results"][0]["transcript"])
    assert "secret" not in done.output + (tmp_path / "r.json").read_text() + (tmp_path / "r.html").read_text()


def test_a_should_counts_where_it_is_wanted(server):
    class Misses(Honest):
        def response(self, raw):
            return [raw.replace("LIST-STATUS ", "").replace("CONDSTORE ", "") if "CAPABILITY" in raw else raw]

    with Tampering(server.address, Misses) as proxy:
        words = (f"127.0.0.1:{proxy.address[1]}", "--user", "alice", "--password-stdin", "--section", "3.2.2")
        assert run(*words).exit_code == 0
        assert run(*words, "--strict").exit_code == 1


def test_sections_below_and_other_rfcs(where):
    words = (where, "--user", "alice", "--list", "--password-stdin")
    listed = run(*words, "--section", "3.2.5").output
    assert "rfc7162/3.2.5.2/" in listed
    assert "rfc7162/3.2.6/" not in listed
    listed = run(*words, "--section", "rfc6851", "--section", "rfc3501/6.4.6").output
    assert "rfc6851/4.4/" in listed
    assert "rfc3501/6.4.6/" in listed
    assert "rfc3501/6.3/" not in listed


def test_the_cases_are_listed_without_a_server():
    done = CliRunner().invoke(command, ["--list", "--section", "3.2.11"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == 12


def test_races_alone(where):
    done = run(
        where, "--user", "alice", "--password-stdin", "--section", "race", "--workers", "3", "--rounds", "1",
        "--progress",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert re.search(r"races +Claims and resynchronisation at the same time +6 ", done.output)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["127.0.0.1:1"], "Connection refused"),
        (["127.0.0.1:no"], "'no' is no port"),
        (["127.0.0.1:99999"], "'99999' is no port"),
        (["127.0.0.1:143", "--section", "9.9"], "no cases for section 9.9"),
        (["127.0.0.1:143", "--section", "3.1.3", "--section", "9.9"], "no cases for section 9.9"),
        (["127.0.0.1:143", "--json", "/nowhere/at/all.json"], "cannot be written"),
        ([], "a server and --user are needed"),
        (["127.0.0.1:143", "--workers", "1"], "not in the range"),
    ],
)
def test_wrong_usage_and_no_way_in_are_2(words, sentence):
    done = run(*words, "--user", "alice", "--password-stdin")
    assert done.exit_code == 2
    assert sentence in done.output + done.stderr


def test_a_wrong_password_is_2(where):
    done = run(where, "--user", "alice", "--password-stdin", password="guess")
    assert done.exit_code == 2
    assert "guess" not in done.output + done.stderr
    assert "NO" in done.output + done.stderr


def test_names_and_passwords_that_no_quoted_string_holds(server, where):
    server.add_user("zoë", 'pä"ss\\wört')
    words = ("--user", "zoë", "--password-stdin", "--section", "3.1.1")
    assert run(where, *words, password='pä"ss\\wört').exit_code == 0
    assert run(where, *words, password="pä").exit_code == 2
    server.add_user("quote", 'a"b\\c')
    assert run(where, *("--user", "quote", *words[2:]), password='a"b\\c').exit_code == 0


def test_without_a_terminal_the_password_comes_from_standard_input(where):
    done = run(where, "--user", "alice", input_text="")
    assert done.exit_code == 2
    assert "--password-stdin" in done.output + done.stderr


@pytest.mark.parametrize(
    ("text", "security", "address"),
    [
        ("mail.example.org", "none", ("mail.example.org", 143)),
        ("mail.example.org", "tls", ("mail.example.org", 993)),
        ("mail.example.org:1143", "tls", ("mail.example.org", 1143)),
        ("[::1]", "starttls", ("::1", 143)),
        ("[::1]:1143", "none", ("::1", 1143)),
        ("::1", "none", ("::1", 143)),
    ],
)
def test_addresses(text, security, address):
    target = _target(text, user="u", password="p", security=security, timeout=1, verify=True)
    assert (target.host, target.port) == address
    assert "password" not in repr(target)


def test_ctrl_c_cleans_up_and_tells_what_was_done(server, where, monkeypatch, mailboxes):
    run_one = Runner.run_one
    count = []

    def stopped(self, case):
        count.append(case)
        if len(count) == 3:
            mailboxes.token = self._mailboxes.token
            self._mailboxes.create("half")
            raise KeyboardInterrupt
        return run_one(self, case)

    monkeypatch.setattr(Runner, "run_one", stopped)
    done = run(where, "--user", "alice", "--password-stdin", "--section", "3.2.11")
    assert done.exit_code == 130
    assert "2 passed" in done.output
    assert "and was stopped" in done.output
    assert mailboxes.run('LIST "" "*modseq-check*"')[:-1] == []


def test_tls(tmp_path):
    import ssl

    import trustme

    from server.serving import serving

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(tls=context) as running:
        plain, secure = running.address[1], running.secure_address[1]
        words = ("--user", "alice", "--password-stdin", "--section", "3.1.1")
        assert run(f"127.0.0.1:{secure}", "--tls", "--insecure", *words).exit_code == 0
        assert run(f"127.0.0.1:{plain}", "--starttls", "--insecure", *words).exit_code == 0
        done = run(f"127.0.0.1:{secure}", "--tls", *words)
        assert done.exit_code == 2
        assert "certificate" in done.output + done.stderr
