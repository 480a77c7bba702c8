"""What this machine is: its name, system, zone, boot and power."""

from __future__ import annotations

import os
import platform
import socket
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from libs.common import cron
from libs.common.ids import new_id
from libs.common.protocol import PowerState

POWER_SUPPLIES = Path("/sys/class/power_supply")
_BOOT = new_id()  # Where the system has no boot id, one per process does.


def hostname() -> str:
    return socket.gethostname()[:256] or "unknown"


def system() -> str:
    """Return what PROTOCOL calls os: `linux`, `darwin`, `windows`."""
    return platform.system().lower()[:32] or "unknown"


def may_have_proxy() -> bool:
    """Say whether a dial may have to go through a proxy: elsewhere than on Linux the system may
    name one without any variable."""
    return system() != "linux" or any(name.lower().endswith("_proxy") for name in os.environ)


def architecture() -> str:
    return platform.machine()[:32] or "unknown"


@lru_cache(maxsize=1)
def agent_version() -> str:
    try:
        return metadata.version("dormice")
    except metadata.PackageNotFoundError:
        return "dev"


def boot_id() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id")) or _BOOT


def timezone() -> str:
    """Return the IANA zone of this machine, now; UTC if it has none that is known."""
    for name in (
        os.environ.get("TZ", "").lstrip(":"),
        _linked_zone(),
        _read(Path("/etc/timezone")),
    ):
        if name and _is_zone(name):
            return name
    return "UTC"


def facts() -> dict[str, str]:
    """Return what a hello says of this machine."""
    return {
        "agent_version": agent_version(),
        "hostname": hostname(),
        "os": system(),
        "arch": architecture(),
        "timezone": timezone(),
        "boot_id": boot_id(),
    }


def power(folder: Path = POWER_SUPPLIES) -> PowerState | None:
    """Return battery and charge, or None where there is no battery."""
    batteries = [each for each in _supplies(folder) if _read(each / "type") == "Battery"]
    if not batteries:
        return None
    charges = [int(text) for each in batteries if (text := _read(each / "capacity")).isdecimal()]
    on_battery = any(_read(each / "status") == "Discharging" for each in batteries)
    percent = min(sum(charges) / len(charges), 100.0) if charges else None
    return PowerState(on_battery=on_battery, percent=percent)


def _supplies(folder: Path) -> list[Path]:
    try:
        # A mouse's battery says nothing about the machine: `scope` is Device there.
        return [each for each in sorted(folder.iterdir()) if _read(each / "scope") != "Device"]
    except OSError:
        return []


def _linked_zone() -> str:
    try:
        target = str(Path("/etc/localtime").readlink())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def _is_zone(name: str) -> bool:
    try:
        cron.zone(name)
    except cron.UnknownZone:
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
