"""What is logged and how it looks: lines for people, or one JSON object a line."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from typing import Literal

import msgspec

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extras(record: logging.LogRecord) -> dict[str, object]:
    """Return what a message was given beside its text: the user, the address."""
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


class TextFormatter(logging.Formatter):
    """One line for people: time, level, text, and what else is known as name=value."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"%(asctime)s [{worker}] %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Add the extras to the text."""
        extras = "".join(f" {name}={value!r}" for name, value in _extras(record).items())
        return super().formatMessage(record) + extras


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Encode a record."""
        fields: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "worker": self._worker,
            "logger": record.name,
            "text": record.getMessage(),
        }
        fields |= _extras(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields, enc_hook=str).decode()


def set_up(level: str, log_format: Literal["text", "json"], worker: str) -> None:
    """Send the log of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if log_format == "json" else TextFormatter(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
