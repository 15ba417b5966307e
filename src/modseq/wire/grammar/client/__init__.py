"""The client's role in the grammar: commands written, responses read, one module a family.

Each module offers what it has of

- `WRITERS`: from the type of a command's arguments to the function that writes them behind the name,
- `DATA`: from the name of an untagged response, in capitals, to the function that reads what follows,
- `CODES`: the same for response codes.

The server's role, commands read and responses written, stands beside this package under the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from modseq.wire.command_writer import CommandWriter
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import CodeValue, Response

Writer: TypeAlias = Callable[[CommandWriter, Any], object]
DataRule: TypeAlias = Callable[[ResponseParser], Response]
CodeRule: TypeAlias = Callable[[ResponseParser], CodeValue]
