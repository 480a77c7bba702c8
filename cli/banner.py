"""What `dormice up` says when it is ready: one line per listener."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from libs.common.clock import monotonic_seconds

if TYPE_CHECKING:
    from cli.system import System
    from cli.up import Up


def print_banner(up: Up, system: System) -> None:
    """Print where everything is, and the next step."""
    seconds = monotonic_seconds() - up.started
    bus = up.server.url if up.server else (up.bus_settings.nats_url or "")
    print(f"dormice {version('dormice')} · data {up.data} · ready in {seconds:.1f} s", flush=True)
    print(f"  web     {up.urls['ui']}   {_first_time(system)}")
    print(f"  agents  {up.urls['gateway']}   add a host: dormice enroll-token, or the page")
    print(f"  bus     {bus}   alerts for other systems: dormice bus-url reader", flush=True)


def _first_time(system: System) -> str:
    ui: Any = system.services["ui"]
    if ui.setup_code is None:
        return "sign in there"
    return (
        f"first time: open /setup and type {ui.setup_code} "
        "(30 min, once; again: dormice setup-code)"
    )
