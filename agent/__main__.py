"""`python -m agent …`: the agent without the rest of the command line.

`run` is always there, so it is kept small: neither Typer, nor what structlog would load for
tracebacks in colour and for threads that are none, nor the registry of Windows where there is none,
nor all of HTTP for a proxy that is not there.
"""

from __future__ import annotations

import sys

NEVER = ("rich", "greenlet", *(() if sys.platform == "win32" else ("dateutil.tz.win",)))
LATE = ("urllib.request",)


def keep_small() -> None:
    """Leave modules out, or load them when they are asked for something."""
    from importlib.util import LazyLoader, find_spec, module_from_spec

    for name in NEVER:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in LATE:
        spec = find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = LazyLoader(spec.loader)
        package, _, last = name.rpartition(".")
        module = sys.modules[name] = module_from_spec(spec)
        setattr(sys.modules[package], last, module)
        spec.loader.exec_module(module)


if __name__ == "__main__" and sys.argv[1:2] == ["run"]:
    keep_small()
    from agent.daemon import main

    sys.exit(main(sys.argv[2:]))
if __name__ == "__main__":
    from agent.commands import app

    app()
