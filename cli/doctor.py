"""`dormice doctor`: looks at this machine and a running `up`; each finding says how to mend it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor_finding import Finding
from cli.terminal import look_at, to_ascii
from libs.common.errors import DormiceError, SettingsError

LEAST_FREE = 500 * 2**20
LOW_FREE = 2 * 2**30
RESTIC_SECONDS = 10
SHAPES = {"ok": "✓", "warn": "▲", "fail": "×"}
ASCII = {"ok": "+", "warn": "A", "fail": "x"}
SERVER = "pip install 'dormice[server]'"


def examine(data: Path | None, config: Path | None) -> list[Finding]:
    """Look at everything, in the order in which faults should be mended."""
    from cli.doctor_up import look_at_up

    folder = data or Path(os.environ.get("DORMICE_DATA") or "dormice-data")
    looks: list[Callable[[], Iterator[Finding]]] = [
        _versions,
        lambda: _settings(data, config),
        lambda: _directory(folder),
        lambda: _disk(folder),
        _programs,
        lambda: look_at_up(folder, data, config),
    ]
    return [finding for look in looks for finding in _safely(look)]


def _safely(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except DormiceError as error:
        yield Finding("dormice", "fail", error.message)
    except ModuleNotFoundError as error:
        yield Finding("server", "warn", f"{error.name} is missing: this machine cannot run `up`",
                      SERVER)  # fmt: skip


def _versions() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    try:
        own = version("dormice")
    except PackageNotFoundError:
        own = "from its source"
    yield Finding("version", "ok", f"dormice {own}, Python {found}")


def _settings(data: Path | None, config: Path | None) -> Iterator[Finding]:
    from cli.client import ClientSettings
    from cli.up import check_settings

    try:
        ClientSettings.load(config, data=data)
        wrong = check_settings(data, config)
    except SettingsError as error:
        wrong = [error.message]
    if not wrong:
        yield Finding("settings", "ok", "every DORMICE_ setting can be read")
    for fault in wrong:
        yield Finding("settings", "fail", fault, "change or unset it")


def _directory(folder: Path) -> Iterator[Finding]:
    present = folder if folder.exists() else folder.resolve().parent
    if not os.access(present, os.W_OK | os.X_OK):
        yield Finding("data", "fail", f"cannot write in {present}",
                      f"chown it to {_user()}, or say --data")  # fmt: skip
        return
    if not folder.exists():
        yield Finding("data", "ok", f"{folder} is made by the first `dormice up`")
        return
    yield Finding("data", "ok", f"{folder} can be written")
    for name in ("admin-token", "registry.key", "nats/passwords.json"):
        path = folder / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding("data", "warn", f"others can read {path}", f"chmod 600 {path}")


def _user() -> str:
    return os.environ.get("USER") or f"uid {os.getuid()}"


def _disk(folder: Path) -> Iterator[Finding]:
    place = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GiB free at {place}"
    mend = "make room, or put --data elsewhere"
    if free < LEAST_FREE:
        yield Finding("disk", "fail", text, mend)
    else:
        yield Finding("disk", "warn" if free < LOW_FREE else "ok", text,
                      mend if free < LOW_FREE else "")  # fmt: skip


def _programs() -> Iterator[Finding]:
    yield _restic()
    from libs.common.bus.embedded import BusNotStarted, find_server_binary

    try:
        yield Finding("nats-server", "ok", find_server_binary())
    except BusNotStarted:
        yield Finding("nats-server", "fail", "there is none", SERVER)


def _restic() -> Finding:
    """Only hosts need it, so that it is missing here is no fault of a server."""
    path = shutil.which("restic")
    if path is None:
        return Finding("restic", "warn", "not installed: this machine cannot be backed up",
                       "apt install restic")  # fmt: skip
    try:
        said = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=RESTIC_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("restic", "fail", f"{path} does not run: {error}", "install it again")
    return Finding("restic", "ok", " ".join(said.split()[:2]) or path)


def print_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Print a line each, how to mend it below, and a summary."""
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=2))
        return
    terminal = look_at()
    shapes = SHAPES if terminal.unicode else ASCII
    for one in findings:
        line = f"  {shapes[one.state]} {one.state:<4}  {one.what:<12} {one.text}"
        print(line if terminal.unicode else to_ascii(line))
        if one.mend:
            print(f"          {'':<12} mend: {one.mend}")
    failed = sum(one.state == "fail" for one in findings)
    warned = sum(one.state == "warn" for one in findings)
    print(f"{len(findings)} checks: {failed} failed, {warned} warned")
