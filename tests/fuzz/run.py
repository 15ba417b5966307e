"""
Fuzz with atheris, which is led by the lines that an input reaches.

    python -m fuzz.run --seconds 60 [TARGET ...]     each target for so long; all by default
    python -m fuzz.run --repeat FILE TARGET          one input again, with its traceback

Inputs that reached something new are kept (--corpus) and begin the next run; one that breaks a target is
written beside them as crash-..., and the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

INPUT_BYTES_MAX = 8_192
INPUT_SECONDS_MAX = 10
MEMORY_MEGABYTES_MAX = 2_000
NAMES = (
    "command_stream",
    "lmtp_stream",
    "response_stream",
    "mime_scan",
    "sequence_set",
    "utf7",
    "mbox_import",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.run", description="Fuzz the targets of fuzz.targets."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="where inputs are kept")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run this one input")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in options.targets:
        if name not in NAMES:
            parser.error(f"there is no target {name}; there are {', '.join(NAMES)}")
    if options.repeat is not None:
        if len(options.targets) != 1:
            parser.error("--repeat takes one target")
        _repeat(options.targets[0], options.repeat)
        return 0
    if options.within:
        _fuzz(options.targets[0], options.seconds, options.corpus)
    return _fuzz_each(options.targets or NAMES, options.seconds, options.corpus)


def _repeat(name: str, file: Path) -> None:
    from fuzz.targets import TARGETS

    TARGETS[name](file.read_bytes())
    print(f"{name} stands this input.")


def _fuzz_each(names: tuple[str, ...] | list[str], seconds: int, corpus: Path) -> int:
    """Run each target in a process of its own: libFuzzer ends the process it runs in."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed: tools/setup fuzz", file=sys.stderr)
        return 2
    broken = []
    for name in names:
        print(f"== {name}, {seconds} s", flush=True)
        command = [sys.executable, "-m", "fuzz.run", "--within", name]
        command += ["--seconds", str(seconds), "--corpus", str(corpus)]
        if subprocess.run(command).returncode:
            broken.append(name)
    for name in broken:
        print(
            f"{name} broke: python -m fuzz.run --repeat {corpus}/{name}/crash-... {name}   (or timeout-..., oom-...)"
        )
    return 1 if broken else 0


def _fuzz(name: str, seconds: int, corpus: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["modseq"]):
        from fuzz.seeds import seeds, words
        from fuzz.targets import TARGETS

    kept = corpus / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        begin = Path(place) / "seeds"
        begin.mkdir()
        for seed in seeds(name):
            (begin / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
        dictionary = Path(place) / "words"
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words()))
        atheris.Setup(
            [
                f"fuzz {name}",
                f"-max_total_time={seconds}",
                f"-max_len={INPUT_BYTES_MAX}",
                f"-timeout={INPUT_SECONDS_MAX}",
                f"-rss_limit_mb={MEMORY_MEGABYTES_MAX}",
                f"-dict={dictionary}",
                f"-artifact_prefix={kept}/",
                "-print_final_stats=1",
                "-verbosity=1",
                str(kept),
                str(begin),
            ],
            TARGETS[name],
        )
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(
        chr(octet) if 32 < octet < 127 and octet not in b'"\\' else f"\\x{octet:02x}" for octet in word
    )


if __name__ == "__main__":
    sys.exit(main())
