"""Settings and addresses: what is accepted, and the sentence for what is not."""

import msgspec
import pytest

from modseq.server.addresses import TcpAddress, UnixAddress, bind, is_loopback, read_address
from modseq.server.settings import Settings, SettingsError, addresses, read_settings

GOOD = {"data": "/mail", "imap": ("127.0.0.1:1143",)}


def test_every_setting_is_documented():
    for field in msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"].items():
        assert field[1].get("description") or any(
            "description" in each for each in field[1].get("anyOf", ())
        ), field


def test_command_line_stands_over_the_file(tmp_path):
    file = tmp_path / "modseq.toml"
    file.write_text('data = "/a"\nimap = ["127.0.0.1:0", "unix:/run/imap"]\nworkers = 3\n')
    settings = read_settings(file, {"data": "/b", "workers": None})
    assert (settings.data, settings.workers) == ("/b", 3)
    assert addresses(settings) == [("imap", TcpAddress("127.0.0.1", 0)), ("imap", UnixAddress("/run/imap"))]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('colour = "red"', "a setting 'colour' that does not exist"),
        ("workers = 0", "workers"),
        ('workers = "many"', "workers"),
        ("imap = [", "is not TOML"),
        ('imap = ["nowhere"]', "'nowhere' is no address"),
        ('imaps = ["127.0.0.1:0"]', "imaps needs tls_cert and tls_key"),
        ('tls_cert = "x"', "tls_cert and tls_key are needed together"),
        ("idle_seconds_max = 60", "idle_seconds_max"),
        ('allow_plaintext = "sometimes"', "allow_plaintext"),
    ],
)
def test_wrong_settings_get_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "modseq.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(file, {name: value for name, value in GOOD.items() if name not in text.split()[0:1]})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["data", "imap"])
def test_what_is_needed(missing):
    with pytest.raises(SettingsError):
        read_settings(None, {name: value for name, value in GOOD.items() if name != missing})


def test_a_missing_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(tmp_path / "nothing.toml", GOOD)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:143", TcpAddress("127.0.0.1", 143)),
        ("[::1]:143", TcpAddress("::1", 143)),
        (":143", TcpAddress("", 143)),
        ("mail.example.org:0", TcpAddress("mail.example.org", 0)),
        ("unix:/run/x", UnixAddress("/run/x")),
    ],
)
def test_addresses(text, address):
    assert read_address(text) == address
    assert read_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "143", "host", "host:", "host:70000", "::1:143", "unix:", "unix:" + "x" * 200]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="is no address"):
        read_address(text)


@pytest.mark.parametrize(
    ("peer", "expected"), [("127.0.0.1", True), ("::1", True), ("local", True), ("10.0.0.1", False)]
)
def test_loopback(peer, expected):
    assert is_loopback(peer) is expected


def test_an_abandoned_unix_socket_is_replaced_and_nothing_else(tmp_path):
    path = str(tmp_path / "socket")
    bind(UnixAddress(path)).close()
    second = bind(UnixAddress(path))
    second.listen()
    with pytest.raises(OSError):
        bind(UnixAddress(path))
    second.close()
    file = tmp_path / "file"
    file.write_text("mail")
    with pytest.raises(OSError):
        bind(UnixAddress(str(file)))
    assert file.read_text() == "mail"
