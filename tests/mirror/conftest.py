"""Mirrors for tests: every one of them is checked for defects when its test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modseq.mirror.replica import Replica


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    with Replica(tmp_path / "mirror.sqlite", create=True) as replica:
        yield replica
        assert replica.check() == []
