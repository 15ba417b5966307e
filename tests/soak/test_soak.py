"""A soak of some seconds, and proof that what grows is noticed. `make soak` runs longer."""

import random
import subprocess
import sys

import pytest

import wire_server
from soak.growth import SAMPLES_MIN, Bound, grows
from soak.run import soak
from wire_server import Running

BOUND = Bound(4.0, 0.03)
LEAKY = """
import os

from modseq.server import dispatch

kept, run = [], dispatch.run


async def leaking(session, parts):
    kept.append((bytearray(30_000), os.dup(0)))
    await run(session, parts)


dispatch.run = leaking

from modseq.cli.main import main

main()
"""


def noisy(picks, count, rise=0.0):
    return [50 + rise * number / count + picks.gauss(0, 2) for number in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_what_goes_up_and_down_does_not_grow(seed):
    picks = random.Random(seed)
    assert not grows(noisy(picks, 100), BOUND)
    assert not grows([picks.choice((40, 60)) for _ in range(100)], BOUND)
    assert not grows([30 + min(20, number) for number in range(100)], BOUND), "a warm-up"
    assert not grows([50.0] * 99 + [500.0], BOUND), "one outlier"


@pytest.mark.parametrize("seed", range(20))
def test_what_rises_steadily_grows(seed):
    picks = random.Random(seed)
    assert grows(noisy(picks, 100, rise=20), BOUND)
    assert grows([number // 7 for number in range(300)], Bound(8))


def test_few_samples_tell_nothing():
    assert grows([1, 2, 3], BOUND) is None
    assert grows(list(range(SAMPLES_MIN)), BOUND) is None


def test_clients_of_every_kind_find_nothing_wrong(tmp_path):
    report = soak(tmp_path, 5, every=0.5)
    assert report.samples >= 3
    assert report.rounds == 1
    assert report.stop_status == 0
    assert "Traceback" not in report.log, report.log
    assert "worker 2 memory MB" in report.table


def test_a_server_that_leaks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(wire_server, "_MODSEQ_SMALL", (sys.executable, "-c", LEAKY))
    server = Running(tmp_path, small=True)
    monkeypatch.undo()
    report = soak(tmp_path, 5, every=0.02, server=server)
    assert {"worker 1 memory MB", "worker 1 descriptors"} <= set(report.growing), report.table


def test_the_program_tells_how_it_is_used():
    told = subprocess.run(
        [sys.executable, "-m", "soak.run", "--help"], cwd="tests", capture_output=True, text=True
    )
    assert told.returncode == 0
    assert "--seconds" in told.stdout
