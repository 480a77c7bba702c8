"""Logs: structlog, one line an event, JSON for machines and plain lines for a terminal.

Secrets never reach a line: values under telling keys and passwords in URLs are cut out of every
record, also of those that libraries write through the standard `logging`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from libs.common.errors import SettingsError

Form = Literal["auto", "json", "console"]
REDACTED = "***"
FILE_BYTES = 5 * 1024 * 1024
QUIET_LIBRARIES = ("httpx", "httpcore", "websockets", "asyncio", "nats")

_TELLING = re.compile(
    r"passw(or)?d|passphrase|token|secret|authori[sz]ation|credential|api_?key|cookie",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_BEARER = re.compile(r"(bearer\s+)[\w.~+/=-]+", re.IGNORECASE)


class _LogFile(RotatingFileHandler):
    """A disk that is full takes no line; whoever looks at the terminal has it all the same."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  Its name in logging.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


def configure(*, level: str = "info", form: Form = "auto", file: Path | None = None) -> None:
    """Send all logs to stderr and, as JSON lines, to `file` (rotated at 5 MiB, one old one kept).

    Raises:
        SettingsError: there is no such level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise SettingsError(f"{level[:32]!r} is no log level; use debug, info, warning or error")
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(_formatter(as_json=as_json))
    if file is not None:
        handlers.append(_LogFile(file, maxBytes=FILE_BYTES, backupCount=1, delay=True))
        handlers[1].setFormatter(_formatter(as_json=True))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(number)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose lines carry `name` (the service) as `logger`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Cut secrets out of a record: whatever stands under a telling key, and passwords in URLs."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _cleaned(key: str, value: Any) -> Any:
    if _TELLING.search(key) and value is not None and not isinstance(value, bool):
        return REDACTED
    if isinstance(value, str):
        return _BEARER.sub(rf"\1{REDACTED}", _URL_PASSWORD.sub(rf"\1{REDACTED}@", value))
    if isinstance(value, Mapping):
        return {inner: _cleaned(str(inner), held) for inner, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned("", held) for held in value]
    return value


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _formatter(*, as_json: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _drop_internals,
            redact,
            renderer,
        ],
    )


def _drop_internals(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if not key.startswith("_")}
