"""What an operator can set of the gateway."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from pydantic import field_validator, model_validator

from libs.common.addresses import Listen
from libs.common.settings import DormiceSettings, Duration

HELLO_TIMEOUT = timedelta(seconds=60)
BEAT_INTERVAL = timedelta(seconds=5)
CONFIG_RETRY = timedelta(seconds=60)
HELLOS_PER_SECOND = 2000
HELLOS_AT_ONCE = 600
"""Enough for a transaction to gather while the one before is on its way to the bus."""

LONGEST_PULSE_INTERVAL = timedelta(seconds=10)

_GATEWAY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class GatewaySettings(DormiceSettings):
    """Field `gateway_listen` is the variable DORMICE_GATEWAY_LISTEN, and so on."""

    gateway_listen: Listen = "127.0.0.1:8481"
    gateway_id: str = "gw-1"
    heartbeat_interval: Duration = timedelta(seconds=30)
    offline_after: Duration = timedelta(seconds=90)
    data: Path = Path("dormice-data")

    @field_validator("gateway_id")
    @classmethod
    def _is_one_token(cls, value: str) -> str:
        if not _GATEWAY_ID.fullmatch(value):
            raise ValueError("must be 1 to 32 of A-Z a-z 0-9 _ -")
        return value

    @model_validator(mode="after")
    def _heartbeats_fit(self) -> GatewaySettings:
        if self.heartbeat_interval <= timedelta():
            raise ValueError("DORMICE_HEARTBEAT_INTERVAL must be more than 0s")
        if self.offline_after <= timedelta():
            raise ValueError("DORMICE_OFFLINE_AFTER must be more than 0s")
        return self

    @property
    def agent_interval(self) -> timedelta:
        """How often agents are asked to beat: as set, unless each would be silent between two."""
        fits = self.heartbeat_interval < self.offline_after
        return self.heartbeat_interval if fits else self.offline_after / 3

    @property
    def database_path(self) -> Path:
        return self.data / "gateway.db"

    @property
    def pulse_interval(self) -> timedelta:
        """How often last_seen goes to disk: 10 s, and often enough for a short OFFLINE_AFTER."""
        return min(LONGEST_PULSE_INTERVAL, self.offline_after / 6)
