"""`dormice run init`: the secrets of a deployment with one container per service, made once.

Below the given folder each service has its own volume; each gets only its own bus password.
"""

from __future__ import annotations

from pathlib import Path

from libs.common.bus.embedded import load_passwords, write_private
from libs.common.bus.rights import USERS
from libs.common.bus.server_config import server_config

LISTEN = "0.0.0.0:4222"
MONITOR = "0.0.0.0:8222"
STORE = Path("/store")


def make_secrets(folder: Path) -> None:
    """Write the bus configuration and every service's password; what is there stays."""
    passwords = load_passwords(folder / "nats-config")
    config = server_config(passwords, LISTEN, STORE, MONITOR)
    write_private(folder / "nats-config" / "server.conf", config)
    for user in USERS:
        volume = folder / user
        if volume.is_dir():
            write_private(volume / "bus-password", passwords[user])
