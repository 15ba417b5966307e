"""`modseq bench` measures what it says, on this server and beside another."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from clients_support import need
from modseq.bench.peers import Peer
from modseq.bench.report import Row, table
from modseq.bench.workloads import Workload, workloads
from modseq.cli.main import program

SMALL = ("--runs", "1", "--seconds", "0.05", "--messages", "40,60,80")


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "modseq", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_every_workload_runs_on_this_server(tmp_path):
    file = tmp_path / "figures.json"
    done = bench(*SMALL, "--data", str(tmp_path), "--json", str(file))
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text())
    titles = [each.title for each in workloads((40, 60, 80))]
    assert [row["title"] for row in told["rows"]] == titles
    for row in told["rows"]:
        assert row["failures"] == {}
        assert len(row["figures"]["modseq"]) == 1, row["title"]
        assert row["title"] in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["figures.json"]


def test_dovecot_is_measured_in_turn(tmp_path):
    need("dovecot", "dovecot-imapd")
    file = tmp_path / "figures.json"
    done = bench(*SMALL, "--peer", "dovecot", "--only", "noop", "--only", "store", "--json", str(file))
    assert done.returncode == 0, done.stderr
    for row in json.loads(file.read_text())["rows"]:
        assert set(row["figures"]) == {"modseq", "dovecot"}, row
    assert "modseq is better by" in done.stdout


def test_a_server_that_is_not_there_is_told(tmp_path):
    done = bench(*SMALL, "--peer", "127.0.0.1:9", "--only", "noop")
    assert done.returncode == 0
    assert "failed: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--only", "everything"), "There is no workload everything"),
        (("--messages", "10"), "--messages wants three numbers"),
        (("--messages", "1,2,x"), "--messages wants three numbers"),
        (("--peer", "exim"), "--peer wants dovecot or HOST:PORT"),
        (("--runs", "0"), "--runs"),
    ],
)
def test_wrong_usage_is_said(arguments, sentence):
    done = CliRunner().invoke(program, ["bench", *arguments])
    assert done.exit_code == 2
    assert sentence in done.output


def test_the_table_has_medians_and_ratios_in_which_above_one_is_better():
    peers = [Peer("modseq", "1", "", 0), Peer("other", "2", "", 0)]
    rate = Row(
        Workload("a", "work a", "/s", True, None), {"modseq": [100.0, 300.0, 200.0], "other": [50.0] * 3}
    )
    time = Row(Workload("b", "work b", "ms", False, None), {"modseq": [2.0], "other": [4.0]})
    alone = Row(Workload("c", "work c", "ms", False, None), {"modseq": [2.0]}, {"other": "it broke"})
    absent = Row(Workload("d", "work d", "ms", False, None), {"modseq": [2.0]})
    assert table([rate, time, alone, absent], peers)[2:] == [
        "| work a | /s | 200 (100 to 300) | 50.0 (50.0 to 50.0) | 4 (2 to 6) |",
        "| work b | ms | 2.00 (2.00 to 2.00) | 4.00 (4.00 to 4.00) | 2 (2 to 2) |",
        "| work c | ms | 2.00 (2.00 to 2.00) | failed: it broke |  |",
        "| work d | ms | 2.00 (2.00 to 2.00) | not offered |  |",
    ]
