"""How the agent is started with the machine: a systemd unit, a launchd plist, a Windows task.

Pure: texts and where they belong. The unit is hardened as far as a backup program can be: it must
read every file, restore any, and run the hooks that its operator writes. A hook that needs more
gets it by a drop-in (`systemctl edit dormice-agent`).
"""

from __future__ import annotations

import plistlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

UNIT = "dormice-agent.service"
LABEL = "io.dormice.agent"
STOP_SECONDS = 20

_UNIT = """\
# Written by `dormice agent install`. Changes of yours: systemctl {scope}edit dormice-agent
[Unit]
Description=Dormice backup agent
Documentation=man:restic(1)
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={command}
WorkingDirectory=/
Restart=always
RestartSec=5
# The agent ends a running restic itself, so that it leaves no lock.
KillMode=mixed
TimeoutStopSec={stop_seconds}
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
UMask=0077
{hardening}
[Install]
WantedBy={target}
"""

_HARDENING = """
NoNewPrivileges=yes
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service mknod mknodat
SystemCallErrorNumber=EPERM
# To read all, to restore owners and modes, and for hooks that change to another user.
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_FSETID
CapabilityBoundingSet=CAP_SETFCAP CAP_SETUID CAP_SETGID CAP_MKNOD CAP_KILL
"""

_HARDENING_OF_USER = """
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be written where (None: nothing, it is a command to type), and what follows."""

    path: Path | None
    text: str
    steps: tuple[str, ...]


def installation(system: str, command: Sequence[str], *, home: Path | None) -> Installation:
    """Return how the agent is started by `system`: linux, darwin or windows.

    `home`: for that user alone; None: for the whole machine.
    """
    if system == "windows":
        return _task(command)
    return _plist(command, home) if system == "darwin" else _unit(command, home)


def _unit(command: Sequence[str], home: Path | None) -> Installation:
    scope = "" if home is None else "--user "
    text = _UNIT.format(
        scope=scope,
        command=" ".join(map(_quoted, command)),
        stop_seconds=STOP_SECONDS,
        hardening=_HARDENING if home is None else _HARDENING_OF_USER,
        target="multi-user.target" if home is None else "default.target",
    )
    steps = [
        f"systemctl {scope}daemon-reload",
        f"systemctl {scope}enable --now dormice-agent",
    ]
    if home is None:
        return Installation(Path("/etc/systemd/system") / UNIT, text, tuple(steps))
    steps.append("loginctl enable-linger   # Without it the agent ends when you log out.")
    return Installation(home / ".config/systemd/user" / UNIT, text, tuple(steps))


def _quoted(word: str) -> str:
    """Return one word of an ExecStart: quoted, and no specifier or variable in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = escaped == word and not set(word) & set(" \t'")
    return word if plain else f'"{escaped}"'


def _plist(command: Sequence[str], home: Path | None) -> Installation:
    job = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "WorkingDirectory": "/",
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 5,
        "ExitTimeOut": STOP_SECONDS,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "Umask": 0o077,
    }
    folder = Path("/Library/LaunchDaemons") if home is None else home / "Library/LaunchAgents"
    path = folder / f"{LABEL}.plist"
    domain = "system" if home is None else "gui/$(id -u)"
    step = f"launchctl bootstrap {domain} {_shell_word(path)}"
    return Installation(path, plistlib.dumps(job).decode(), (step,))


def _shell_word(path: PurePath) -> str:
    text = str(path)
    return text if text.replace("/", "").replace(".", "").isalnum() else f"'{text}'"


def _task(command: Sequence[str]) -> Installation:
    """A task cannot be written as a file: it is a command for an administrator to type."""
    create = [
        "schtasks", "/Create", "/TN", "Dormice agent", "/SC", "ONSTART", "/RU", "SYSTEM",
        "/RL", "HIGHEST", "/F", "/TR", subprocess.list2cmdline(command),
    ]  # fmt: skip
    text = subprocess.list2cmdline(create) + "\n"
    return Installation(None, text, ('schtasks /Run /TN "Dormice agent"',))
