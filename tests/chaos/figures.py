"""How large and how fast the world of `make chaos` is.

Every threshold is scaled by configuration, so that each rule is met many times in a few minutes.
"""

from __future__ import annotations

AGENTS = 200
SERVERS_SHARE = 0.4
BROKEN = 8
"""Laptops whose backups fail after the first: awake, in sight, and stale."""
FLIPPED = 12
"""Hosts whose mode an operator changes all the time."""

HEARTBEAT_SECONDS = 2.0
OFFLINE_SECONDS = 8.0
FLOOR_SECONDS = 14.0
STALE_SECONDS = 75.0
SETTLE_SECONDS = 3.0
AUTONOMY_SECONDS = 10.0

SETTINGS = {
    "DORMICE_HEARTBEAT_INTERVAL": f"{HEARTBEAT_SECONDS:g}s",
    "DORMICE_OFFLINE_AFTER": f"{OFFLINE_SECONDS:g}s",
    "DORMICE_AGENT_OFFLINE_FLOOR": f"{FLOOR_SECONDS:g}s",
    "DORMICE_STALE_AFTER": f"{STALE_SECONDS:g}s",
    "DORMICE_CATCHUP_SETTLE": f"{SETTLE_SECONDS:g}s",
    "DORMICE_PENDING_RETRY": "1s",
    "DORMICE_PENDING_RETRY_CAP": "5s",
    "DORMICE_ALLOW_TARGETS": "127.0.0.0/8",
    "DORMICE_ADMIN_PASSWORD": "chaos-chaos-chaos",
}

MINUTES = 4.0
START_SECONDS = 180.0
CALM_SECONDS = 110.0
"""How long everything may take, after the last fault, to be as the rules want it."""
DRAIN_SECONDS = 240.0
"""How long everything may take to be ready and to have said what was decided. It takes seconds,
unless the machine does something else."""
AGREEMENT_SECONDS = 5.0
"""For how long it must stay so."""
TROUBLE_SHARE = 0.55
"""The part of the whole time in which faults happen, in the default run."""
