"""What holds before any test is imported: how long properties are tried, what Ctrl-C does, and that
the many processes that tests start compile the code once, as on a user's machine."""

from __future__ import annotations

import os
import signal

from tests.effort import load_profile

load_profile()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A worker of several ignores it, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
