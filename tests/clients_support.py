"""Real clients against a real server: what is missing is installed where that is allowed, else skipped."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "correct horse"


def need(program: str, package: str) -> str:
    """Return the path of a client, installing its Debian package if this machine lets us."""
    found = shutil.which(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
            subprocess.run(step, check=False, env=environment, capture_output=True, timeout=300)
        found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian package {package}) and cannot be installed here")
    return found


@dataclass
class Served:
    """A running server with users ann and ben."""

    host: str
    port: int
    data: Path

    def modseq(self, *words: object, stdin: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "modseq", *map(str, words)],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
