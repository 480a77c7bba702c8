"""`python -m agent …`: the agent without the rest of the command line.

`run` is always there, so it is kept small: neither Typer, nor rich, which structlog would load
with all that it needs for tracebacks in colour.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and sys.argv[1:2] == ["run"]:
    sys.modules["rich"] = None  # type: ignore[assignment]
    from agent.daemon import main

    sys.exit(main(sys.argv[2:]))
if __name__ == "__main__":
    from agent.commands import app

    app()
