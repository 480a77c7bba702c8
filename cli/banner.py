"""What `dormice up` says when it is ready: one line per listener."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.common.clock import monotonic_seconds

if TYPE_CHECKING:
    from cli.system import System
    from cli.up import Up


def print_banner(up: Up, system: System) -> None:
    """Print where everything is, and the next step."""
    seconds = monotonic_seconds() - up.started
    bus = up.server.url if up.server else _without_secret(up.bus_settings.nats_url or "")
    data = _shown(up.settings.data)
    print(f"dormice {version('dormice')} · data {data} · ready in {seconds:.1f} s", flush=True)
    print(f"  web     {up.urls['ui']}   {_first_time(system)}")
    print(f"  agents  {up.urls['gateway']}   add a host: dormice enroll-token, or the page")
    print(f"  bus     {bus}   alerts for other systems: dormice bus-url reader", flush=True)


def _shown(folder: Path) -> str:
    """As it was said; a bare name with `./` before it."""
    return f"./{folder}" if len(folder.parts) == 1 and not folder.is_absolute() else str(folder)


def _without_secret(url: str) -> str:
    """Return the addresses without the user and password that may stand in them."""
    return ",".join(re.sub(r"//[^/]*@", "//", one) for one in url.split(","))


def _first_time(system: System) -> str:
    ui: Any = system.services["ui"]
    if ui.setup_code is None:
        return "sign in there"
    return (
        f"first time: open /setup and type {ui.setup_code} "
        "(30 min, once; again: dormice setup-code)"
    )
