"""
Run histories until something breaks, or one again by its seed.

    python -m sim.run --histories 2000          as many seeds, from 0 on
    python -m sim.run --seconds 600             for so long
    python -m sim.run --seed 4711               the history of one seed, with its traceback
    python -m sim.run --seed 4711 --weather power --short

A seed decides everything: who does what, what goes wrong, and in which order it all happens.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from collections import Counter

from sim.history import WEATHERS, HistoryFailed, ground, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sim.run", description="Simulate servers, disks and networks."
    )
    parser.add_argument("--seed", help="repeat the history of this seed")
    parser.add_argument(
        "--from", dest="first", type=int, default=0, metavar="SEED", help="begin with this seed"
    )
    parser.add_argument("--histories", type=int, default=0, help="how many; 0 for no end")
    parser.add_argument("--seconds", type=float, default=0.0, help="for how long; 0 for no end")
    parser.add_argument("--weather", choices=WEATHERS, help="what goes wrong; by default the seed decides")
    parser.add_argument("--short", action="store_true", help="short histories, as in the tests")
    options = parser.parse_args()
    with ground() as place:
        if options.seed is not None:
            outcome = run(options.seed, place, kind=options.weather, is_short=options.short)
            print(
                f"seed {options.seed}: {outcome.weather}, {outcome.steps} steps, trace {outcome.trace:016x}"
            )
            return 0
        if not options.histories and not options.seconds:
            options.histories = 1_000
        return _search(options, place)


def _search(options: argparse.Namespace, place) -> int:
    seen: Counter[str] = Counter()
    weathers: Counter[str] = Counter()
    begun = told = time.monotonic()
    steps = count = 0
    for seed in itertools.count(options.first):
        now = time.monotonic()
        if options.histories and count >= options.histories:
            break
        if options.seconds and now - begun >= options.seconds:
            break
        if now - told > 10:
            told = now
            print(f"{count} histories, {steps} steps", flush=True)
        try:
            outcome = run(seed, place, kind=options.weather, is_short=options.short)
        except HistoryFailed:
            traceback.print_exc()
            how = f" --weather {options.weather}" if options.weather else ""
            how += " --short" if options.short else ""
            print(f"\nAgain: PYTHONPATH=tests python -m sim.run --seed {seed}{how}", file=sys.stderr)
            return 1
        count += 1
        steps += outcome.steps
        seen.update(outcome.seen)
        weathers[outcome.weather] += 1
    print(f"{count} histories, {steps} steps, {time.monotonic() - begun:.0f} s; nothing broke.")
    print("weather: " + ", ".join(f"{name} {many}" for name, many in weathers.most_common()))
    print("met: " + ", ".join(f"{name} {many}" for name, many in seen.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
