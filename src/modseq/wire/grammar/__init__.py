"""The rules of each family of commands: parse and encode side by side, one module a family.

Each module offers `RULES`: from the name as it stands in a command, in capitals and with `UID ` before
it where that is legal, to the function that reads what follows. A function gets a Parser just behind
the name and returns the command's arguments; it does not look for the end of the command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from modseq.wire.abnf import Parser
from modseq.wire.values import Args

Rule: TypeAlias = Callable[[Parser], Args] | None
"""None stands for a command without arguments."""
