"""What holds for all tests: how long properties are tried, what Ctrl-C does, that the many
processes of tests compile the code once, as on a user's machine, which files come first, and that
no test decides where the logs of the next go."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.effort import load_profile

load_profile()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A worker of several ignores it, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROCESSORS = [
    *structlog.get_config()["processors"][:-1],
    structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    ),
]  # fmt: skip
"""Of a log that nobody has configured. As structlog has it, a traceback of ten calls with all their
variables takes seconds to draw."""
structlog.configure(processors=PROCESSORS)

ROOT = Path(__file__).parent
LONG_FIRST = ("integration/system", "integration", "browser", "simulation")
"""Where single files take minutes: a worker that got one last would leave the others idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path.relative_to(ROOT).as_posix()))


def _place(path: str) -> int:
    found = (place for place, folder in enumerate(LONG_FIRST) if path.startswith(folder + "/"))
    return next(found, len(LONG_FIRST))


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs within the test's process has all logs go where it wants them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.get_config()["processors"] is not PROCESSORS:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        structlog.configure(processors=PROCESSORS)
