"""`--oauth`: the command line with a token instead of a password, OAUTHBEARER (RFC 7628) and XOAUTH2."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from client.fake import fake
from dovecot_server import dovecot
from modseq.cli.main import program
from modseq.client.sync import connect
from server.serving import serving

KEY = b"a key that only this test knows."
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl-_~+/=="
BOTH = "IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=XOAUTH2"
XOAUTH2 = "IMAP4rev1 SASL-IR AUTH=XOAUTH2"


def token_for(user, *, seconds=600):
    """Return a token as an authorization server would sign it (RFC 7519, HS256)."""

    def encode(octets):
        return base64.urlsafe_b64encode(octets).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": user, "iat": now - 900, "nbf": now - 900, "exp": now + seconds}
    signed = b".".join(
        [encode(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    )
    return (signed + b"." + encode(hmac.digest(KEY, signed, hashlib.sha256))).decode()


def ended(words, *, stdin="", secret=None, status=0):
    """Run a command inside this process, and return what it says on both outputs; never the token."""
    done = CliRunner().invoke(
        program, [str(word) for word in words], input=stdin, env={"MODSEQ_PASSWORD": secret}
    )
    said = done.stdout + done.stderr
    assert done.exit_code == status, (said, done.exception)
    token = (secret or stdin).strip()
    assert not token or token not in said
    return said


def commands(url, file):
    """Each command that logs in, by name."""
    return {
        "mirror": ["mirror", url, "--to", file, "--oauth"],
        "work": ["work", f"{url}INBOX", "--run", "cat", "--once", "--oauth"],
        "work status": ["work", "status", f"{url}INBOX", "--oauth"],
    }


every_command = pytest.mark.parametrize("command", list(commands("", "")))


# --- what is sent, octet by octet --------------------------------------------------------------------


def bearer(port, user="ann"):
    return f"n,a={user},\1host=127.0.0.1\1port={port}\1auth=Bearer {TOKEN}\1\1".encode()


def xoauth2(_, user="ann"):
    return f"user={user}\1auth=Bearer {TOKEN}\1\1".encode()


MECHANISMS = [("OAUTHBEARER", BOTH, bearer, b"\1"), ("XOAUTH2", XOAUTH2, xoauth2, b"")]


@every_command
@pytest.mark.parametrize(("name", "capabilities", "message", "answer"), MECHANISMS, ids=["bearer", "xoauth2"])
@pytest.mark.parametrize("at_once", [True, False], ids=["SASL-IR", "later"])
def test_the_octets_and_a_refusal(tmp_path, command, name, capabilities, message, answer, at_once):
    """The server says why, wants an answer to that, and says NO: one sentence, and exit status 1."""
    heard = []

    def script(talk):
        offered = capabilities if at_once else capabilities.replace(" SASL-IR", "")
        talk.say(f"* OK [CAPABILITY {offered}] hi")
        tag, rest = talk.command()
        verb, mechanism, *first = rest.split(" ")
        if not at_once:
            talk.say("+ ")
            first = [talk.line()]
        heard.append((verb, mechanism, base64.b64decode(first[0], validate=True)))
        talk.say("+ " + base64.b64encode(b'{"status":"invalid_token"}').decode())
        heard.append(base64.b64decode(talk.line(), validate=True))
        talk.say(f"{tag} NO [AUTHENTICATIONFAILED] the token has expired")
        talk.until_closed()

    with fake(script) as server:
        url = f"imap://ann@127.0.0.1:{server.port}/"
        said = ended(commands(url, tmp_path / "m")[command], secret=TOKEN, status=1)
    assert heard == [("AUTHENTICATE", name, message(server.port)), answer]
    assert said.strip().rstrip(".") == "modseq: the server refuses the login: the token has expired"


def refusing(heard):
    """Return a script that notes the one message of XOAUTH2, and refuses it."""

    def script(talk):
        talk.say(f"* OK [CAPABILITY {XOAUTH2}] hi")
        tag, rest = talk.command()
        heard.append(base64.b64decode(rest.split(" ")[2]))
        talk.say(f"{tag} NO no")
        talk.until_closed()

    return script


@pytest.mark.parametrize(
    ("stdin", "secret"),
    [(f"{TOKEN}\n", None), (f"{TOKEN}\r\n", "not this one"), (TOKEN, None), ("", TOKEN)],
    ids=["a line", "CRLF, and the variable too", "no line end", "the variable"],
)
def test_where_the_token_comes_from(tmp_path, stdin, secret):
    heard = []

    def script(talk):
        talk.say(f"* OK [CAPABILITY {XOAUTH2}] hi")
        tag, rest = talk.command()
        heard.append(base64.b64decode(rest.split(" ")[2]))
        talk.say("* BYE enough", f"{tag} OK done")

    with fake(script) as server:
        url = f"imap://a%3Db@127.0.0.1:{server.port}/"
        words = [*commands(url, tmp_path / "m")["mirror"], *(["--password-stdin"] if stdin else [])]
        assert "enough" in ended(words, stdin=stdin, secret=secret, status=1)
    assert heard == [xoauth2(0, "a=b")]


def test_from_a_file(tmp_path):
    """As the pages show it: `--password-stdin < FILE`."""
    heard = []
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    with fake(refusing(heard)) as server, path.open("rb") as file:
        words = commands(f"imap://ann@127.0.0.1:{server.port}/", tmp_path / "m")["mirror"]
        done = subprocess.run(
            [sys.executable, "-m", "modseq", *map(str, words), "--password-stdin"],
            stdin=file,
            capture_output=True,
            text=True,
            timeout=60,
            env={name: value for name, value in os.environ.items() if name != "MODSEQ_PASSWORD"},
        )
    assert heard == [xoauth2(0)]
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "modseq: the server refuses the login: no\n",
    )


# --- what is refused before anything is sent ---------------------------------------------------------


def nothing_is_sent(talk):
    talk.say(f"* OK [CAPABILITY {BOTH}] hi")
    assert not talk.file.read()


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"\n", "modseq: the token is empty\n"),
        (b"to ken\n", "modseq: the token has characters that no token has\n"),
        (b"to\x01ken\n", "modseq: the token has characters that no token has\n"),
        ("töken\n".encode(), "modseq: the token has characters that no token has\n"),
        (b"t\xffken\n", "modseq: the token has characters that no token has\n"),
        (b"x" * 70_000, "modseq: the token is longer than 65,536 octets\n"),
    ],
    ids=["empty", "a space", "a control character", "no ASCII", "no text", "endless"],
)
def test_what_is_no_token(tmp_path, stdin, sentence):
    words = commands("imap://ann@127.0.0.1:9/", tmp_path / "m")["mirror"]
    assert ended_raw([*words, "--password-stdin"], stdin) == sentence


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"\n", "modseq: the password is empty\n"),
        (b"pass\0word\n", "modseq: the password has a NUL in it\n"),
        (b"t\xffken\n", "modseq: the password is no UTF-8\n"),
        (b"x" * 70_000, "modseq: the password is longer than 65,536 octets\n"),
    ],
    ids=["empty", "NUL", "no text", "endless"],
)
def test_what_is_no_password(tmp_path, stdin, sentence):
    words = commands("imap://ann@127.0.0.1:9/", tmp_path / "m")["mirror"][:-1]
    assert ended_raw([*words, "--password-stdin"], stdin) == sentence


def ended_raw(words, stdin):
    done = CliRunner().invoke(
        program, [str(word) for word in words], input=stdin, env={"MODSEQ_PASSWORD": None}
    )
    assert done.exit_code == 1, (done.output, done.exception)
    assert not done.stdout
    return done.stderr


def test_a_token_of_many_octets_is_sent_whole(tmp_path):
    """Those of some providers have more than ten thousand."""
    heard = []
    with fake(refusing(heard)) as server:
        words = commands(f"imap://ann@127.0.0.1:{server.port}/", tmp_path / "m")["mirror"]
        ended([*words, "--password-stdin"], stdin="x" * 20_000 + "\n", status=1)
    assert heard == [b"user=ann\1auth=Bearer " + b"x" * 20_000 + b"\1\1"]


@every_command
def test_no_token_at_all_is_wrong_usage(tmp_path, command):
    said = ended(commands("imap://ann@127.0.0.1:9/", tmp_path / "m")[command], status=2)
    assert "No token: use --password-stdin, or set MODSEQ_PASSWORD." in said


@every_command
def test_a_server_that_takes_no_tokens_gets_none(tmp_path, command):
    with serving() as server:
        host, port = server.address
        said = ended(
            commands(f"imap://alice@{host}:{port}/", tmp_path / "m")[command], secret=TOKEN, status=1
        )
    assert "OAUTHBEARER" in said
    assert "XOAUTH2" in said
    assert len(said.splitlines()) == 1


# --- with a real server ------------------------------------------------------------------------------


_OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={keys}/
username_attribute = sub
"""
_MORE = """
auth_mechanisms = plain login {mechanisms}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = {mechanisms}
  args = {settings}
}}
"""


@pytest.fixture(scope="module", params=["oauthbearer xoauth2", "xoauth2"])
def token_url(request, tmp_path_factory):
    """The address of a Dovecot that verifies tokens by their signature."""
    # Not below pytest's folder: Dovecot reads the key as another user.
    place = Path(tempfile.mkdtemp(prefix="tokens-"))
    place.chmod(0o755)
    try:
        for above in ("", "shared/"):
            key = place / "keys" / f"{above}default" / "HS256" / "default"
            key.parent.mkdir(parents=True)
            key.write_bytes(base64.b64encode(KEY))
        settings = place / "oauth2.conf"
        settings.write_text(_OAUTH2.format(keys=place / "keys"))
        more = _MORE.format(mechanisms=request.param, settings=settings)
        with dovecot(tmp_path_factory.mktemp("dovecot"), more=more) as server:
            url = f"imap://ann@127.0.0.1:{server.port}/"
            with connect(f"imap+insecure://ann@127.0.0.1:{server.port}", token=token_for("ann")) as client:
                offered = sorted(each for each in client.capabilities if each.startswith("AUTH="))
                assert not offered, "after the login nobody needs them"
                if not client.list("Done"):
                    client.create("Done")
            yield url
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_mirror_and_work_with_a_real_server(token_url, tmp_path):
    """A message goes in by the library, is copied by the mirror and worked on by a worker, all with tokens."""
    token, file, out = token_for("ann"), tmp_path / "m.sqlite", tmp_path / "out"
    with connect(token_url.replace("imap:", "imap+insecure:"), token=token) as client:
        uid = client.append("INBOX", b"Subject: by token\r\n\r\nHello.\r\n").uid
    said = ended(["mirror", token_url, "--to", file, "--bodies", "all", "--oauth"], secret=token)
    assert "INBOX: 1 new, 0 changed, 0 gone\n" in said
    said = ended(["mirror", "fetch", file, "INBOX", uid, "--oauth", "--password-stdin"], stdin=f"{token}\n")
    assert said == "Fetched 0 bodies.\n"
    ended(["mirror", "flag", file, "INBOX", uid, "--add", "\\Flagged"])
    assert "pushed: " in ended(["mirror", "push", file, "--oauth"], secret=token)
    run = f'cat > {out}; test -z "$MODSEQ_PASSWORD"'
    words = ["work", f"{token_url}INBOX", "--run", run, "--once", "--oauth", "--password-stdin"]
    assert "1 done" in ended(words, stdin=token)
    assert b"Subject: by token" in out.read_bytes()
    said = ended(["work", "status", f"{token_url}INBOX", "--oauth"], secret=token)
    assert dict(line.rsplit(maxsplit=1) for line in said.splitlines())["done"] == "1"


@every_command
@pytest.mark.parametrize("why", ["expired", "of somebody else", "no token"])
def test_a_real_server_refuses(token_url, tmp_path, command, why):
    token = {
        "expired": token_for("ann", seconds=-60),
        "of somebody else": token_for("ben"),
        "no token": "frobnicate",
    }[why]
    words = commands(token_url, tmp_path / "m")[command]
    said = ended(words, secret=token, status=1)
    assert said.strip().rstrip(".") == "modseq: the server refuses the login: Authentication failed"


def test_watching_ends_where_the_token_is_refused(token_url, tmp_path):
    """It would be refused for ever: trying again would mend nothing."""
    words = [*commands(token_url, tmp_path / "m")["mirror"], "--watch"]
    said = ended(words, secret=token_for("ann", seconds=-60), status=1)
    assert "the server refuses the login" in said
