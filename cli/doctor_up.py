"""What `dormice doctor` finds out about ports, and about an `up` that runs."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from cli.client import ClientSettings, local_url
from cli.doctor_finding import Finding
from libs.common.clock import SystemClock
from libs.common.errors import StoreBroken, StoreLocked
from libs.common.store.database import FileLock

ANSWER_SECONDS = 3.0
OLDEST_SANE_YEAR = 2025
CLOCK_TOLERANCE = timedelta(minutes=5)


def look_at_up(folder: Path, data: Path | None, config: Path | None) -> Iterator[Finding]:
    """Look at the running `up` if there is one, else whether one could start."""
    yield _clock(SystemClock().now())
    if is_running(folder):
        yield Finding("up", "ok", f"running on {folder}")
        yield from _readiness(local_url(ClientSettings.load(config, data=data)))
    else:
        yield Finding("up", "ok", f"not running on {folder}; start it: dormice up")
        yield from _ports(config)


def is_running(folder: Path) -> bool:
    """Say whether an `up` holds the data directory's lock."""
    if not (folder / "dormice.lock").exists():
        return False
    try:
        FileLock(folder / "dormice", wait_seconds=0).release()
    except StoreLocked:
        return True
    except StoreBroken:
        return False
    return False


def _clock(now: datetime) -> Finding:
    if now.year < OLDEST_SANE_YEAR:
        return Finding("clock", "fail", f"this machine believes it is {now:%Y-%m-%d}",
                       "set it, and run an NTP client")  # fmt: skip
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _readiness(url: str) -> Iterator[Finding]:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=ANSWER_SECONDS)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        yield Finding("ready", "fail", f"{url} does not answer: {error}",
                      "see dormice.log in the data directory")  # fmt: skip
        return
    for reason in body.get("reasons", []):
        yield Finding("ready", "fail", str(reason), "see dormice.log in the data directory")
    if answer.status_code == 200:
        yield Finding("ready", "ok", f"every service is, at {url}")
    for note in body.get("notes", []):
        yield Finding("ready", "warn", str(note))
    said = email.utils.parsedate_to_datetime(answer.headers["date"]) if (
        "date" in answer.headers) else None  # fmt: skip
    if said is not None and abs(said - SystemClock().now()) > CLOCK_TOLERANCE:
        yield Finding("clock", "warn", f"{url} has another time than this machine", "set one")


def _ports(config: Path | None) -> Iterator[Finding]:
    from cli.up import UpSettings
    from libs.common.bus.settings import BusSettings
    from services.gateway.settings import GatewaySettings
    from services.ui.settings import UiSettings

    listens = {
        "DORMICE_UI_LISTEN": UiSettings.load(config).ui_listen,
        "DORMICE_GATEWAY_LISTEN": GatewaySettings.load(config).gateway_listen,
    }
    if BusSettings.load(config).nats_url is None:
        listens["DORMICE_NATS_LISTEN"] = UpSettings.load(config).nats_listen
    for variable, listen in listens.items():
        yield _port(variable, listen)


def _port(variable: str, listen: str) -> Finding:
    from libs.common.listener import bind

    mend = f"stop what uses it, or set {variable} to another"
    try:
        bind(listen).close()
    except OSError as error:
        return Finding("port", "fail", f"{listen}: {error.strerror}", mend)
    except ValueError as error:
        return Finding("port", "fail", f"{variable}: {error}", mend)
    return Finding("port", "ok", f"{listen} is free")
