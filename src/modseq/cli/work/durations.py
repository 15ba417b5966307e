"""Durations as people write them: 90, 30s, 5m, 2h, 1d."""

from __future__ import annotations

import re
from typing import Any

import click

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType[float]):
    """A number of seconds, minutes, hours or days."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no duration: 90, 30s, 5m, 2h and 1d are some.", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]
