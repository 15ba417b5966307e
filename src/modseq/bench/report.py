"""Running workloads in turn on every server, and the table of what came out."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modseq.bench.connection import BenchFailed
from modseq.bench.ground import Ground, Sizes
from modseq.bench.peers import Peer, Start
from modseq.bench.workloads import Workload


@dataclass(slots=True)
class Row:
    """What one workload gave on each server, by the server's name; nothing where it is not offered."""

    workload: Workload
    figures: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def grounds(starts: Sequence[tuple[Path, Start]], sizes: Sizes) -> AsyncIterator[list[Ground]]:
    """Start all servers, each in a folder of its own."""
    async with AsyncExitStack() as stack:
        made = []
        for place, start in starts:
            place.mkdir(parents=True, exist_ok=True)
            ground = Ground(await stack.enter_async_context(start()), sizes)
            stack.push_async_callback(ground.close)
            made.append(ground)
        yield made


async def measure(
    places: Sequence[Ground], workloads: Sequence[Workload], runs: int, progress: Callable[[str], None]
) -> list[Row]:
    """
    Run every workload so often on every server, in turn, so that a machine that changes its pace changes it for all.

    Once more before, uncounted: what is cold then is warm after it.
    """
    rows = []
    for workload in workloads:
        row = Row(workload)
        for turn in range(runs + 1):
            for place in places:
                await _measure_once(row, place, is_counted=turn > 0)
            progress(workload.title)
        rows.append(row)
    return rows


async def _measure_once(row: Row, place: Ground, *, is_counted: bool) -> None:
    name = place.peer.name
    if name in row.failures:
        return
    try:
        figure = await row.workload.run(place)
    except (BenchFailed, OSError, TimeoutError) as error:
        row.failures[name] = str(error) or type(error).__name__
        # What it left half done must not disturb the next workload.
        await place.close()
        return
    if figure is not None and is_counted:
        row.figures.setdefault(name, []).append(figure)


def machine() -> str:
    """Return on what it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def table(rows: Sequence[Row], peers: Sequence[Peer]) -> list[str]:
    """
    Return the report as a Markdown table: medians with the lowest and highest, and how many times as good the first is.

    The ratio is the first server's figure over the other's, turned so that above 1 the first is better.
    """
    first = peers[0].name
    others = [peer.name for peer in peers[1:]]
    head = ["work", "unit", first, *[word for name in others for word in (name, f"{first} is better by")]]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row.workload.title, row.workload.unit, _cell(row, first)]
        for name in others:
            cells += [_cell(row, name), _ratio(row, first, name)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(row: Row, name: str) -> str:
    if name in row.failures:
        return f"failed: {row.failures[name]}"
    figures = row.figures.get(name)
    if not figures:
        return "not offered"
    return f"{_short(statistics.median(figures))} ({_short(min(figures))} to {_short(max(figures))})"


def _short(figure: float) -> str:
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def _ratio(row: Row, first: str, other: str) -> str:
    mine, theirs = row.figures.get(first), row.figures.get(other)
    if not mine or not theirs or first in row.failures or other in row.failures:
        return ""
    ratios = [a / b if row.workload.is_rate else b / a for a, b in zip(mine, theirs, strict=True) if a and b]
    if not ratios:
        return ""
    return f"{statistics.median(ratios):.2g} ({min(ratios):.2g} to {max(ratios):.2g})"


def as_json(rows: Sequence[Row], peers: Sequence[Peer], when: str) -> dict[str, Any]:
    """Return everything that was measured, for programs."""
    return {
        "date": when,
        "machine": machine(),
        "peers": {peer.name: peer.version for peer in peers},
        "rows": [
            {
                "name": row.workload.name,
                "title": row.workload.title,
                "unit": row.workload.unit,
                "higher_is_better": row.workload.is_rate,
                "figures": row.figures,
                "failures": row.failures,
            }
            for row in rows
        ],
    }
