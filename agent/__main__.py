"""`python -m agent …`: the agent without the rest of the command line.

`run` is always there, so it is kept small: neither Typer, nor what structlog would load for
tracebacks in colour and for threads that are none, nor what unpacks archives, nor the registry of
Windows where there is none.
"""

from __future__ import annotations

import sys

NEVER = ["rich", "greenlet", "bz2", "lzma"]
if sys.platform != "win32":
    NEVER.append("dateutil.tz.win")


if __name__ == "__main__" and sys.argv[1:2] == ["run"]:
    for name in NEVER:
        sys.modules[name] = None  # type: ignore[assignment]
    from agent.daemon import main

    sys.exit(main(sys.argv[2:]))
if __name__ == "__main__":
    from agent.commands import app

    app()
